"""Models go in through MLflow's flavors and come out the same from every address."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tell = Callable[[Callable[[str], object]], Any]
    Seen = Callable[[str], dict[str, int | None]]

ROWS = np.random.default_rng(7).normal(size=(60, 4))
LABELS = (ROWS[:, 0] + ROWS[:, 1] > 0).astype(int)


def names(root: str | Path) -> list[str]:
    """Return the paths of the files below *root*, but for the one MLflow adds to downloads."""
    found = (file.relative_to(root).as_posix() for file in Path(root).rglob("*") if file.is_file())
    return sorted(name for name in found if name != "registered_model_meta")


def fitted() -> LogisticRegression:
    """Return a small trained model."""
    return LogisticRegression(C=0.5).fit(ROWS, LABELS)


@pytest.fixture
def in_experiment() -> Iterator[Callable[[str], None]]:
    """Make an experiment the active one; no other is, afterwards."""
    yield lambda experiment: (mlflow.set_experiment(experiment_id=experiment), None)[1]
    mlflow.set_experiment(experiment_id="0")


def test_log_and_load(tell: Tell, seen: Seen, in_experiment: Callable[[str], None]) -> None:
    """A logged model loads and predicts, from its run's address and from its own."""

    def story(experiment: str) -> object:
        in_experiment(experiment)
        with mlflow.start_run() as run:
            logged = mlflow.sklearn.log_model(
                fitted(), name="model", pip_requirements=["scikit-learn"]
            )
        by_run = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")
        by_id = mlflow.pyfunc.load_model(f"models:/{logged.model_id}")
        location = mlflow.get_logged_model(logged.model_id).artifact_location
        return (
            sorted(seen(location).keys() - {"registered_model_meta"}),
            names(mlflow.artifacts.download_artifacts(f"models:/{logged.model_id}")),
            "flavors:" in mlflow.artifacts.load_text(f"{location}/MLmodel"),
            by_run.predict(ROWS).tolist(),
            by_id.predict(ROWS).tolist(),
        )

    listed, downloaded, _, by_run, by_id = tell(story)

    assert listed == downloaded
    assert by_run == by_id == fitted().predict(ROWS).tolist()


def test_register(tell: Tell, in_experiment: Callable[[str], None], tmp_path: Path) -> None:
    """A registered version downloads and loads by number and by alias, and can be copied."""

    def story(experiment: str) -> object:
        in_experiment(experiment)
        client = mlflow.MlflowClient()
        name = f"scorer-{tmp_path.name}-{experiment}"
        with mlflow.start_run():
            logged = mlflow.sklearn.log_model(
                fitted(), name="model", pip_requirements=["scikit-learn"]
            )
        version = mlflow.register_model(logged.model_uri, name)
        client.set_registered_model_alias(name, "champion", version.version)
        copied = client.copy_model_version(f"models:/{name}/1", f"{name}-copy")
        uris = [f"models:/{name}/1", f"models:/{name}@champion", f"models:/{name}-copy/1"]
        return (
            version.status,
            copied.status,
            [names(mlflow.artifacts.download_artifacts(uri)) for uri in uris],
            [mlflow.sklearn.load_model(uri).predict(ROWS).tolist() for uri in uris],
        )

    status, copied, files, predictions = tell(story)

    assert status == copied == "READY"
    assert files[0] == files[1] == files[2]
    assert predictions[0] == predictions[1] == predictions[2]


def test_autolog_sklearn(
    tell: Tell, seen: Seen, in_experiment: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Autologging of scikit-learn leaves its pictures, tables and the model."""
    monkeypatch.setenv("MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT", "1")

    def story(experiment: str) -> object:
        in_experiment(experiment)
        mlflow.sklearn.autolog(silent=True)
        try:
            with mlflow.start_run() as run:
                model = fitted()
        finally:
            mlflow.sklearn.autolog(disable=True)
        loaded = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")
        return sorted(seen(run.info.artifact_uri)), (
            loaded.predict(ROWS).tolist() == model.predict(ROWS).tolist()
        )

    files, same = tell(story)

    assert same
    assert "training_confusion_matrix.png" in files


def test_autolog_xgboost(
    tell: Tell, seen: Seen, in_experiment: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Autologging of XGBoost leaves its importances and the model."""
    monkeypatch.setenv("MLFLOW_REQUIREMENTS_INFERENCE_TIMEOUT", "1")

    def story(experiment: str) -> object:
        in_experiment(experiment)
        mlflow.xgboost.autolog(silent=True)
        try:
            with mlflow.start_run() as run:
                matrix = xgboost.DMatrix(ROWS, LABELS)
                booster = xgboost.train({"max_depth": 2, "nthread": 1}, matrix, num_boost_round=3)
        finally:
            mlflow.xgboost.autolog(disable=True)
        loaded = mlflow.xgboost.load_model(f"runs:/{run.info.run_id}/model")
        return sorted(seen(run.info.artifact_uri)), bool(
            np.array_equal(loaded.predict(matrix), booster.predict(matrix))
        )

    files, same = tell(story)

    assert same
    assert "feature_importance_weight.json" in files
