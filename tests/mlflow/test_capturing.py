"""What runs and models were made of is found again in the facts of a version."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.artifacts import get_artifact_repository
from mlflow.entities import Dataset, DatasetInput
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LogisticRegression

from mlflow_vault.govern.host import Held
from mlflow_vault.plugin.capturing.autolog import autolog
from mlflow_vault.plugin.capturing.datasets import TAG, full_digest, log_input
from mlflow_vault.plugin.capturing.facts import facts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS = 12_000
FIRST = pd.DataFrame({"x": np.arange(ROWS) / ROWS, "flag": np.arange(ROWS) % 2 == 0})
SECOND = FIRST.assign(flag=~FIRST["flag"])  # which MLflow's digest does not tell from the first


@pytest.fixture
def client(ordinary: str) -> MlflowClient:
    """A client, in the ordinary experiment."""
    mlflow.set_experiment(experiment_id=ordinary)
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    return MlflowClient()


@pytest.fixture
def recorded() -> Iterator[None]:
    """Record everything meanwhile."""
    autolog()
    yield
    autolog(disable=True)


def nothing(_path: str) -> bytes | None:
    """Return no file."""
    return None


def inputs(client: MlflowClient, run_id: str) -> list[tuple[str, dict[str, str]]]:
    """Return names and tags of a run's datasets."""
    given = client.get_run(run_id).inputs.dataset_inputs
    return [(one.dataset.name, {tag.key: tag.value for tag in one.tags}) for one in given]


def fitted() -> LogisticRegression:
    """Return a small model."""
    return LogisticRegression().fit(FIRST[["x"]][:100], FIRST["flag"][:100])


# Inputs.


def test_log_input(client: MlflowClient) -> None:
    """An input has the digest of all of its data beside MLflow's own."""
    data = mlflow.data.from_pandas(FIRST, name="first")
    with mlflow.start_run() as run:
        log_input(data, context="training", tags={"team": "a"})

    assert inputs(client, run.info.run_id) == [
        ("first", {"team": "a", TAG: str(full_digest(FIRST)), "mlflow.data.context": "training"})
    ]


def test_same_for_mlflow(client: MlflowClient) -> None:
    """MLflow keeps one input of two datasets of one name in a run, if it cannot tell them apart."""
    with mlflow.start_run() as run:
        for data in (FIRST, SECOND):
            log_input(mlflow.data.from_pandas(data, name="same"))
    with mlflow.start_run() as other:
        log_input(mlflow.data.from_pandas(SECOND, name="same"))

    assert inputs(client, run.info.run_id) == [("same", {TAG: str(full_digest(FIRST))})]
    assert inputs(client, other.info.run_id) == [("same", {TAG: str(full_digest(SECOND))})]


@pytest.mark.usefixtures("recorded")
def test_autolog_datasets(client: MlflowClient) -> None:
    """Datasets that MLflow logs, itself or when it is told to, get their full digests."""
    autolog()  # a second time
    mlflow.sklearn.autolog(log_models=False, silent=True)
    try:
        with mlflow.start_run() as run:
            mlflow.log_input(mlflow.data.from_pandas(SECOND, name="second"))
            mlflow.log_input(mlflow.data.from_pandas(FIRST, name="own"), tags={TAG: "b3:own"})
            fitted()
    finally:
        mlflow.sklearn.autolog(disable=True, silent=True)

    found = {name: tags[TAG] for name, tags in inputs(client, run.info.run_id)}
    assert found.pop("second") == str(full_digest(SECOND))
    assert found.pop("own") == "b3:own"
    assert [digest[:3] for digest in found.values()] == ["b3:"]


@pytest.mark.usefixtures("recorded")
def test_autolog_unknown(client: MlflowClient) -> None:
    """Data without a canonical form is logged as MLflow does it."""
    odd = pd.DataFrame({"x": [1, 2], "y": pd.Series([{1}, {2}], dtype=object)})
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(odd, name="odd"))

    assert inputs(client, run.info.run_id) == [("odd", {})]


@pytest.mark.usefixtures("recorded")
def test_autolog_models(client: MlflowClient) -> None:
    """A model that is loaded is an input of the active run, unless that run made it."""
    with mlflow.start_run() as made:
        model = mlflow.sklearn.log_model(fitted(), name="model", serialization_format="pickle")
        mlflow.sklearn.load_model(model.model_uri)
    mlflow.sklearn.load_model(model.model_uri)  # outside every run
    with mlflow.start_run() as used:
        mlflow.pyfunc.load_model(model.model_uri)
        mlflow.sklearn.load_model(f"runs:/{made.info.run_id}/model")

    told = [client.get_run(run.info.run_id).inputs.model_inputs for run in (made, used)]
    assert [[one.model_id for one in some] for some in told] == [[], [model.model_id]]


def test_undone(client: MlflowClient) -> None:
    """Afterwards MLflow is as it was."""
    before = MlflowClient.log_inputs
    autolog()
    autolog(disable=True)
    autolog(disable=True)
    with mlflow.start_run() as run:
        mlflow.log_input(mlflow.data.from_pandas(FIRST, name="first"))

    assert MlflowClient.log_inputs is before
    assert inputs(client, run.info.run_id) == [("first", {})]


# Facts.


@pytest.fixture
def story(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[Held, Any]]:
    """Train a model in a nested run, with all that there is to tell; return it and its files."""
    monkeypatch.setenv("MLFLOW_VAULT_CAPTURE", "1")

    def tell() -> tuple[Held, Any]:
        with mlflow.start_run(run_name="whole"), mlflow.start_run(nested=True) as run:
            mlflow.log_params({"lr": 0.1, "long": "x" * 400})
            mlflow.log_metrics({"f1": 0.5, "nan": float("nan")}, step=1)
            mlflow.log_metrics({"f1": 0.75}, step=2)
            mlflow.set_tag("team", "run")
            log_input(mlflow.data.from_pandas(FIRST, name="first"), context="training")
            signature = mlflow.models.infer_signature(FIRST[["x"]], np.zeros(3))
            logged = mlflow.sklearn.log_model(
                fitted(),
                name="model",
                signature=signature,
                input_example=FIRST[["x"]][:2],
                serialization_format="pickle",
                pip_requirements=["numpy==2.4.6", "scikit-learn>=1.5"],
                tags={"team": "model"},
                model_type="classifier",
            )
        with mlflow.start_run(run_id=run.info.run_id), mlflow.start_run(nested=True):
            mlflow.log_input(model=mlflow.entities.LoggedModelInput(logged.model_id))
            data = mlflow.data.from_pandas(SECOND, name="second")
            mlflow.log_metric("late", 0.25, model_id=logged.model_id, dataset=data)
        found = client.get_logged_model(logged.model_id)
        repository = get_artifact_repository(found.artifact_location)

        def artifact(path: str) -> bytes | None:
            try:
                return Path(repository.download_artifacts(path)).read_bytes()
            except (MlflowException, OSError):
                return None

        held = Held(
            f"models:/{logged.model_id}",
            found.artifact_location,
            model_id=logged.model_id,
            run_id=run.info.run_id,
            experiment_id=str(run.info.experiment_id),
            tags={"team": "version", TAG: "b3:0"},
            aliases=("b", "a"),
        )
        return held, artifact

    return tell


def test_facts(client: MlflowClient, story: Any) -> None:
    """Everything that MLflow and the files tell is in the facts, which are JSON."""
    held, artifact = story()

    facts = facts_of(client, held, artifact)

    json.dumps(facts, allow_nan=False)
    assert facts["params"] | {"long": ""} == {"lr": "0.1", "long": ""}
    assert facts["metrics"] == {"f1": 0.75, "nan": "NaN"}
    assert facts["tags"]["team"] == "version"
    assert not [key for key in facts["tags"] if key.startswith("mlflow_vault.")]
    assert facts["signature"]["inputs"][0]["name"] == "x"
    assert {"python_function", "sklearn"} <= set(facts["flavors"])
    assert facts["input_example"]["type"] == "dataframe"
    assert facts["mlflow_version"] == mlflow.__version__
    packages = facts["environment"]["packages"]
    assert (packages["numpy"], packages["scikit-learn"]) == ("2.4.6", ">=1.5")
    assert facts["environment"]["python"].startswith("3.")
    assert facts["environment"]["memory"] > 2**20
    assert facts["command"]
    assert facts["aliases"] == ["a", "b"]
    assert facts["datasets"][0] | {"source": "", "digest": ""} == {
        "name": "first",
        "digest": "",
        "b3": str(full_digest(FIRST)),
        "context": "training",
        "source_type": "code",
        "source": "",
    }
    assert "shortened" not in facts


def test_facts_of_runs(client: MlflowClient, story: Any) -> None:
    """A run's place is told: its experiment, parent and children, models in and out."""
    held, artifact = story()

    facts = facts_of(client, held, artifact)
    child = facts_of(client, Held("", "", run_id=facts["run"]["children"][0]), nothing)

    run = facts["run"]
    assert (run["experiment"], run["status"]) == ("ordinary", "FINISHED")
    assert client.get_run(run["parent"]).info.run_name == "whole"
    assert child["run"]["parent"] == held.run_id
    assert child["inputs"] == [{"model_id": held.model_id, "name": "model"}]
    assert [one["model_id"] for one in facts["outputs"]] == [held.model_id]
    assert facts["model"]["type"] == "classifier"
    measured = facts["evaluations"]
    assert [(one["run_id"], one["metrics"]) for one in measured] == [
        (child["run"]["id"], {"late": 0.25})
    ]
    assert measured[0]["dataset"]["name"] == "second"


def test_facts_digest(client: MlflowClient, story: Any) -> None:
    """Of a model that a run took in, the digest is told once it is committed."""
    held, _ = story()
    name = f"registered-{held.model_id}"
    client.create_registered_model(name)
    client.create_model_version(name, held.uri, model_id=held.model_id, tags={TAG: "b3:1"})
    with mlflow.start_run() as run:
        mlflow.log_input(model=mlflow.entities.LoggedModelInput(held.model_id))
    run_id = run.info.run_id
    client.set_logged_model_tags(
        held.model_id, {"mlflow.modelVersions": json.dumps([{"name": name, "version": 1}])}
    )

    facts = facts_of(client, Held("", "", run_id=run_id), nothing)

    assert facts["inputs"] == [{"model_id": held.model_id, "name": "model", "digest": "b3:1"}]


def test_facts_deleted(client: MlflowClient, story: Any, tracking: str) -> None:
    """A deleted run tells what it knew, a purged one that it is gone; neither is an error."""
    held, artifact = story()
    client.delete_run(held.run_id)
    deleted = facts_of(client, held, artifact)
    client._tracking_client.store._hard_delete_run(held.run_id)
    client.delete_logged_model(held.model_id)
    gone = facts_of(client, held, artifact)
    bare = facts_of(client, Held("", "", run_id="no such'run", model_id="m-0"), nothing)

    assert tracking
    assert deleted["run"]["status"] == "deleted"
    assert deleted["params"]["lr"] == "0.1"
    assert gone["run"] == {"id": held.run_id, "status": "gone"}
    assert gone["model"] == {"id": held.model_id, "status": "gone"}
    assert gone["environment"]["packages"]
    assert bare == {
        "run": {"id": "no such'run", "status": "gone"},
        "model": {"id": "m-0", "status": "gone"},
    }


def test_facts_away(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where MLflow does not answer, no facts are made up."""

    def away(_run: str) -> None:
        raise MlflowException("the server is away")

    monkeypatch.setattr(client, "get_run", away)

    with pytest.raises(MlflowException, match="away"):
        facts_of(client, Held("", "", run_id="0" * 32), nothing)


# Runs.


def test_stamped(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run is stamped, unless that is turned off."""
    with mlflow.start_run() as run:
        pass
    monkeypatch.setenv("MLFLOW_VAULT_CAPTURE", "0")
    with mlflow.start_run() as plain:
        pass

    stamped, unstamped = (
        {key for key in client.get_run(one.info.run_id).data.tags if "mlflow_vault." in key}
        for one in (run, plain)
    )
    assert {"mlflow_vault.python", "mlflow_vault.command", "mlflow_vault.cpu"} <= stamped
    assert unstamped == set()


def test_data_of_runs_around(client: MlflowClient) -> None:
    """What a run above or below was given is told too, with the run that was."""
    experiment = client.create_experiment("around")
    above = client.create_run(experiment).info.run_id
    middle = client.create_run(experiment, tags={"mlflow.parentRunId": above}).info.run_id
    below = client.create_run(experiment, tags={"mlflow.parentRunId": middle}).info.run_id
    for run, name in ((above, "all"), (middle, "half"), (below, "quarter")):
        data = Dataset(name, "12ab", "local", "{}")
        client.log_inputs(run, [DatasetInput(data)])

    facts = facts_of(client, Held("", "", run_id=middle), nothing)

    told = {(data["name"], data.get("run_id", "")) for data in facts["datasets"]}
    assert told == {("half", ""), ("all", above), ("quarter", below)}
    client.set_tag(above, "mlflow.parentRunId", middle)  # a circle
    assert facts_of(client, Held("", "", run_id=middle), nothing)["datasets"]
