"""`mlflow gc` removes what it removes from a local folder, and keeps what is sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from click.testing import CliRunner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Tell = Callable[[Callable[[str], object]], Any]
    Seen = Callable[[str], dict[str, int | None]]


@pytest.fixture
def collect(tracking: str) -> Callable[[str], str]:
    """Run `mlflow gc` on one run and return what it printed."""
    # The module pulls in MLflow's server, whose imports warn: not while tests are collected.
    from mlflow.cli import gc  # noqa: PLC0415

    def run(run_id: str) -> str:
        places = ["--backend-store-uri", tracking, "--tracking-uri", tracking]
        result = CliRunner().invoke(gc, [*places, "--run-ids", run_id], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_gc(tell: Tell, seen: Seen, collect: Callable[[str], str], folder: Path) -> None:
    """Artifacts of deleted runs go; those of the others stay."""

    def story(experiment: str) -> object:
        runs = []
        for _ in range(2):
            with mlflow.start_run(experiment_id=experiment) as run:
                mlflow.log_artifacts(str(folder))
            runs.append(run)
        mlflow.delete_run(runs[0].info.run_id)

        collect(runs[0].info.run_id)

        return [seen(run.info.artifact_uri) for run in runs]

    gone, kept = tell(story)

    assert gone == {}
    assert kept["inner/deep/c.bin"] == 10240
