"""Keras' own files (.keras): a zip with the weights as HDF5 in it.

    metadata.json | config.json | model.weights.h5

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors import hdf5

if TYPE_CHECKING:
    from mlflow_vault.format.tensors.arrays import Array
    from mlflow_vault.format.tensors.zipped.directory import Zip

_WEIGHTS: Final = "model.weights.h5"


def has_weights(archive: Zip) -> bool:
    """Whether there are weights of Keras in the zip."""
    return _WEIGHTS in archive.members


def parse(archive: Zip) -> list[Array]:
    """Return the weights, none where they are compressed."""
    window = archive.open(_WEIGHTS)
    return [window.place(array) for array in hdf5.parse(window)] if window else []
