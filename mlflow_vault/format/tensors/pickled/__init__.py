"""Arrays in pickles, read off their opcodes: Python's own, joblib's, and what torch's zips say."""

from __future__ import annotations

from mlflow_vault.format.tensors.pickled.parse import looks_like, parse

__all__ = ["looks_like", "parse"]
