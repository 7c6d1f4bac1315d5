"""Logs every version, loads every version back, and compares.

MLflow is used as in any training script: a SQLite database, an experiment whose artifacts go to
a vault, `mlflow.sklearn.log_model`, `mlflow.sklearn.load_model`.
"""

from __future__ import annotations

import filecmp
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import mlflow.sklearn
import numpy as np

from mlflow_vault.cli.demo.models import KINDS, Digits, Kind
from mlflow_vault.cli.demo.witness import witnessed
from mlflow_vault.cli.disk import measure
from mlflow_vault.store.address import Address
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Logged:
    """A version as it was logged.

    Attributes:
        model: What MLflow said of it.
        folder: Where there is room.
        plain: Where MLflow's own repository keeps the same files.
        raw: Bytes that MLflow alone stores for it.
        stored: Bytes that it added to the vault's folder.
        probabilities: What it predicted when it was logged.
    """

    model: Any
    folder: Path
    plain: Path
    raw: int
    stored: int
    probabilities: npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A version, and how it came back.

    Attributes:
        title: The kind of model.
        version: From 1.
        raw: Bytes that MLflow alone stores.
        stored: Bytes that the vault stores.
        files: How many files were compared.
        differing: Those that did not come back as they were.
        same_predictions: Whether the loaded model says exactly what it said before.
    """

    title: str
    version: int
    raw: int
    stored: int
    files: int
    differing: tuple[str, ...]
    same_predictions: bool

    @property
    def is_good(self) -> bool:
        """Whether all of it came back."""
        return not self.differing and self.same_predictions


def rehearse(folder: Path, versions: int, progress: Callable[[int], None]) -> list[Row]:
    """Train, log and compare all kinds of models below *folder*.

    Args:
        folder: Gets ``mlflow.db``, ``vault/`` and ``plain/``.
        versions: Of each kind.
        progress: Told 1 for each version that was logged, and for each compared.
    """
    vault, plain = folder / "vault", folder / "plain"
    address = Address.of_path(vault)
    Vault.init(str(address))
    digits = Digits.load()
    rows = []
    with _tracking(f"sqlite:///{folder / 'mlflow.db'}"), witnessed(vault, plain):
        for kind in KINDS:
            mlflow.create_experiment(kind.name, str(address.joined(kind.name)))
            mlflow.set_experiment(kind.name)
            logged = []
            for model in kind.train(digits, versions):
                logged.append(_log(kind, model, digits, folder))
                progress(1)
            for version, one in enumerate(logged, start=1):
                rows.append(_compare(kind, version, one, digits))
                progress(1)
    return rows


def _log(kind: Kind, model: Any, digits: Digits, folder: Path) -> Logged:
    vault, plain = folder / "vault", folder / "plain"
    before = measure(vault)[1]
    with mlflow.start_run():
        found = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=list(kind.trusted),
            pip_requirements=["scikit-learn", "skops"],
        )
    kept = plain / kind.name / "models" / found.model_id / "artifacts"
    return Logged(
        model=found,
        folder=folder,
        plain=kept,
        raw=measure(kept)[1],
        stored=measure(vault)[1] - before,
        probabilities=model.predict_proba(digits.images),
    )


def _compare(kind: Kind, version: int, logged: Logged, digits: Digits) -> Row:
    # By location: below `models:/` MLflow adds a note of its own to what it downloads.
    location = mlflow.get_logged_model(logged.model.model_id).artifact_location
    with tempfile.TemporaryDirectory(dir=logged.folder) as name:
        back = Path(mlflow.artifacts.download_artifacts(location, dst_path=name))
        names = {*_files(logged.plain), *_files(back)}
        _, differing, missing = filecmp.cmpfiles(logged.plain, back, names, shallow=False)
    loaded = mlflow.sklearn.load_model(logged.model.model_uri)
    return Row(
        title=kind.title,
        version=version,
        raw=logged.raw,
        stored=logged.stored,
        files=len(names),
        differing=tuple(sorted(differing + missing)),
        same_predictions=np.array_equal(loaded.predict_proba(digits.images), logged.probabilities),
    )


def _files(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]


@contextmanager
def _tracking(uri: str) -> Iterator[None]:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
