"""Every public method of MLflow's repository, called on both kinds."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import mlflow
import pytest
from mlflow.artifacts import get_artifact_repository

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Tell = Callable[[Callable[[str], object]], Any]
    Seen = Callable[[str], dict[str, int | None]]
    Outcome = Callable[[Callable[[], object]], str]


def repository(experiment: str, path: str = "") -> Any:
    """Return the repository of a new run of *experiment*, or of a folder in it."""
    with mlflow.start_run(experiment_id=experiment) as run:
        return get_artifact_repository(f"{run.info.artifact_uri}{path}")


def test_a_deeper_location(tell: Tell, seen: Seen, folder: Path) -> None:
    """A repository of a folder inside a run sees that folder as its root."""

    def story(experiment: str) -> object:
        whole = repository(experiment)
        deeper = get_artifact_repository(f"{whole.artifact_uri}/one/two")
        deeper.log_artifacts(str(folder), "three")
        deeper.log_artifact(str(folder / "a.txt"))
        return seen(whole.artifact_uri), seen(deeper.artifact_uri)

    whole, deeper = tell(story)

    assert whole["one/two/three/inner/deep/c.bin"] == deeper["three/inner/deep/c.bin"] == 10240


@pytest.mark.parametrize("path", [None, "", "inner", "inner/", "a.txt", "missing", "inn"])
def test_delete(tell: Tell, seen: Seen, folder: Path, path: str | None) -> None:
    """`delete_artifacts` removes a file, a folder or all, and nothing of a similar name."""

    def story(experiment: str) -> object:
        made = repository(experiment)
        made.log_artifacts(str(folder))
        made.log_artifact(str(folder / "a.txt"), "inner2")
        made.delete_artifacts(path)
        return {name: size for name, size in seen(made.artifact_uri).items() if name != "inner"}

    left = tell(story)

    assert ("a.txt" in left) == (path in {"inner", "inner/", "missing", "inn"})


@pytest.mark.parametrize(
    "path", ["..", "../..", "a/../..", "%2e%2e", "%252e%252e/x", "/etc", "a\0b"]
)
def test_climbing(vaulted: str, outcome: Outcome, folder: Path, path: str) -> None:
    """A path that climbs, however encoded, reaches nothing through any method."""
    made = repository(vaulted)
    made.log_artifacts(str(folder))

    assert {
        outcome(lambda: made.list_artifacts(path)),
        outcome(lambda: made.download_artifacts(path)),
        outcome(lambda: made.delete_artifacts(path)),
        outcome(lambda: made.get_local_path(path)),
        outcome(lambda: made.log_artifact(str(folder / "a.txt"), path)),
        outcome(lambda: made.log_artifacts(str(folder), path)),
    } <= {"INVALID_PARAMETER_VALUE", "INTERNAL_ERROR"}
    assert len(made.list_artifacts()) == 3


@pytest.mark.parametrize("path", ["missing", "inner", "a.txt", "../x"])
def test_get_local_path(vaulted: str, outcome: Outcome, folder: Path, path: str) -> None:
    """A file has no path on disk; a folder, or what is missing, is an error."""
    made = repository(vaulted)
    made.log_artifacts(str(folder))

    assert (
        outcome(lambda: made.get_local_path(path))
        == {
            "missing": "RESOURCE_DOES_NOT_EXIST",
            "inner": "INVALID_PARAMETER_VALUE",
            "a.txt": "no error",
            "../x": "INVALID_PARAMETER_VALUE",
        }[path]
    )
    assert made.get_local_path("a.txt") is None


def test_trace(tell: Tell, outcome: Outcome) -> None:
    """A trace's data come back as they were; those of a missing trace are said to be missing."""

    def story(experiment: str) -> object:
        made, empty = repository(experiment), repository(experiment)
        made.upload_trace_data('{"spans": [{"name": "é"}]}')
        return (
            made.download_trace_data(),
            outcome(empty.download_trace_data),
            [item.path for item in made.list_artifacts()],
        )

    trace, missing, _ = tell(story)

    assert trace == {"spans": [{"name": "é"}]}
    assert missing == "NOT_FOUND"


def test_pickle(tell: Tell) -> None:
    """Neither kind pickles: a process that needs one is given its location."""

    def story(experiment: str) -> object:
        try:
            pickle.dumps(repository(experiment))
        except TypeError:
            return "no"
        return "yes"

    assert tell(story) == "no"
