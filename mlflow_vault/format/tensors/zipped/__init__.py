"""Arrays in zips: numpy's, torch's and skops' files are all zips of uncompressed members."""

from __future__ import annotations

from mlflow_vault.format.tensors.zipped.directory import MAGIC
from mlflow_vault.format.tensors.zipped.kinds import parse

__all__ = ["MAGIC", "parse"]
