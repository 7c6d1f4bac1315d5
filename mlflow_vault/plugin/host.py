"""MLflow, as governance knows it: `govern.host.Host`, kept by MLflow's own client.

A client is made for each question, as MLflow does, so that `mlflow.set_tracking_uri` is heeded.
What MLflow answers is translated into our errors here, and nowhere else.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.utils.models import _parse_model_uri
from mlflow.tracking import MlflowClient

from mlflow_vault.errors import (
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    VaultError,
)
from mlflow_vault.govern.host import Held
from mlflow_vault.plugin.capturing.facts import facts_of
from mlflow_vault.plugin.capturing.masking import masked
from mlflow_vault.plugin.registered import LOGGED, filter_for, held_of, is_prompt, paged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mlflow.entities.model_registry import ModelVersion

_MODEL_FILE: Final = "MLmodel"
_DEFAULT: Final = "0"  # MLflow's default experiment
_MISSING: Final = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
_THERE: Final = {"RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"}
_DENIED: Final = "PERMISSION_DENIED"
_WRONG: Final = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE"}


class MlflowHost:
    """The tracking server and registry that this process uses.

    Args:
        tracking_uri: None for what `mlflow.set_tracking_uri` or the environment says.
        registry_uri: None for what `mlflow.set_registry_uri` or the environment says.
    """

    def __init__(self, tracking_uri: str | None = None, registry_uri: str | None = None) -> None:
        self._tracking_uri = tracking_uri
        self._registry_uri = registry_uri

    @property
    def uri(self) -> str:
        """Where the registry is, without secrets."""
        parts = urlsplit(self._registry_uri or mlflow.get_registry_uri())
        return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()

    def default_location(self) -> str:
        """Where MLflow's default experiment keeps its artifacts."""
        with self._translated("its default experiment"):
            return str(self._client.get_experiment(_DEFAULT).artifact_location)

    def resolve(self, reference: str) -> Held:
        """Return what *reference* stands for.

        Raises:
            NotFoundError: There is no such thing.
            InvalidInputError: It is no reference.
        """
        scheme = urlsplit(reference).scheme
        with self._translated(reference):
            if scheme == "models":
                return self._of_model(reference)
            if scheme == "runs":
                return self._of_run(reference)
        if not scheme:
            raise InvalidInputError(
                f"{reference!r} is no reference: give models:/<name>/<number>, "
                "models:/<name>@<alias>, models:/m-..., runs:/<run>/<path>, b3:... or a location"
            )
        return Held(reference, reference)

    def registered(self, name: str = "") -> Iterator[Held]:
        """Yield every model version, prompts excluded; of one model if *name* is given.

        It takes two requests for each thousand; what takes one for each version, `located` asks.
        """
        wanted = filter_for(name) if name else None
        client = self._client
        with self._translated(name or "the registry"):
            # A search for versions leaves their aliases out.
            models = paged(client.search_registered_models, wanted, ["name ASC"])
            aliases = {str(model.name): model.aliases for model in models if model.aliases}
            order = ["name ASC", "version_number ASC"]
            for version in paged(client.search_model_versions, wanted, order):
                if name in ("", version.name) and not is_prompt(version.tags):
                    held = held_of(version)
                    pointing = aliases.get(held.name, {}).items()
                    names = sorted(alias for alias, to in pointing if int(to) == held.number)
                    yield replace(held, aliases=tuple(names))

    def located(self, held: Held) -> Held:
        """Return what `registered` yielded with the location of its files, and its experiment."""
        location = held.location
        if urlsplit(location).scheme == "models":  # a logged model, or a copy of another's version
            with self._translated(held.uri):
                found = self._client.get_model_version_download_uri(held.name, str(held.number))
                location = str(found)
        experiment = held.experiment_id or self._experiment_of(held.model_id, held.run_id)
        return replace(held, location=location, experiment_id=experiment)

    def register(self, name: str, held: Held) -> Held:
        """Make a model version of *held*, and the registered model if there is none."""
        client = self._client
        with self._translated(name):
            self._make_model(client, name)
            source = f"models:/{held.model_id}" if held.model_id else held.location
            made = client.create_model_version(
                name, source, held.run_id or None, model_id=held.model_id or None
            )
            return self.held(client.get_model_version(name, made.version))

    def unregister(self, held: Held) -> None:
        """Take back the model version that `register` made."""
        with self._translated(held.uri):
            self._client.delete_model_version(held.name, str(held.number))

    def tag(self, held: Held, tags: Mapping[str, str]) -> None:
        """Set *tags* of a model version."""
        with self._translated(held.uri):
            for key, text in tags.items():
                self._client.set_model_version_tag(held.name, str(held.number), key, text)

    def model_tags(self, name: str) -> dict[str, str]:
        """Return the tags of a registered model; none if there is no such model."""
        try:
            with self._translated(name):
                return dict(self._client.get_registered_model(name).tags)
        except NotFoundError:
            return {}

    def tag_model(self, name: str, tags: Mapping[str, str]) -> None:
        """Set *tags* of a registered model, which is made if there is none."""
        client = self._client
        with self._translated(name):
            self._make_model(client, name)
            for key, text in tags.items():
                client.set_registered_model_tag(name, key, text)

    def facts(self, held: Held, artifact: Callable[[str], bytes | None]) -> dict[str, Any]:
        """Return what MLflow knows of how *held* was made."""
        with self._translated(held.uri):
            return facts_of(self._client, held, artifact)

    def held(self, version: ModelVersion) -> Held:
        """Say in our words what a model version of MLflow's is, and where its files are."""
        return self.located(held_of(version))

    @property
    def _client(self) -> MlflowClient:
        return MlflowClient(self._tracking_uri, self._registry_uri)

    def _of_model(self, reference: str) -> Held:
        client = self._client
        parsed = _parse_model_uri(reference)
        if LOGGED.fullmatch(str(parsed.model_id or parsed.name or "")):
            model_id = str(parsed.model_id or parsed.name)
            model = client.get_logged_model(model_id)
            return Held(
                uri=reference,
                location=str(model.artifact_location),
                model_id=model_id,
                run_id=str(model.source_run_id or ""),
                experiment_id=str(model.experiment_id or ""),
                created=int(model.creation_timestamp or 0),
            )
        name = str(parsed.name or parsed.model_id or "")
        if parsed.alias:
            return self.held(client.get_model_version_by_alias(name, parsed.alias))
        if parsed.version:
            return self.held(client.get_model_version(name, parsed.version))
        if parsed.stage:
            found = client.get_latest_versions(name, [parsed.stage])
            if found:
                return self.held(found[0])
            raise NotFoundError(f"no version of {name} is in the stage {parsed.stage}")
        newest = max(self.registered(name), key=lambda held: held.number, default=None)
        if newest is None:
            raise NotFoundError(
                f"{reference}: no model of that name has versions in {self.uri}; give "
                f"models:/{name}/<number> if it has"
            )
        return self.located(newest)

    def _of_run(self, reference: str) -> Held:
        client = self._client
        path = urlsplit(reference, allow_fragments=False).path.lstrip("/")
        run_id, _, path = path.partition("/")
        run = client.get_run(run_id)
        root = str(run.info.artifact_uri)
        listed = get_artifact_repository(root).list_artifacts(path or None)
        names = {file.path.rpartition("/")[2] for file in listed}
        outputs = getattr(run.outputs, "model_outputs", None) or ()
        if _MODEL_FILE not in names:  # MLflow 3 keeps models beside runs, not in them
            for output in sorted(outputs, key=lambda one: int(one.step), reverse=True):
                model = client.get_logged_model(output.model_id)
                if model.name == path:
                    return self._of_model(f"models:/{model.model_id}")
        return Held(
            uri=reference,
            location=f"{root.rstrip('/')}/{path}" if path else root,
            run_id=run_id,
            experiment_id=str(run.info.experiment_id),
            author=str(run.info.user_id or ""),
        )

    def _experiment_of(self, model_id: str, run_id: str) -> str:
        try:
            if model_id:
                return str(self._client.get_logged_model(model_id).experiment_id)
            if run_id:
                return str(self._client.get_run(run_id).info.experiment_id)
        except MlflowException:
            return ""  # deleted, or not ours to see
        return ""

    def _make_model(self, client: MlflowClient, name: str) -> None:
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code not in _THERE:
                raise

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except VaultError:
            raise
        except MlflowException as error:
            # What failed may name a URL, and that may hold a password.
            said = masked(f"MLflow at {self.uri}, asked for {what}: {error.message}")
            if error.error_code in _MISSING:
                raise NotFoundError(said) from error
            if error.error_code in _WRONG:
                raise InvalidInputError(said) from error
            if error.error_code == _DENIED:
                raise PermissionDeniedError(said) from error
            raise StorageError(said) from error
        except Exception as error:  # its databases and its stores of artifacts raise their own
            said = masked(f"MLflow at {self.uri}, asked for {what}, failed: {error!r}")
            raise StorageError(said) from error
