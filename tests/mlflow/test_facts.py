"""Facts about MLflow's registry and formats that the vault is built on.

No test of ours would fail if one of them changed; these would.
"""

from __future__ import annotations

import inspect
import secrets
import zipfile
from pathlib import Path
from typing import Any

import mlflow
import mlflow.data
import mlflow.pytorch
import mlflow.sklearn
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
import pytest
from mlflow.entities.webhook import WebhookEvent
from mlflow.exceptions import MlflowException
from mlflow.webhooks import delivery, types
from packaging.version import Version
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from mlflow_vault.vault import Vault

VERSION = Version(mlflow.__version__)
GOLDEN = Path(__file__).parents[1] / "golden" / "files"
ROWS = np.random.default_rng(7).normal(size=(60, 4))
LABELS = ROWS[:, 0] > 0
# What `mlflow.data` hashes of a frame.
SEEN_ROWS = 10_000


@pytest.fixture
def client(tracking: str) -> mlflow.MlflowClient:
    """A client of this session's database."""
    return mlflow.MlflowClient(tracking, tracking)


@pytest.fixture
def name(client: mlflow.MlflowClient) -> str:
    """A registered model without versions."""
    made = secrets.token_hex(8)
    client.create_registered_model(made)
    return made


@pytest.fixture
def source(client: mlflow.MlflowClient, ordinary: str) -> str:
    """The address of a logged model that is ready."""
    model_id = client.create_logged_model(ordinary, "model").model_id
    client.finalize_logged_model(model_id, "READY")
    return f"models:/{model_id}"


# The registry.


def test_model_id(client: mlflow.MlflowClient, name: str, source: str) -> None:
    """A version does not tell its model's id, even where one was given; its source does."""
    client.create_model_version(name, source)
    client.create_model_version(name, source, model_id=source.removeprefix("models:/"))
    client.copy_model_version(f"models:/{name}/1", f"{name}-copy")

    versions = [client.get_model_version(name, number) for number in ("1", "2")]
    copied = client.get_model_version(f"{name}-copy", "1")

    assert [version.model_id for version in (*versions, copied)] == [None] * 3
    assert [version.source for version in versions] == [source] * 2
    assert copied.source == f"models:/{name}/1"


def test_numbers(client: mlflow.MlflowClient, name: str, source: str) -> None:
    """Numbers of versions start again at 1 once the registered model was deleted."""
    before = [client.create_model_version(name, source).version for _ in range(2)]
    client.delete_registered_model(name)
    client.create_registered_model(name)

    after = client.create_model_version(name, source).version

    assert [int(number) for number in (*before, after)] == [1, 2, 1]


@pytest.mark.parametrize(
    "clause",
    [
        "name = 'x'",
        "run_id = 'x'",
        "source_path = 'x'",
        "version_number = 99",
        "tags.x = 'x'",
        "name = 'x' AND run_id = 'x'",
    ],
)
def test_search_versions(client: mlflow.MlflowClient, clause: str) -> None:
    """Versions are found by name, run, source, number and tags, all of them or nothing."""
    assert client.search_model_versions(clause) == []


@pytest.mark.parametrize(
    "clause",
    [
        "model_id = 'x'",
        "status = 'READY'",
        "user_id = 'x'",
        "aliases = 'x'",
        "current_stage = 'None'",
        "creation_timestamp > 1",
        "name = 'x' OR name = 'y'",
        "NOT name = 'x'",
        "(name = 'x')",
    ],
)
def test_search_versions_by_more(client: mlflow.MlflowClient, clause: str) -> None:
    """Versions are found by nothing else, and without OR, NOT or parentheses."""
    with pytest.raises(MlflowException) as error:
        client.search_model_versions(clause)

    assert error.value.error_code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize(
    "clause",
    [
        "metrics.a > metrics.b",
        "metrics.a > 1 OR metrics.b > 1",
        "NOT metrics.a > 1",
        "(metrics.a > 1)",
    ],
)
def test_search_runs(client: mlflow.MlflowClient, ordinary: str, clause: str) -> None:
    """Runs are not found by comparing metrics, nor with OR, NOT or parentheses."""
    assert client.search_runs([ordinary], "metrics.a > 1 AND metrics.b > 1") == []
    with pytest.raises(MlflowException) as error:
        client.search_runs([ordinary], clause)

    assert error.value.error_code == "INVALID_PARAMETER_VALUE"


def test_stages(client: mlflow.MlflowClient, name: str, source: str) -> None:
    """Stages still work, and warn that they will go."""
    client.create_model_version(name, source)

    with pytest.warns(FutureWarning, match="stage"):
        client.transition_model_version_stage(name, "1", "Production")

    assert client.get_model_version(name, "1").current_stage == "Production"


@pytest.mark.parametrize(
    "event",
    [
        "registered_model.deleted",
        "registered_model.updated",
        "model_version.deleted",
        "model_version.updated",
        "model_version_stage.set",
    ],
)
def test_webhook_events(event: str) -> None:
    """No webhook tells that a model or a version was changed or deleted; of aliases, some do."""
    assert WebhookEvent.from_str("model_version.created")
    assert WebhookEvent.from_str("model_version_alias.deleted")
    assert WebhookEvent.from_str("model_version_tag.deleted")
    with pytest.raises(MlflowException) as error:
        WebhookEvent.from_str(event)

    assert error.value.error_code == "INVALID_PARAMETER_VALUE"


def test_webhook_payloads() -> None:
    """No webhook tells who did it, or what was there before."""
    payloads = [found for name, found in vars(types).items() if name.endswith("Payload")]
    fields = {field for found in payloads for field in getattr(found, "__annotations__", {})}

    assert {"name", "version", "alias", "source"} <= fields
    assert not [
        field
        for field in fields
        for word in ("user", "actor", "author", "by", "previous", "old", "before")
        if word in field.split("_")
    ]


def test_webhook_queue() -> None:
    """What a webhook has still to tell is in memory: threads' work, gone with the process."""
    kept = type(delivery._webhook_delivery_executor)

    assert kept.__module__ == "concurrent.futures.thread"


# Datasets.


def _frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(SEEN_ROWS + 1), **columns})


def _digest(frame: pd.DataFrame) -> str:
    return str(mlflow.data.from_pandas(frame).digest)


def test_dataset_of_many_rows() -> None:
    """`mlflow.data` digests the first 10,000 rows: what follows may differ, and is not seen."""
    first, last, earlier = _frame(), _frame(), _frame()
    last.loc[SEEN_ROWS, "x"] = -1
    earlier.loc[SEEN_ROWS - 1, "x"] = -1

    assert _digest(first) == _digest(last) != _digest(earlier)
    assert len(_digest(first)) == 8


@pytest.mark.parametrize(
    ("one", "other"),
    [(True, False), (pd.Timestamp("2020-01-01"), pd.Timestamp("2024-01-01"))],
    ids=["bool", "datetime"],
)
def test_dataset_of_skipped_columns(one: object, other: object) -> None:
    """`mlflow.data` digests no columns of truths and of times: only that they are there."""
    assert _digest(_frame(y=one)) == _digest(_frame(y=other)) != _digest(_frame())


# Formats.


def _written(experiment: str, model: object, **options: Any) -> tuple[Vault, dict[str, str]]:
    """Log a model; return its vault and where in it each of its files is, by name."""
    with mlflow.start_run(experiment_id=experiment):
        logged = mlflow.sklearn.log_model(
            model, name="model", pip_requirements=["scikit-learn"], **options
        )
    found = Vault.find(mlflow.get_logged_model(logged.model_id).artifact_location)
    assert found is not None
    vault, root = found
    return vault, {path.rpartition("/")[2]: path for path in vault.walk(root)}


def test_sklearn_default(vaulted: str, tmp_path: Path) -> None:
    """`mlflow.sklearn` writes skops, a stored zip of arrays named by number (before, a pickle)."""
    model = LogisticRegression().fit(ROWS, LABELS)
    default = inspect.signature(mlflow.sklearn.log_model).parameters["serialization_format"].default

    vault, files = _written(vaulted, model)

    if default == "cloudpickle":  # 3.10
        assert "model.pkl" in files
        assert Version("3.15") > VERSION
        return
    vault.read_file(files["model.skops"], tmp_path / "model.skops")
    with zipfile.ZipFile(tmp_path / "model.skops") as archive:
        members = archive.infolist()
    stems = [member.filename.removesuffix(".npy") for member in members]
    assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}
    assert sum(stem.isdecimal() for stem in stems) == len(members) - 1
    assert "schema.json" in stems


def test_sklearn_forest(vaulted: str) -> None:
    """A forest as skops needs `skops_trusted_types`, and is then refused no more."""
    forest = RandomForestClassifier(3).fit(ROWS, LABELS)
    if "skops_trusted_types" not in inspect.signature(mlflow.sklearn.log_model).parameters:
        assert Version("3.15") > VERSION
        return

    with pytest.raises(MlflowException, match="skops_trusted_types"):
        _written(vaulted, forest, serialization_format="skops")
    _, files = _written(
        vaulted,
        forest,
        serialization_format="skops",
        skops_trusted_types=["sklearn.tree._tree.Tree", "numpy.dtype"],
    )

    assert "model.skops" in files


def test_pytorch_default() -> None:
    """`mlflow.pytorch` writes pt2 since 3.17 (before, a pickle)."""
    choose = getattr(mlflow.pytorch, "_get_default_serialization_format", lambda **_: "pickle")

    assert choose(export_model=False) == ("pt2" if Version("3.17") <= VERSION else "pickle")


def test_pt2(vaulted: str, tmp_path: Path) -> None:
    """A pt2 file that is logged comes back exact."""
    with mlflow.start_run(experiment_id=vaulted) as run:
        mlflow.log_artifact(str(GOLDEN / "exported.pt2"))

    down = mlflow.artifacts.download_artifacts(
        f"runs:/{run.info.run_id}/exported.pt2", dst_path=str(tmp_path)
    )

    assert Path(down).read_bytes() == (GOLDEN / "exported.pt2").read_bytes()
