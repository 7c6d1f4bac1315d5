"""An estimate is what the vault then stores, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., Any]
    Snapshot = Callable[[Path], dict[str, bytes]]


RUNS = tuple(f"{number:032x}" for number in range(3))


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder for the temporary vault."""
    folder = tmp_path / "room"
    folder.mkdir()
    return folder


def test_versions(run: Run, versions: list[Path], room: Path) -> None:
    """Several folders are versions: the first costs, the others cost their difference."""
    printed = run("estimate", *versions, "--tmp", room, "--json")

    steps = printed.values["steps"]
    shares = [step["stored"] / step["raw"] for step in steps]
    assert printed.code == 0
    assert [step["name"] for step in steps] == [str(path) for path in versions]
    assert shares[0] > 0.5
    assert max(shares[1:]) < 0.2
    assert printed.values["stored"] == sum(step["stored"] for step in steps)
    assert not list(room.iterdir())


def test_files(run: Run, versions: list[Path], tmp_path: Path, room: Path) -> None:
    """Several files are versions of one file, whatever they are called."""
    files = []
    for number, version in enumerate(versions):
        files.append(tmp_path / f"model-{number}.npy")
        shutil.copy(version / "weights.npy", files[-1])

    steps = run("estimate", *files, "--tmp", room, "--json").values["steps"]

    assert all(step["stored"] < 0.2 * step["raw"] for step in steps[1:])


def test_as_stored(
    run: Run, versions: list[Path], vault: Path, room: Path, snapshot: Snapshot
) -> None:
    """What is estimated is what a vault with these files takes on the disk."""
    stored = sum(map(len, snapshot(vault).values()))

    estimated = run("estimate", *versions, "--tmp", room, "--json").values["stored"]

    assert estimated == pytest.approx(stored, rel=0.01)


def test_existing(run: Run, versions: list[Path], tmp_path: Path, room: Path) -> None:
    """One folder is existing artifacts: by experiment, oldest run first, MLflow's notes aside."""
    root = tmp_path / "mlruns"
    order = [RUNS[2], RUNS[0], RUNS[1]]  # the names of runs say nothing about their age
    for age, (name, version) in enumerate(zip(order, versions, strict=True)):
        artifacts = root / "7" / name / "artifacts"
        shutil.copytree(version, artifacts)
        (root / "7" / name / "meta.yaml").write_text("run: 1\n")
        os.utime(artifacts, (1e9 + age, 1e9 + age))
    other = root / "8" / "models" / f"m-{RUNS[0]}" / "artifacts"
    other.mkdir(parents=True)
    (other / "MLmodel").write_text("other\n")

    printed = run("estimate", root, "--tmp", room, "--json")

    steps = {step["name"]: step for step in printed.values["steps"]}
    assert {name: step["files"] for name, step in steps.items()} == {"7": 9, "8": 1}
    assert steps["7"]["stored"] < 0.5 * steps["7"]["raw"]


def test_plain_folder(run: Run, versions: list[Path], room: Path) -> None:
    """One folder that MLflow did not lay out is taken whole."""
    printed = run("estimate", versions[0], "--tmp", room)

    assert printed.code == 0
    assert "total" in printed.out
    assert "nothing was kept" in printed.out


def test_sources_unchanged(
    run: Run, versions: list[Path], tmp_path: Path, room: Path, snapshot: Snapshot
) -> None:
    """The user's files are only read."""
    copy = tmp_path / "mine"
    shutil.copytree(versions[0], copy)
    before = snapshot(copy)

    run("estimate", copy, "--tmp", room)

    assert snapshot(copy) == before


def test_refusals(run: Run, vault: Path, tmp_path: Path, room: Path) -> None:
    """A vault, an empty folder, an unreadable link and a place inside the files are bad input."""
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "link").symlink_to(tmp_path / "nowhere")

    refused = [
        run("estimate", vault, "--tmp", room),
        run("estimate", tmp_path / "empty", "--tmp", room),
        run("estimate", broken, "--tmp", room),
        run("estimate", vault / "tree", "--tmp", vault / "tree"),
        run("estimate", vault / "tree", "--tmp", tmp_path / "nowhere"),
    ]

    assert [printed.code for printed in refused] == [2] * 5
    assert not list(room.iterdir())
