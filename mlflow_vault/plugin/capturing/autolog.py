"""Lineage without a line of code: what runs take in is recorded in full.

`autolog()` stands in three places of MLflow's client, where everything passes that its own
autologging, evaluation and `mlflow.log_input` do:

    Dataset._to_mlflow_entity     the data is here: digest all of it, remember it by the entity
    MlflowClient.log_inputs       the entity is logged: add the digest as a tag
    ...Repository.download_artifacts   a whole model came down: it is an input of the active run

Nothing of MLflow's fails because of it: what cannot be digested or recorded is left as it was.
The digest is taken when MLflow takes its own, before a training can change the data.
"""

from __future__ import annotations

import logging
import re
import threading
import weakref
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import mlflow
from mlflow.data.dataset import Dataset
from mlflow.entities import DatasetInput, InputTag, LoggedModelInput
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository
from mlflow.store.artifact.runs_artifact_repo import RunsArtifactRepository
from mlflow.tracking import MlflowClient

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.plugin.capturing.datasets import TAG, full_digest

if TYPE_CHECKING:
    from collections.abc import Callable

_logger = logging.getLogger(__name__)

_MODEL_FILE: Final = "MLmodel"
_MODEL_ID: Final = re.compile(r"^model_id: '?(m-[0-9a-f]{32})'?\s*$", re.MULTILINE)
_LARGEST: Final = 4 * 1024 * 1024  # characters of an `MLmodel` that are looked at
_OURS: Final = "__mlflow_vault__"


class _Memory:
    """Digests of datasets that were seen, for as long as MLflow keeps what they are of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_entity: dict[int, str] = {}  # entities compare by content, so not by key
        self._of_dataset: weakref.WeakKeyDictionary[Dataset, str] = weakref.WeakKeyDictionary()

    def note(self, dataset: Dataset, entity: Any) -> None:
        """Remember the digest of *dataset* by its *entity*."""
        with self._lock:
            digest = self._of_dataset.get(dataset)
        if digest is None:
            digest = _digest(dataset)
        with self._lock:
            self._of_dataset[dataset] = digest
            self._of_entity[id(entity)] = digest
        weakref.finalize(entity, self._forget, id(entity)).atexit = False

    def of(self, entity: Any) -> str:
        """Return the digest behind *entity*; nothing if it has none."""
        with self._lock:
            return self._of_entity.get(id(entity), "")

    def _forget(self, key: int) -> None:
        # No lock: this may run in the middle of anything, and a dict can do this by itself.
        self._of_entity.pop(key, None)


_memory = _Memory()
_lock = threading.Lock()


def autolog(*, disable: bool = False) -> None:
    """Record full digests of datasets, and models that are loaded, for every run.

    Calling it again changes nothing.

    Args:
        disable: Stop it, and leave MLflow as it was.
    """
    with _lock:
        for owner, name, wrapper in _PLACES:
            found = owner.__dict__.get(name)
            if found is None:
                continue
            original = getattr(found, _OURS, None)
            if disable and original is not None:
                setattr(owner, name, original)
            elif not disable and original is None:
                wrapped = wrapper(found)
                setattr(wrapped, _OURS, found)
                setattr(owner, name, wrapped)


def _noting(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def _to_mlflow_entity(self: Dataset) -> Any:
        entity = original(self)
        try:
            _memory.note(self, entity)
        except Exception:  # the run matters more
            _logger.debug("A dataset goes without a full digest", exc_info=True)
        return entity

    return _to_mlflow_entity


def _tagging(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def log_inputs(
        self: MlflowClient, run_id: str, datasets: Any = None, *rest: Any, **named: Any
    ) -> Any:
        return original(
            self, run_id, datasets and [_tagged(one) for one in datasets], *rest, **named
        )

    return log_inputs


def _recording(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def download_artifacts(self: Any, artifact_path: Any, *rest: Any, **named: Any) -> Any:
        path = original(self, artifact_path, *rest, **named)
        try:
            _record(Path(path))
        except (MlflowException, OSError):
            _logger.debug("A model was loaded without being recorded", exc_info=True)
        return path

    return download_artifacts


_PLACES: Final[tuple[tuple[Any, str, Callable[..., Any]], ...]] = (
    (Dataset, "_to_mlflow_entity", _noting),
    (MlflowClient, "log_inputs", _tagging),
    (ModelsArtifactRepository, "download_artifacts", _recording),
    (RunsArtifactRepository, "download_artifacts", _recording),
)


def _digest(dataset: Dataset) -> str:
    try:
        return str(full_digest(dataset))
    except InvalidInputError as error:
        _logger.debug("%s", error)
        return ""


def _tagged(given: DatasetInput) -> DatasetInput:
    """Return an input with its digest, unless it has one or there is none."""
    digest = _memory.of(given.dataset)
    tags = list(given.tags or ())
    if not digest or any(tag.key == TAG for tag in tags):
        return given
    return DatasetInput(given.dataset, [*tags, InputTag(TAG, digest)])


def _record(path: Path) -> None:
    """Make the model at *path* an input of the active run, if there is one that did not make it."""
    run = mlflow.active_run()
    file = path / _MODEL_FILE
    if run is None or not file.is_file():
        return
    with file.open(encoding="utf-8", errors="replace") as opened:
        found = _MODEL_ID.search(opened.read(_LARGEST))
    if found is None:
        return
    client = MlflowClient()
    if client.get_logged_model(found[1]).source_run_id != run.info.run_id:
        client.log_inputs(run.info.run_id, models=[LoggedModelInput(found[1])])
