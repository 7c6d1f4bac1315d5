"""MLflow's model registry, in which every version that is registered is committed.

``mlflow server --registry-store-uri vault-postgresql://...`` keeps the registry where MLflow
would, in the same tables, and binds every client, those without this package included:

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
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY
from mlflow.protos.databricks_pb2 import (
    ABORTED,
    PERMISSION_DENIED,
    TEMPORARILY_UNAVAILABLE,
    ErrorCode,
)

from mlflow_vault.errors import VaultError
from mlflow_vault.plugin.guard import HostPolicy
from mlflow_vault.plugin.translate import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlflow.entities.model_registry import ModelVersion

    Commit = Callable[[ModelVersion, str], None]

_logger = logging.getLogger(__name__)

SCHEME: Final = "vault-"
OWN_TAGS: Final = "mlflow_vault."
# What `mlflow server` tells its workers of its database and of the copy it reads from.
_BACKEND_VARIABLE: Final = "_MLFLOW_SERVER_FILE_STORE"
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
    same = os.environ.get(_BACKEND_VARIABLE) == database
    if replica and same and "read_db_uri" in signature(made).parameters:
        return made(database, read_db_uri=replica)
    return made(database)


@lru_cache
def store_class(*, workspaces: bool) -> Any:
    """Return `CommittingStore` over the store that the installed MLflow would use itself."""
    place = "mlflow.store.model_registry.sqlalchemy_"
    if workspaces:
        below = import_module(place + "workspace_store").WorkspaceAwareSqlAlchemyStore
    else:
        below = import_module(place + "store").SqlAlchemyStore
    return type("VaultRegistryStore", (CommittingStore, below), {"__module__": __name__})


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
            tags=[tag for tag in sent if not _is_own(tag.key)],
            run_link=run_link,
            description=description,
            local_model_path=local_model_path,
            model_id=model_id,
        )
        if is_prompt(source, sent):
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

    def set_model_version_tag(self, name: str, version: str, tag: Any) -> None:
        """Set a tag, if it is not one of the vault's; saying again what such a tag says is fine.

        Raises:
            MlflowException: The tag is the vault's to set (`PERMISSION_DENIED`).
        """
        if _is_own(tag.key):
            held = self.get_model_version(name, version).tags  # type: ignore[attr-defined]
            if held.get(tag.key) == tag.value:
                return
            raise _denied(name, version, tag.key)
        super().set_model_version_tag(name, version, tag)  # type: ignore[misc]

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Delete a tag, if it is not one of the vault's.

        Raises:
            MlflowException: The tag is the vault's to delete (`PERMISSION_DENIED`).
        """
        if _is_own(key):
            raise _denied(name, version, key)
        super().delete_model_version_tag(name, version, key)  # type: ignore[misc]

    def _take_back(self, version: ModelVersion) -> None:
        try:
            self.delete_model_version(version.name, version.version)  # type: ignore[attr-defined]
        except Exception:  # the client hears of the first failure; this one is the operator's
            _logger.exception(
                "%s/%s was registered, could neither be committed nor taken back, and is in the "
                "registry without a version in the vault: delete it, or run `mlflow-vault sync`",
                version.name,
                version.version,
            )


def is_prompt(source: str, tags: Iterable[Any]) -> bool:
    """Return whether MLflow means a prompt: it says so, and there is nothing to load.

    The tag alone is not believed: any client can send it along.
    """
    told = {tag.key: tag.value for tag in tags}
    return ":" not in source and str(told.get(IS_PROMPT_TAG_KEY, "")).lower() == "true"


def _translating(commit: Commit, version: ModelVersion, store_uri: str) -> None:
    """Commit; raise whatever goes wrong as an error of ours or of MLflow's."""
    try:
        commit(version, store_uri)
    except (MlflowException, VaultError):
        raise
    except Exception as error:
        _logger.exception("Committing %s/%s failed", version.name, version.version)
        raise MlflowException(f"The log has the reason ({type(error).__name__}).") from error


def _is_own(key: str) -> bool:
    # Some databases compare without regard to case.
    return key.strip().lower().startswith(OWN_TAGS)


def _denied(name: str, version: str, key: str) -> MlflowException:
    return MlflowException(
        f"the tag {key} of {name}/{version} says what a vault holds and is set by it alone",
        error_code=PERMISSION_DENIED,
    )


def _code(error: MlflowException) -> int:
    """Return what a client hears: it asks again for minutes after most errors of a server."""
    passes = error.error_code == ErrorCode.Name(TEMPORARILY_UNAVAILABLE)
    if error.get_http_status_code() >= HTTPStatus.INTERNAL_SERVER_ERROR and not passes:
        return ABORTED
    return int(ErrorCode.Value(error.error_code))
