"""The latest value of a metric is the one that MLflow has, with the time it was logged."""

from __future__ import annotations

import math
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import mlflow
import pytest

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.govern.host import Held
from mlflow_vault.plugin.host import MlflowHost

if TYPE_CHECKING:
    from collections.abc import Callable

    Log = Callable[..., str]

NOBODY = Held("models:/credit/1", "", "credit", 1)


@pytest.fixture
def experiment(tracking: str) -> str:
    """The name of an experiment of this test's own."""
    assert tracking
    name = f"it's live {secrets.token_hex(4)}"
    mlflow.create_experiment(name)
    return name


@pytest.fixture
def log(experiment: str) -> Log:
    """Log values of a metric with their times, in a run of its own; return the run's id."""
    client = mlflow.MlflowClient()
    known = client.get_experiment_by_name(experiment).experiment_id

    def logged(key: str, *values: tuple[float, int], **tags: str) -> str:
        run = client.create_run(known, tags=tags)
        for step, (value, time) in enumerate(values):
            client.log_metric(run.info.run_id, key, value, timestamp=time, step=step)
        return str(run.info.run_id)

    return logged


@pytest.mark.parametrize("key", ["live/auc", "auc", "val auc", "a.b-c_d"])
def test_experiment(key: str, experiment: str, log: Log) -> None:
    """Of an experiment's runs the latest value counts, whichever run began last."""
    run = log(key, (0.9, 1000), (0.8, 3000))
    log(key, (0.7, 2000))
    log("other", (0.1, 9000))

    found = MlflowHost().metric(key, NOBODY, experiment)

    assert (found.value, found.time) == (0.8, 3000)
    assert run
    assert MlflowHost().metric("none", NOBODY, experiment).reason.endswith("has no metric 'none'")


def test_filter(experiment: str, log: Log) -> None:
    """A filter chooses among the runs; one that is none is an error."""
    log("auc", (0.9, 1000), role="live")
    log("auc", (0.1, 5000), role="shadow")

    found = MlflowHost().metric("auc", NOBODY, experiment, "tags.role = 'live'")

    assert (found.value, found.time) == (0.9, 1000)
    with pytest.raises(InvalidInputError):
        MlflowHost().metric("auc", NOBODY, experiment, "tags.role ==== 'live'")
    with pytest.raises(InvalidInputError, match="cannot spell"):
        MlflowHost().metric('a`"b', NOBODY, experiment)


def test_no_number(experiment: str, log: Log) -> None:
    """A NaN is found as one: it is the latest value all the same."""
    log("auc", (0.9, 1000), (math.nan, 2000))

    found = MlflowHost().metric("auc", NOBODY, experiment)

    assert math.isnan(found.value or 0)
    assert found.time == 2000


def test_no_experiment(tracking: str) -> None:
    """An experiment that is not there has no value, and the reason says so."""
    assert tracking
    found = MlflowHost().metric("auc", NOBODY, "nowhere")

    assert (found.value, found.reason) == (None, "there is no experiment 'nowhere'")


def test_version(experiment: str, log: Log) -> None:
    """Of a version count what its own run and its logged model have, wherever that was logged."""
    client = mlflow.MlflowClient()
    known = client.get_experiment_by_name(experiment).experiment_id
    run = log("auc", (0.9, 1000))
    model = mlflow.initialize_logged_model(experiment_id=known, source_run_id=run)
    held = replace(NOBODY, run_id=run, model_id=model.model_id)
    before = MlflowHost().metric("auc", held)
    other = log("unrelated", (1, 1))
    client.log_metric(other, "auc", 0.6, timestamp=7000, model_id=model.model_id)
    log("auc", (0.1, 9000))

    after = MlflowHost().metric("auc", held)

    assert (before.value, before.time) == (0.9, 1000)
    assert (after.value, after.time, after.source) == (0.6, 7000, f"runs:/{other}")
    assert MlflowHost().metric("auc", NOBODY).reason == "the version credit/1 has no metric 'auc'"
