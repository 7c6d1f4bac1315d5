"""What a sample of a file's bytes tells: whether they are numbers, and whether that helps."""

from __future__ import annotations

from mlflow_vault.format.tensors.sampled.binary import parse
from mlflow_vault.format.tensors.sampled.worth import gains

__all__ = ["gains", "parse"]
