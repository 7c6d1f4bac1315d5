"""Each deployment serves a model's whole life, and `mlflow gc` takes what was deleted alone."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[list[str], dict[str, str]], str]
    Client = Callable[..., str]

STORY: Final = Path(__file__).with_name("story.py")


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory, run: Run) -> str:
    """A Python that has this one's MLflow and scikit-learn, and nothing of ours."""
    folder = tmp_path_factory.mktemp("stranger") / "venv"
    same = [f"{name}=={version(name)}" for name in ("mlflow", "scikit-learn", "skops")]
    uv, python = [sys.executable, "-m", "uv"], f"{folder}/bin/python"
    run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], dict(os.environ))
    run([*uv, "pip", "install", "--quiet", "--python", python, *same], dict(os.environ))
    return python


@pytest.fixture
def client(server: Any, run: Run, request: pytest.FixtureRequest) -> Client:
    """Return what runs a script with arguments as a client of the server.

    Directly it has this package and what opens the vault; through the proxy it has neither.
    """
    direct = server.deployment.artifacts == "direct"
    python = sys.executable if direct else request.getfixturevalue("stranger")
    environment = dict(server.environment)
    for name in server.environment:
        if name.startswith(("AWS_", "MLFLOW_S3_")) and not direct:
            del environment[name]
    return lambda script, *words: run([python, str(script), *map(str, words)], environment)


def folder_of(location: str) -> str:
    """Return the path in the vault that a run's or model's location stands for."""
    if location.startswith("mlflow-artifacts:"):
        return location.removeprefix("mlflow-artifacts:").lstrip("/")
    return location.partition("/root/")[2]


def test_story(server: Any, client: Client, tmp_path: Path) -> None:
    """Logged, registered, served, loaded, deleted and collected; what is left is as it was."""
    client(STORY, "tell", server.url, tmp_path)
    told = json.loads((tmp_path / "told.json").read_text())
    vault, kinds = server.vault(), ("artifacts", "model_artifacts")
    gone = [folder_of(told["first"][kind]) for kind in kinds]
    kept = [folder_of(told["second"][kind]) for kind in kinds]
    before = {path for folder in kept for path in vault.walk(folder)}
    assert all(any(vault.walk(folder)) for folder in gone + kept)

    said = server.collect()
    client(STORY, "after", server.url, tmp_path)

    assert told["plugin"] == (server.deployment.artifacts == "direct")
    assert f"Run with ID {told['first']['run']} has been permanently deleted" in said
    assert not any(any(vault.walk(folder)) for folder in gone)
    assert {path for folder in kept for path in vault.walk(folder)} == before
    assert vault.verify().is_whole
    assert "Traceback" not in server.log.read_text()
