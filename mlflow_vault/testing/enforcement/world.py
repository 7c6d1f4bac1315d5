"""A governing registry as a server has it, in this process, whose state can be taken back.

The registry is MLflow's own in SQLite, opened by its ``vault-sqlite:`` address; the vault is in
memory.  Users are those of MLflow's `basic-auth`, in a database of its own; who asks is said as
its Flask app says it, in a request's context.

    credit     governed: 1 stands in production, 2 in staging, 3 nowhere, 4 stood in production
               before 1; champion -> 1
    greeting   a prompt whose name a policy matches
    other      a model of no policy
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from sqlalchemy import event

from mlflow_vault import vault
from mlflow_vault.format.layout import LOG
from mlflow_vault.format.log import Actor
from mlflow_vault.plugin.guard import BACKEND_VARIABLE, ROOT_VARIABLE
from mlflow_vault.plugin.registry_store import open_store
from mlflow_vault.store import memory
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.enforcement.states import enter, roles
from mlflow_vault.testing.enforcement.users import ADMIN, asking
from mlflow_vault.testing.vaults import objects, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_TABLES: Final = (
    "registered_models",
    "registered_model_tags",
    "registered_model_aliases",
    "model_versions",
    "model_version_tags",
)


class World:
    """The registry, the vault under it, and who asks.

    Args:
        folder: Where its databases are.
        name: Of its vault.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._name = name
        self._path = folder / "registry.db"
        self.root = f"vault-memory://{name}"
        self.uri = f"sqlite:///{self._path}"
        self.vault = vault.Vault.init(self.root)
        self._bytes = MemoryStore.named(name)
        self.store: Any = open_store(f"vault-{self.uri}")
        event.listen(self.store.engine, "connect", _hasty)
        self.store.engine.dispose()
        self._snapshot: tuple[sqlite3.Connection, dict[str, bytes]] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What `mlflow server` tells its workers."""
        return {ROOT_VARIABLE: self.root, BACKEND_VARIABLE: self.uri}

    def register(self, name: str, seed: int) -> int:
        """Make a version of *name*; return its number."""
        path = f"1/{seed:032x}/artifacts/model"
        write(self.vault, f"{path}/MLmodel", f"flavors: {{}}\nseed: {name} {seed}\n".encode())
        return int(self.store.create_model_version(name, f"{self.root}/{path}").version)

    def dump(self) -> dict[str, list[Any]]:
        """Return all that the registry has, but when it was touched."""
        found: dict[str, list[Any]] = {}
        with self._opened() as connection:
            connection.row_factory = sqlite3.Row
            for table in _TABLES:
                rows = map(dict, connection.execute(f"SELECT * FROM {table}"))  # noqa: S608 - ours
                kept = ({**row, "last_updated_time": 0} for row in rows)
                found[table] = sorted(map(str, kept))
        return found

    def keep(self) -> None:
        """Remember the state, for `restore`."""
        held = sqlite3.connect(":memory:", check_same_thread=False)
        with self._opened() as connection:
            connection.backup(held)
        self._forget()
        self._snapshot = held, objects(self._bytes)

    def restore(self) -> None:
        """Take back all that was done since `keep`."""
        assert self._snapshot is not None
        held, had = self._snapshot
        with self._opened() as connection:
            held.backup(connection)
        # Who saw what is no more remembers what a log and a ledger never unlearn: a new store.
        self._bytes = memory._NAMED[self._name] = MemoryStore(self._name)  # noqa: SLF001
        self._bytes.put_many(had.items())
        vault._found.clear()  # noqa: SLF001
        vars(self.store).pop("doorman", None)
        self.vault = vault.Vault.open(self.root)

    def refusals(self) -> int:
        """How many refusals the audit log has."""
        entries = (self._bytes.get(found.key) for found in self._bytes.list(LOG))
        return sum(b'"action":"deny"' in body for body in entries)

    def close(self) -> None:
        """Let go of the databases."""
        self._forget()
        self.store.engine.dispose()

    def _forget(self) -> None:
        if self._snapshot is not None:
            self._snapshot[0].close()
            self._snapshot = None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path)
        _hasty(connection)
        try:
            yield connection
        finally:
            connection.close()


def _hasty(connection: Any, *_: object) -> None:
    """Wait for no disk: nothing of it is kept."""
    connection.execute("PRAGMA synchronous = OFF")


def populate(world: World) -> None:
    """Make the models, and let versions of credit stand where they stand, as an administrator."""
    store, actor = world.store, Actor(ADMIN, verified=True)
    enter(world.vault, "passes", actor)
    with asking(ADMIN):
        for name in ("credit", "other"):
            store.create_registered_model(name)
            for seed in (1, 2, 3, 4):
                world.register(name, seed if name == "credit" else seed + 10)
        for alias, number in (("production", 4), ("production", 1), ("staging", 2)):
            store.set_registered_model_alias("credit", alias, str(number))
        store.create_prompt("greeting")
        store.create_prompt_version("greeting", "Say {{word}}")
        for name, alias in (("credit", "champion"), ("greeting", "champion")):
            store.set_registered_model_alias(name, alias, "1")
        store.set_registered_model_tag("credit", RegisteredModelTag("team", "risk"))
        store.set_model_version_tag("credit", "3", ModelVersionTag("team", "risk"))
    world.vault.policies.apply(roles(), actor)


def outcome(call: Callable[[], object]) -> tuple[str, str]:
    """Return how a call ends: ``done`` or MLflow's code, and what it says."""
    with suppress(StopIteration):
        try:
            call()
        except MlflowException as error:
            return str(error.error_code), str(error.message)
    return "done", ""
