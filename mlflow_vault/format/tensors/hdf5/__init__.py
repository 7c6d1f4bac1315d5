"""Arrays in HDF5: Keras' weights, and whatever h5py wrote."""

from __future__ import annotations

from mlflow_vault.format.tensors.hdf5.parse import MAGIC, parse

__all__ = ["MAGIC", "parse"]
