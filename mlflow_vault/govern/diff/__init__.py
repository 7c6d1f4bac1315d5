"""What differs between two versions: files, values, tensors."""

from __future__ import annotations

from mlflow_vault.govern.diff.between import Side, compare
from mlflow_vault.govern.diff.changes import Diff, Sizes, TensorChange
from mlflow_vault.govern.diff.comparing import Effort
from mlflow_vault.govern.diff.measures import Numbers

__all__ = ["Diff", "Effort", "Numbers", "Side", "Sizes", "TensorChange", "compare"]
