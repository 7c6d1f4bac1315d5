"""Users of MLflow's basic-auth, in this process, and requests of theirs."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD: Final = "a password of tests"  # noqa: S105 - of users that are here alone
ADMIN: Final = "root"
USERS: Final = ("vic", "con", "app", "rel", "adm")


@contextmanager
def authenticating(folder: Path) -> Iterator[Any]:
    """Let MLflow's basic-auth stand before requests of this process; yield its module."""
    os.environ.setdefault("MLFLOW_AUTH_ADMIN_PASSWORD", PASSWORD)
    from mlflow.server import auth  # noqa: PLC0415 - takes a second, and reads the environment

    auth.store.init_db(f"sqlite:///{folder}/auth.db")
    auth.store.create_user(ADMIN, PASSWORD, is_admin=True)
    for name in USERS:
        auth.store.create_user(name, PASSWORD)
    before = auth._auth_initialized  # noqa: SLF001 - what its factory sets
    auth._auth_initialized = True  # noqa: SLF001
    try:
        yield auth
    finally:
        auth._auth_initialized = before  # noqa: SLF001
        auth.store.engine.dispose()


@contextmanager
def asking(user: str) -> Iterator[None]:
    """Do what the block does in a request of *user*; nobody authenticated the empty one."""
    from flask import Flask, g  # noqa: PLC0415 - servers have it

    with Flask(__name__).test_request_context("/api/2.0/mlflow/registered-models/alias"):
        g.mlflow_authenticated_user = user
        yield
