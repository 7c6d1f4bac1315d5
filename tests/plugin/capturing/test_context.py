"""Runs are stamped with what made them, and nothing goes wrong because of it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.plugin.capturing import context
from mlflow_vault.plugin.capturing.context import (
    VaultRunContext,
    code_folder,
    code_of,
    command,
    machine_of,
)

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody."""
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=trunk"]
    return subprocess.run(
        ["git", *who, "-C", str(folder), *arguments],  # noqa: S607 - whichever git there is
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "code"
    (folder / "inner").mkdir(parents=True)
    git(folder, "init")
    (folder / "train.py").write_text("1")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


def test_git(repository: Path) -> None:
    """Commit, branch and state are found from any folder inside; the address has no secrets."""
    git(repository, "remote", "add", "fork", "https://host/fork.git")
    git(repository, "remote", "add", "origin", "https://me:token@host/repo.git")
    clean = context.git(str(repository / "inner"), 1)
    (repository / "untracked.txt").write_text("a note")
    beside = context.git(str(repository / "inner"), 2)
    (repository / "train.py").write_text("2")
    dirty = context.git(str(repository / "inner"), 3)

    assert clean == {
        "git.commit": git(repository, "rev-parse", "HEAD"),
        "git.branch": "trunk",
        "git.dirty": "false",
        "git.url": "https://host/repo.git",
    }
    assert (beside, dirty) == (clean, clean | {"git.dirty": "true"})


def test_git_odd(repository: Path, tmp_path: Path) -> None:
    """A detached head has no branch; before the first commit, and elsewhere, there is nothing."""
    git(repository, "checkout", "--detach")
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init")

    assert context.git(str(repository), 4)["git.branch"] == ""
    assert context.git(str(empty), 4) == context.git(str(tmp_path), 4) == {}
    assert context.git(str(tmp_path / "absent"), 4) == {}


def test_git_runs_nothing(repository: Path, tmp_path: Path) -> None:
    """A repository cannot name a program that runs when it is looked at."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(program))

    assert context.git(str(repository), 5)["git.commit"]

    assert not (tmp_path / "ran").exists()


def test_no_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without git, or with one that hangs, a run is stamped with the rest."""
    (repository / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (repository / "git").chmod(0o755)
    monkeypatch.setattr(context, "_PATIENCE", 0.1)
    for path in (str(repository / "inner"), f"{repository}:/bin:/usr/bin"):
        monkeypatch.setenv("PATH", path)
        context.git.cache_clear()
        assert context.git(str(repository), 6) == {}


def test_tags(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is found is told, in tags that MLflow can keep."""
    monkeypatch.chdir(repository)
    monkeypatch.setattr(sys, "orig_argv", ["python", "train.py", "--token", "x", "x" * 5000])
    context.git.cache_clear()

    tags = VaultRunContext().tags()

    assert set(tags) >= {
        "mlflow_vault.git.commit",
        "mlflow_vault.git.dirty",
        "mlflow_vault.python",
        "mlflow_vault.platform",
        "mlflow_vault.cpu",
        "mlflow_vault.memory",
        "mlflow_vault.command",
    }
    assert tags["mlflow_vault.command"].startswith("python train.py --token *** xxx")
    assert all(0 < len(text.encode()) <= 4000 for text in tags.values())


def test_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run goes without tags rather than not at all."""
    monkeypatch.setattr(sys, "orig_argv", [None])

    assert VaultRunContext().tags() == {}


@pytest.mark.parametrize(
    ("said", "on"), [("", True), ("1", True), ("0", False), ("False", False), (" off ", False)]
)
def test_turned_off(said: str, on: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    """A variable of the environment turns stamping off."""
    monkeypatch.setenv("MLFLOW_VAULT_CAPTURE", said)

    assert VaultRunContext().in_context() is on


def test_command() -> None:
    """Code on a command line is no argument, and may be long; a script's `-c` is its own."""
    assert command([]) == []
    assert command(["/x/python3", "-W", "ignore", "-c", "code", "a"]) == [
        "python3", "-W", "ignore", "-c", "...", "a",
    ]  # fmt: skip
    assert command(["python", "train.py", "-c", "x"]) == ["python", "train.py", "-c", "x"]


def test_code_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code is where the script is; what is installed runs code of the folder it runs in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "train.py").touch()

    assert code_folder("in/train.py") == str(tmp_path / "in")
    for main in (None, pytest.__file__, "absent.py", f"{sys.prefix}/bin/pytest"):
        assert code_folder(main) == str(tmp_path)


def test_machine(tmp_path: Path) -> None:
    """Processors and cards are what Linux lists; where it does not, nothing is made up."""
    card = tmp_path / "proc" / "driver" / "nvidia" / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "information").write_text("Model: \t NVIDIA A100\nIRQ: 5\n")
    other = tmp_path / "sys" / "class" / "drm" / "card1" / "device"
    other.mkdir(parents=True)
    (other / "product_name").write_text("AMD Instinct MI300X\n")
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: A Processor: 2\n")

    assert context.gpus(tmp_path) == ["NVIDIA A100", "AMD Instinct MI300X"]
    assert context.cpu(tmp_path / "cpuinfo") == "A Processor: 2"
    assert (context.gpus(tmp_path / "none"), context.cpu(tmp_path / "none")) == ([], "")
    assert context.machine(os.getpid())["cpu"].split(" x ")[0].isdecimal()


def test_told_again() -> None:
    """Facts have what tags say; MLflow's own tags stand in where ours are missing."""
    ours = {
        "mlflow_vault.git.commit": "1f",
        "mlflow_vault.git.branch": "main",
        "mlflow_vault.git.dirty": "true",
        "mlflow_vault.memory": "1024",
        "mlflow_vault.gpus": '["A100"]',
        "mlflow_vault.python": "3.11.7",
    }
    theirs = {
        "mlflow.source.git.commit": "2f",
        "mlflow.source.git.repoURL": "https://me:pw@host/x",
        "mlflow_vault.memory": "much",
        "mlflow_vault.gpus": "{",
    }

    assert code_of(ours | theirs) == {"commit": "1f", "branch": "main", "dirty": True}
    assert code_of(theirs) == {"commit": "2f", "url": "https://host/x"}
    assert machine_of(ours, {"python": "3.12.0"}) == {
        "python": "3.12.0",
        "memory": 1024,
        "gpus": ["A100"],
    }
    assert machine_of(theirs, {}) == {}
