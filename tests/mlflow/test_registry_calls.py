"""No call of MLflow's registry goes past the guard unnoticed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from mlflow_vault.plugin.governing.calls import CALLS, Guard, unknown
from mlflow_vault.plugin.governing.enforcing import EnforcingStore
from mlflow_vault.testing.enforcement.tried import TRIED

STORES = (
    "abstract_store.AbstractStore",
    "sqlalchemy_store.SqlAlchemyStore",
    "sqlalchemy_workspace_store.WorkspaceAwareSqlAlchemyStore",
)


def store_of(path: str) -> Any:
    """Return one of MLflow's stores."""
    module, _, name = path.partition(".")
    return getattr(import_module(f"mlflow.store.model_registry.{module}"), name)


@pytest.mark.parametrize("path", STORES)
def test_all_are_known(path: str) -> None:
    """Every public call of MLflow's interface and of its stores is listed; a new one fails here."""
    assert unknown(store_of(path)) == []


def test_a_new_one() -> None:
    """A call that MLflow grows, or makes in another way than before, is noticed."""
    made: dict[str, Any] = dict.fromkeys(("overwrite_model_version", "copy_model_version"))
    grown = type("Grown", (store_of(STORES[1]),), made)

    assert unknown(grown) == ["copy_model_version", "overwrite_model_version"]


def test_all_are_guarded() -> None:
    """What is listed as guarded has a guard, and nothing else is touched but one read."""
    guarded = {name for name, guard in CALLS.items() if guard is Guard.GUARDED}
    touched = {name for name in vars(EnforcingStore) if name in CALLS}

    assert touched == guarded | {"get_registered_model"}


def test_all_are_tried() -> None:
    """The matrix tries every call that changes a model or a prompt."""
    changing = {name for name, guard in CALLS.items() if guard in {Guard.GUARDED, Guard.FORWARDED}}

    assert changing <= {call.name for call in TRIED}
