"""MLflow, as governance knows it: `govern.host.Host`, kept by MLflow's own client.

A client is made for each question, as MLflow does, so that `mlflow.set_tracking_uri` is heeded.
What MLflow answers is translated into our errors here, and nowhere else.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.utils.models import _parse_model_uri
from mlflow.tracking import MlflowClient

from mlflow_vault.errors import (
    DeniedError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
)
from mlflow_vault.govern.host import ASK_TAG, GOVERNED_TAG, Held
from mlflow_vault.plugin import metrics
from mlflow_vault.plugin.answers import translated
from mlflow_vault.plugin.capturing.facts import facts_of
from mlflow_vault.plugin.registered import LOGGED, by_alias, filter_for, held_of, is_prompt, paged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from mlflow.entities.model_registry import ModelVersion

    from mlflow_vault.decide.policy.health.judge import Sample

_MODEL_FILE: Final = "MLmodel"
_DEFAULT: Final = "0"  # MLflow's default experiment
_THERE: Final = {"RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"}
# Databases and folders that MLflow opens itself: nobody stands before them who could govern.
_PLAIN: Final = {"", "file", "sqlite", "postgresql", "mysql", "mssql"}


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

    def untag(self, held: Held, keys: Iterable[str]) -> None:
        """Take the tags *keys* of a model version away, those that it has."""
        with self._translated(held.uri):
            for key in keys:
                self._client.delete_model_version_tag(held.name, str(held.number), key)

    def aliases(self, name: str) -> dict[str, int]:
        """Return which version each alias of a registered model points at."""
        with self._translated(name):
            for model in paged(self._client.search_registered_models, filter_for(name), []):
                if model.name == name:
                    return {str(alias): int(to) for alias, to in model.aliases.items()}
        return {}

    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Let an alias of a registered model point at a version of it."""
        with self._translated(name):
            self._client.set_registered_model_alias(name, alias, str(number))

    def delete_alias(self, name: str, alias: str) -> None:
        """Take an alias of a registered model away, if there is one."""
        with self._translated(name):
            self._client.delete_registered_model_alias(name, alias)

    def governs(self, name: str) -> bool:
        """Whether the registry itself decides which version of a model may stand where."""
        if urlsplit(self.uri).scheme.partition("+")[0] in _PLAIN:
            return False
        return self.model_tags(name).get(GOVERNED_TAG) == "true"

    def ask(self, name: str, number: int, verb: str, body: Mapping[str, Any]) -> None:
        """Ask a registry that governs a model to do something with a version of it.

        Raises:
            DeniedError: It refuses; the message is what it says.
        """
        try:
            with self._translated(f"models:/{name}/{number}"):
                key = f"{ASK_TAG}{verb}"
                self._client.set_model_version_tag(name, str(number), key, json.dumps(dict(body)))
        except PermissionDeniedError as cause:
            raise DeniedError(str(cause)) from cause

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

    def metric(self, key: str, held: Held, experiment: str = "", runs: str = "") -> Sample:
        """Return the latest value of a metric, and when it was logged; or why there is none."""
        with self._translated(f"the metric {key}"):
            if experiment:
                return metrics.of_experiment(self._client, key, experiment, runs)
            return metrics.of_version(self._client, key, held)

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
            return self.held(by_alias(client, name, parsed.alias))
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

    def _translated(self, what: str) -> AbstractContextManager[None]:
        return translated(self.uri, what)
