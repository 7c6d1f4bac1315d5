"""MLflow's model registry, in which versions are committed, and move as policies allow.

``mlflow server --registry-store-uri vault-postgresql://...`` keeps the registry where MLflow
would, in the same tables, and binds every client, those without this package included:

    every call            ->  `governing`           is it governed, who asks, may they?
    create_model_version  ->  MLflow's own store  ->  `committing.on_registered`
                                                        outside every vault: stays as MLflow has it
                                                        fails: taken back, and the client hears why

The tags that begin with ``mlflow_vault.`` say what the commit found out.  A client cannot make,
change or delete them; what a client sends along on registering is left out.

Prompts, which MLflow keeps as registered models, pass through untouched.

SQLAlchemy is imported at the first use only: clients load this door, too, and may not have it.
"""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from http import HTTPStatus
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, Final

from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    ABORTED,
    TEMPORARILY_UNAVAILABLE,
    ErrorCode,
)

from mlflow_vault.errors import VaultError
from mlflow_vault.plugin.governing.calls import unknown
from mlflow_vault.plugin.governing.prompts import is_own, is_prompt_version
from mlflow_vault.plugin.guard import BACKEND_VARIABLE, HostPolicy
from mlflow_vault.plugin.translate import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlflow.entities.model_registry import ModelVersion

    Commit = Callable[[ModelVersion, str], None]

_logger = logging.getLogger(__name__)

SCHEME: Final = "vault-"
# What `mlflow server` tells its workers of the copy of its database that it reads from.
_REPLICA_VARIABLE: Final = "_MLFLOW_SERVER_READ_REPLICA_BACKEND_STORE"


def open_store(store_uri: str) -> Any:
    """Return MLflow's store of the database behind *store_uri*, with commits; MLflow calls this.

    Raises:
        MlflowException: The database is none that MLflow knows, or cannot be opened.
    """
    database = store_uri.removeprefix(SCHEME)
    made = store_class(workspaces=bool(MLFLOW_ENABLE_WORKSPACES.get()))
    replica = os.environ.get(_REPLICA_VARIABLE)
    # The copy is of the server's own database, not of a registry that lies elsewhere.
    same = os.environ.get(BACKEND_VARIABLE) == database
    if replica and same and "read_db_uri" in signature(made).parameters:
        return made(database, read_db_uri=replica)
    return made(database)


@lru_cache
def store_class(*, workspaces: bool) -> Any:
    """Return the store that the installed MLflow would use itself, guarded and committing."""
    place = "mlflow.store.model_registry.sqlalchemy_"
    if workspaces:
        below = import_module(place + "workspace_store").WorkspaceAwareSqlAlchemyStore
    else:
        below = import_module(place + "store").SqlAlchemyStore
    if grown := unknown(below):
        _logger.warning(
            "This MLflow's registry can do what this release does not know, and does not guard: %s",
            ", ".join(grown),
        )
    guard = import_module("mlflow_vault.plugin.governing.enforcing").EnforcingStore
    return type("VaultRegistryStore", (guard, CommittingStore, below), {"__module__": __name__})


def commit_registered(version: ModelVersion, store_uri: str) -> None:
    """Commit what *version* names, if it is in a vault."""
    # A server that registers nothing opens no vault.
    import_module("mlflow_vault.plugin.committing").on_registered(version, store_uri)


class CommittingStore:
    """What this registry does beyond MLflow's; to be mixed in before one of its stores.

    Attributes:
        commit: Called with each model version that was made and the database's own URI, through
            which the tags that begin with ``mlflow_vault.`` can be set.  What it raises takes
            the model version back.
    """

    commit: Commit = staticmethod(commit_registered)
    db_uri: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"

    @property
    def uri(self) -> str:
        """Where this registry is, without a password."""
        url = import_module("sqlalchemy.engine").make_url(self.db_uri)
        secretless = url.difference_update_query(["password", "passwd", "sslpassword"])
        return SCHEME + str(secretless.render_as_string(hide_password=True))

    def create_model_version(  # noqa: PLR0913, PLR0917 - the signature is MLflow's
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Iterable[Any] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        local_model_path: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Make a model version and commit it; copies come here, too.

        Raises:
            MlflowException: MLflow refuses it, or it lies in a vault and cannot be committed:
                then there is no such model version.
        """
        sent = list(tags or ())
        version = super().create_model_version(  # type: ignore[misc]
            name,
            source,
            run_id=run_id,
            tags=[tag for tag in sent if not is_own(tag.key)],
            run_link=run_link,
            description=description,
            local_model_path=local_model_path,
            model_id=model_id,
        )
        if is_prompt_version(source, sent):
            return version
        try:
            with translated(HostPolicy.from_environment(os.environ).hidden()):
                _translating(self.commit, version, self.db_uri)
        except MlflowException as error:
            self._take_back(version)
            raise MlflowException(
                f"{name} has no new version: committing it failed. {error.message}",
                error_code=_code(error),
            ) from error
        if getattr(self, "read_engine", None) is not None:
            return version  # a copy of the database may not have heard of it yet
        return self.get_model_version(version.name, version.version)  # type: ignore[attr-defined]

    def _take_back(self, version: ModelVersion) -> None:
        try:
            # Past the guard: it was never there.
            super().delete_model_version(version.name, version.version)  # type: ignore[misc]
        except Exception:  # the client hears of the first failure; this one is the operator's
            _logger.exception(
                "%s/%s was registered, could neither be committed nor taken back, and is in the "
                "registry without a version in the vault: delete it, or run `mlflow-vault sync`",
                version.name,
                version.version,
            )


def _translating(commit: Commit, version: ModelVersion, store_uri: str) -> None:
    """Commit; raise whatever goes wrong as an error of ours or of MLflow's."""
    try:
        commit(version, store_uri)
    except (MlflowException, VaultError):
        raise
    except Exception as error:
        _logger.exception("Committing %s/%s failed", version.name, version.version)
        raise MlflowException(f"The log has the reason ({type(error).__name__}).") from error


def _code(error: MlflowException) -> int:
    """Return what a client hears: it asks again for minutes after most errors of a server."""
    passes = error.error_code == ErrorCode.Name(TEMPORARILY_UNAVAILABLE)
    if error.get_http_status_code() >= HTTPStatus.INTERNAL_SERVER_ERROR and not passes:
        return ABORTED
    return int(ErrorCode.Value(error.error_code))
