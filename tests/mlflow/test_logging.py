"""What MLflow's client logs arrives as it does in a local folder."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import matplotlib.figure
import mlflow
import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Tell = Callable[[Callable[[str], object]], Any]
    Seen = Callable[[str], dict[str, int | None]]
    Outcome = Callable[[Callable[[], object]], str]


def logged(experiment: str, log: Callable[[], object]) -> str:
    """Run *log* in a new run of *experiment*; return where its artifacts are."""
    with mlflow.start_run(experiment_id=experiment) as run:
        log()
    return str(run.info.artifact_uri)


def test_log_artifact(tell: Tell, seen: Seen, folder: Path) -> None:
    """`log_artifact` stores a file at the root or in a folder; the last one of a name wins."""

    def story(experiment: str) -> object:
        def log() -> None:
            mlflow.log_artifact(str(folder / "a.txt"))
            mlflow.log_artifact(str(folder / "a.txt"), "some/where")
            mlflow.log_artifact(folder / "empty", "some")
            (folder / "a.txt").write_text("alpha two")
            mlflow.log_artifact(str(folder / "a.txt"))
            (folder / "a.txt").write_text("alpha")

        uri = logged(experiment, log)
        return seen(uri), mlflow.artifacts.load_text(f"{uri}/a.txt")

    files, text = tell(story)

    assert text == "alpha two"
    assert files == {
        "a.txt": 9,
        "some": None,
        "some/empty": 0,
        "some/where": None,
        "some/where/a.txt": 5,
    }


def test_log_artifacts(tell: Tell, seen: Seen, folder: Path) -> None:
    """`log_artifacts` stores a folder's files; logging it again elsewhere or again merges."""

    def story(experiment: str) -> object:
        def log() -> None:
            mlflow.log_artifacts(str(folder))
            mlflow.log_artifacts(str(folder / "inner"), "inner")
            mlflow.log_text("mine", "inner/mine.txt")
            mlflow.log_artifacts(str(folder), "again")

        return seen(logged(experiment, log))

    files = tell(story)

    assert files["inner/b b é.txt"] == 4
    assert files["inner/mine.txt"] == 4
    assert files["again/inner/deep/c.bin"] == 10240


def test_log_artifacts_with_links(tell: Tell, seen: Seen, folder: Path) -> None:
    """A link to a file is stored as the file; a link to a folder is not entered."""
    (folder / "link.txt").symlink_to(folder / "a.txt")
    (folder / "way").symlink_to(folder / "inner")

    def story(experiment: str) -> object:
        found = seen(logged(experiment, lambda: mlflow.log_artifacts(str(folder))))
        return {path: size for path, size in found.items() if path != "way"}

    files = tell(story)

    assert files["link.txt"] == 5
    assert "way/b b é.txt" not in files


def test_log_text_and_dict(tell: Tell, seen: Seen) -> None:
    """`log_text` and `log_dict` write what `load_text` and `load_dict` read."""

    def story(experiment: str) -> object:
        def log() -> None:
            mlflow.log_text("grün ✓", "notes/text.txt")
            mlflow.log_dict({"a": [1, 2], "b": None}, "notes/d.json")
            mlflow.log_dict({"a": [1, 2], "b": None}, "notes/d.yaml")

        uri = logged(experiment, log)
        return (
            seen(uri),
            mlflow.artifacts.load_text(f"{uri}/notes/text.txt"),
            mlflow.artifacts.load_dict(f"{uri}/notes/d.json"),
            mlflow.artifacts.load_text(f"{uri}/notes/d.yaml"),
        )

    _, text, values, _ = tell(story)

    assert text == "grün ✓"
    assert values == {"a": [1, 2], "b": None}


def test_log_figure_and_image(tell: Tell, seen: Seen) -> None:
    """`log_figure` and `log_image` write pictures that `load_image` reads."""
    pixels = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)

    def story(experiment: str) -> object:
        def log() -> None:
            figure = matplotlib.figure.Figure(figsize=(1, 1))
            figure.subplots().plot([1, 2, 3])
            mlflow.log_figure(figure, "pictures/plot.png")
            mlflow.log_image(pixels, "pictures/pixels.png")

        uri = logged(experiment, log)
        image = mlflow.artifacts.load_image(f"{uri}/pictures/pixels.png")
        return seen(uri), np.asarray(image).tobytes()

    files, shown = tell(story)

    assert shown == pixels.tobytes()
    assert set(files) == {"pictures", "pictures/plot.png", "pictures/pixels.png"}


def test_log_image_with_step(tell: Tell, seen: Seen) -> None:
    """`log_image` with a key and a step writes from its own threads and is not lost."""
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)

    def story(experiment: str) -> object:
        def log() -> None:
            for step in range(3):
                mlflow.log_image(pixels, key="grid", step=step, timestamp=7, synchronous=False)
            mlflow.flush_artifact_async_logging()

        found = seen(logged(experiment, log))
        return sorted(
            (re.split("[+%]timestamp", path)[0], str(size)) for path, size in found.items()
        )

    assert len(tell(story)) == 7  # a folder, and a picture and its thumbnail per step


def test_log_table(tell: Tell) -> None:
    """`log_table` appends: the second table reads the first and writes both."""

    def story(experiment: str) -> object:
        def log() -> None:
            mlflow.log_table({"a": [1, 2], "b": ["x", "y"]}, "table.json")
            mlflow.log_table({"a": [3], "b": ["z"]}, "table.json")

        uri = logged(experiment, log)
        frame = mlflow.MlflowClient().load_table(experiment, "table.json", [uri.split("/")[-2]])
        return frame.to_dict("list"), mlflow.artifacts.load_text(f"{uri}/table.json")

    values, _ = tell(story)

    assert values == {"a": [1, 2, 3], "b": ["x", "y", "z"]}


@pytest.mark.parametrize("path", ["../up", "a/../../up", "/etc", "a/./b", "a//b", "a/", "..", "."])
def test_log_to_odd_paths(
    places: tuple[str, str], outcome: Outcome, folder: Path, path: str
) -> None:
    """A folder's path that climbs, is absolute or not plain is refused, as the caller's mistake.

    MLflow calls it an error of its own, which a proxy's client would try again.
    """

    def story(experiment: str) -> tuple[str, ...]:
        with mlflow.start_run(experiment_id=experiment):
            return (
                outcome(lambda: mlflow.log_artifact(str(folder / "a.txt"), path)),
                outcome(lambda: mlflow.log_artifacts(str(folder), path)),
                outcome(lambda: mlflow.log_text("x", f"{path}/x.txt")),
            )

    theirs, ours = map(story, places)

    assert theirs[0] == "INTERNAL_ERROR"
    assert ours == tuple(
        code.replace("INTERNAL_ERROR", "INVALID_PARAMETER_VALUE") for code in theirs
    )


def test_log_what_is_not_there(tell: Tell, outcome: Outcome, tmp_path: Path) -> None:
    """Logging a missing file, or a folder as a file, fails with Python's own error."""

    def story(experiment: str) -> object:
        with mlflow.start_run(experiment_id=experiment):
            repository = mlflow.artifacts.get_artifact_repository(mlflow.get_artifact_uri())
            return (
                outcome(lambda: mlflow.log_artifact(str(tmp_path / "missing"))),
                outcome(lambda: repository.log_artifact(str(tmp_path))),
            )

    assert tell(story) == ("FileNotFoundError", "IsADirectoryError")


def test_log_a_missing_folder(
    ordinary: str, vaulted: str, outcome: Outcome, tmp_path: Path
) -> None:
    """Logging a missing folder is an error; MLflow's own repository does nothing, in silence."""

    def log(experiment: str) -> str:
        with mlflow.start_run(experiment_id=experiment):
            return outcome(lambda: mlflow.log_artifacts(str(tmp_path / "missing")))

    assert log(ordinary) == "no error"
    assert log(vaulted) == "INVALID_PARAMETER_VALUE"


def test_empty_folders(ordinary: str, vaulted: str, seen: Seen, tmp_path: Path) -> None:
    """A folder without files is not kept, as in any object store; MLflow's own keeps it."""
    (tmp_path / "outer" / "inner").mkdir(parents=True)

    def log(experiment: str) -> dict[str, int | None]:
        return seen(logged(experiment, lambda: mlflow.log_artifacts(str(tmp_path / "outer"))))

    assert log(ordinary) == {"inner": None}
    assert log(vaulted) == {}


def test_many_threads(tell: Tell, seen: Seen) -> None:
    """Sixteen threads log to one run at once, and every file is there."""

    def story(experiment: str) -> object:
        with mlflow.start_run(experiment_id=experiment) as run:
            client = mlflow.MlflowClient()

            def log(number: int) -> None:
                for file in range(4):
                    text = f"{number} {file}" * 50
                    client.log_text(run.info.run_id, text, f"t{number}/f{file}.txt")

            threads = [threading.Thread(target=log, args=(number,)) for number in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return seen(run.info.artifact_uri)

    assert len(tell(story)) == 16 + 64
