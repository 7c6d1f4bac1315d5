"""Where arrays lie in a file, and of what type they are: one small parser per file format."""

from __future__ import annotations

from mlflow_vault.format.tensors.arrays import Array, Bytes, Layout
from mlflow_vault.format.tensors.find import UNKNOWN, find_arrays

__all__ = ["UNKNOWN", "Array", "Bytes", "Layout", "find_arrays"]
