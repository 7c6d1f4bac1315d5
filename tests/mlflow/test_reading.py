"""What MLflow's client lists and downloads is what a local folder would give it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[Callable[[str], object]], Any]
    Outcome = Callable[[Callable[[], object]], str]

# What MLflow before 3.12 said of missing files in its local repository.
BEFORE_3_12 = ("OSError", "INTERNAL_ERROR")


@pytest.fixture
def run_of(folder: Path) -> Callable[[str], mlflow.entities.Run]:
    """Make a run that holds *folder* at its root and below ``more``."""

    def make(experiment: str) -> mlflow.entities.Run:
        with mlflow.start_run(experiment_id=experiment) as run:
            mlflow.log_artifacts(str(folder))
            mlflow.log_artifacts(str(folder), "more")
            mlflow.log_text("near", "more2/n.txt")
        return run

    return make


def contents(root: str | Path) -> dict[str, bytes]:
    """Return every file at or below *root*, by its path from there."""
    start = Path(root)
    files = [start] if start.is_file() else sorted(start.rglob("*"))
    return {
        file.relative_to(start).as_posix(): file.read_bytes() for file in files if file.is_file()
    }


@pytest.mark.parametrize(
    "path", [None, "", "more", "more/", "more/inner", "mor", "a.txt", "missing", "more/a.txt/x"]
)
def test_list(tell: Tell, run_of: Callable[[str], Any], path: str | None) -> None:
    """A listing is one level, sorted, full paths; empty for a file or what is not there."""

    def story(experiment: str) -> object:
        run = run_of(experiment)
        client = mlflow.MlflowClient().list_artifacts(run.info.run_id, path)
        below = mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path=path)
        return [
            [(item.path, item.is_dir, item.file_size) for item in items]
            for items in (client, below)
        ]

    listed, again = tell(story)

    assert listed == again
    assert ("more2", True, None) in listed or path


@pytest.mark.parametrize(
    "path", ["", "more", "more/", "a.txt", "more/inner", "more/inner/deep/c.bin"]
)
def test_download(tell: Tell, run_of: Callable[[str], Any], tmp_path: Path, path: str) -> None:
    """Files and folders come back exact, in a folder of the caller's or of their own."""

    def story(experiment: str) -> object:
        run = run_of(experiment)
        target, aside = tmp_path / f"to-{experiment}", tmp_path / f"aside-{experiment}"
        target.mkdir()
        download = mlflow.artifacts.download_artifacts
        named = download(run_id=run.info.run_id, artifact_path=path, dst_path=str(target))
        alone = download(f"runs:/{run.info.run_id}/{path}")
        uri = f"{run.info.artifact_uri}/{path}"
        direct = download(artifact_uri=uri, dst_path=str(aside))
        return (
            Path(named).relative_to(target).as_posix(),
            contents(named),
            contents(alone),
            Path(direct).relative_to(aside).as_posix(),
            contents(direct),
            sorted(contents(target)),
        )

    _, named, alone, _, direct, _ = tell(story)

    assert named == alone == direct != {}


def test_download_lands_in_a_folder_of_its_own(vaulted: str, run_of: Callable[[str], Any]) -> None:
    """Without a destination each download gets a new folder: what a caller writes stays his."""
    run = run_of(vaulted)
    uri = f"runs:/{run.info.run_id}/more"

    first = Path(mlflow.artifacts.download_artifacts(uri))
    (first / "a.txt").write_text("scribbled")
    second = Path(mlflow.artifacts.download_artifacts(uri))

    assert first != second
    assert (second / "a.txt").read_text() == "alpha"


@pytest.mark.parametrize(
    "path", ["missing", "more/missing", "a.txt/x", "mor", "../up", "/etc/hostname", "%2e%2e/up"]
)
def test_download_what_is_not_there(
    places: tuple[str, str],
    run_of: Callable[[str], Any],
    outcome: Outcome,
    tmp_path: Path,
    path: str,
) -> None:
    """A missing or climbing path fails with the code MLflow's local repository has."""

    def story(experiment: str) -> str:
        repository = mlflow.artifacts.get_artifact_repository(run_of(experiment).info.artifact_uri)
        return outcome(lambda: repository.download_artifacts(path))

    expected = "RESOURCE_DOES_NOT_EXIST"
    if ".." in path or path.startswith(("/", "%")):
        expected = "INVALID_PARAMETER_VALUE"
    theirs, ours = map(story, places)
    assert ours == expected
    assert theirs in {expected, *BEFORE_3_12}
    assert not any(tmp_path.glob("up*"))


def test_download_to_odd_places(
    tell: Tell, run_of: Callable[[str], Any], outcome: Outcome, folder: Path
) -> None:
    """A destination that is missing, or is a file, is refused with MLflow's codes."""

    def story(experiment: str) -> object:
        repository = mlflow.artifacts.get_artifact_repository(run_of(experiment).info.artifact_uri)
        return (
            outcome(lambda: repository.download_artifacts("a.txt", str(folder / "nowhere"))),
            outcome(lambda: repository.download_artifacts("a.txt", str(folder / "a.txt"))),
        )

    assert tell(story) == ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


def test_download_of_an_empty_run(tell: Tell) -> None:
    """A run without artifacts lists nothing and downloads as an empty folder."""

    def story(experiment: str) -> object:
        with mlflow.start_run(experiment_id=experiment) as run:
            mlflow.log_param("p", 1)
        client = mlflow.MlflowClient()
        return client.list_artifacts(run.info.run_id)

    assert tell(story) == []


def test_load_what_is_not_there(
    places: tuple[str, str], run_of: Callable[[str], Any], outcome: Outcome
) -> None:
    """`load_text`, `load_dict` and `load_image` of a missing file say that it is missing."""
    loads = (mlflow.artifacts.load_text, mlflow.artifacts.load_dict, mlflow.artifacts.load_image)

    def story(experiment: str) -> set[str]:
        uri = run_of(experiment).info.artifact_uri
        return {outcome(lambda load=load: load(f"{uri}/missing")) for load in loads}  # type: ignore[misc]

    theirs, ours = map(story, places)
    assert ours == {"RESOURCE_DOES_NOT_EXIST"}
    assert theirs <= {"RESOURCE_DOES_NOT_EXIST", *BEFORE_3_12}
