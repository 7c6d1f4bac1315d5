"""MLflow, whose models a vault tells apart by workspace: `scoping`, at the door to MLflow."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import mlflow
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.utils.workspace_context import get_request_workspace

from mlflow_vault.errors import NotFoundError
from mlflow_vault.plugin.governing.scoping import DEFAULT, plain, scoped
from mlflow_vault.plugin.host import MlflowHost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from mlflow_vault.govern.host import Held


def active_workspace() -> str:
    """Return the workspace that MLflow's own stores work in, in this thread."""
    return str(get_request_workspace() or DEFAULT) if MLFLOW_ENABLE_WORKSPACES.get() else DEFAULT


def host_of_process() -> ScopedHost:
    """Return the MLflow that this process uses, in the workspace that it is set to.

    A client of a server is told its workspace; whether there are any is for the server to know.
    """
    remote = urlsplit(mlflow.get_registry_uri()).scheme in {"http", "https"}
    workspace = str(get_request_workspace() or DEFAULT) if remote else active_workspace()
    return ScopedHost(workspace=workspace)


class ScopedHost(MlflowHost):
    """MLflow, whose models a vault tells apart by workspace.

    Args:
        tracking_uri: None for what `mlflow.set_tracking_uri` or the environment says.
        registry_uri: None for what `mlflow.set_registry_uri` or the environment says.
        workspace: The one that MLflow works in.
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        registry_uri: str | None = None,
        workspace: str = "",
    ) -> None:
        super().__init__(tracking_uri, registry_uri)
        self._workspace = workspace

    def resolve(self, reference: str) -> Held:
        """Return what *reference* stands for; a name may tell its workspace.

        Raises:
            NotFoundError: There is no such thing, or it is of another workspace.
        """
        return self._out(super().resolve(self._reference(reference)))

    def registered(self, name: str = "") -> Iterator[Held]:
        """Yield every model version of this workspace; of one model if *name* is given."""
        for held in super().registered(self._near(name) if name else ""):
            yield self._out(held)

    def located(self, held: Held) -> Held:
        """Return what `registered` yielded with the location of its files."""
        return self._out(super().located(self._back(held)))

    def register(self, name: str, held: Held) -> Held:
        """Make a model version of *held*."""
        return self._out(super().register(self._in(name), held))

    def unregister(self, held: Held) -> None:
        """Take back the model version that `register` made."""
        super().unregister(self._back(held))

    def tag(self, held: Held, tags: Mapping[str, str]) -> None:
        """Set *tags* of a model version."""
        super().tag(self._back(held), tags)

    def untag(self, held: Held, keys: Iterable[str]) -> None:
        """Take the tags *keys* of a model version away."""
        super().untag(self._back(held), keys)

    def aliases(self, name: str) -> dict[str, int]:
        """Return which version each alias of a registered model points at."""
        return super().aliases(self._in(name))

    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Let an alias of a registered model point at a version of it."""
        super().set_alias(self._in(name), alias, number)

    def delete_alias(self, name: str, alias: str) -> None:
        """Take an alias of a registered model away, if there is one."""
        super().delete_alias(self._in(name), alias)

    def ask(self, name: str, number: int, verb: str, body: Mapping[str, Any]) -> None:
        """Ask a registry that governs a model to do something with a version of it."""
        super().ask(self._in(name), number, verb, body)

    def model_tags(self, name: str) -> dict[str, str]:
        """Return the tags of a registered model; none if there is no such model."""
        return super().model_tags(self._in(name))

    def tag_model(self, name: str, tags: Mapping[str, str]) -> None:
        """Set *tags* of a registered model, which is made if there is none."""
        super().tag_model(self._in(name), tags)

    def facts(self, held: Held, artifact: Callable[[str], bytes | None]) -> dict[str, Any]:
        """Return what MLflow knows of how *held* was made."""
        return super().facts(self._back(held), artifact)

    def held(self, version: Any) -> Held:
        """Say in our words what a model version of MLflow's is, and where its files are."""
        return self._out(super().held(version))

    def _in(self, model: str) -> str:
        """What MLflow calls *model*, as a vault calls it.

        Raises:
            NotFoundError: It is of another workspace.
        """
        name = plain(model)
        if model != scoped(name, self._workspace):
            here = scoped(name, self._workspace)
            raise NotFoundError(f"{model} is of another workspace: the one of this is {here}")
        return name

    def _near(self, model: str) -> str:
        """What MLflow calls *model*, as a vault or MLflow itself calls it.

        Raises:
            NotFoundError: It is of another workspace.
        """
        return model if model == plain(model) else self._in(model)

    def _reference(self, reference: str) -> str:
        scheme, found, path = reference.partition(":/")
        if scheme != "models" or not found:
            return reference
        name, slash, rest = path.partition("/")
        alias = "" if slash else "@".join(["", *name.split("@")[1:]])
        name = name if slash else name.split("@")[0]
        return f"models:/{self._near(name)}{alias}{slash}{rest}"

    def _out(self, held: Held) -> Held:
        name = scoped(plain(held.name), self._workspace) if held.name else ""
        return self._renamed(held, name)

    def _back(self, held: Held) -> Held:
        return self._renamed(held, self._near(held.name) if held.name else "")

    @staticmethod
    def _renamed(held: Held, name: str) -> Held:
        if name == held.name:
            return held
        uri = f"models:/{name}/{held.number}" if held.number else held.uri
        return replace(held, name=name, uri=uri)
