"""Search: an embedded index of all versions, derived and never the truth."""

from __future__ import annotations

from mlflow_vault.govern.index.file import place_of
from mlflow_vault.govern.index.index import Index, Page
from mlflow_vault.govern.index.known import lookup
from mlflow_vault.govern.index.sync import Synced, sync

__all__ = ["Index", "Page", "Synced", "lookup", "place_of", "sync"]
