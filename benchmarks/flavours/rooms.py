"""Virtual environments: libraries that cannot live together get rooms of their own.

A room is made once and kept; with `uv` it takes seconds and shares its files with the others,
without it Python's own `venv` and pip do the same more slowly.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]  # of the project
_DONE: Final = "installed.txt"  # in a room: what it was made with
_WHEELS: Final = "PIP_FIND_LINKS"  # uv reads its own variable only


@dataclass(frozen=True, slots=True)
class Room:
    """An environment.

    Attributes:
        requirements: What is installed beside MLflow and the vault.
        commands: Programs that have to be there.
    """

    requirements: tuple[str, ...]
    commands: tuple[str, ...] = ()


ROOMS: Final = {
    "classic": Room(
        (
            "scikit-learn>=1.6",
            "skops>=0.11",
            "xgboost>=2.1",
            "lightgbm>=4.6",
            "catboost>=1.2.8",
            "statsmodels>=0.14.5",
            "prophet>=1.1.7",
            "pmdarima>=2.1",
            "shap>=0.47",
            "onnx>=1.18",
            "onnxruntime>=1.20",
            "skl2onnx>=1.18",
        )
    ),
    # Where several builds of torch are on offer, `UV_TORCH_BACKEND=cpu` takes the small one.
    "torch": Room(
        (
            "torch==2.13.0",
            "transformers>=4.56",
            "sentence-transformers>=5",
            "diffusers>=0.35",
            "peft>=0.17",
            "accelerate>=1",
        )
    ),
    "tensorflow": Room(
        (
            "tensorflow-cpu>=2.18; sys_platform == 'linux' and platform_machine == 'x86_64'",
            "tensorflow>=2.18; sys_platform != 'linux' or platform_machine != 'x86_64'",
            "keras>=3.7",
        )
    ),
    "spacy": Room(("spacy>=3.8.3",)),
    "paddle": Room(("paddlepaddle>=3", "setuptools")),  # which it imports and does not ask for
    "h2o": Room(("h2o>=3.46.0.6",), ("java",)),
    "spark": Room(("pyspark>=3.4.4",), ("java",)),
    "chains": Room(("langchain>=1", "llama-index-core>=0.14.5", "dspy>=3.1", "openai>=2.2")),
}


class RoomError(Exception):
    """A room cannot be had; the message says why."""


def enter(name: str, folder: Path) -> Path:
    """Return the Python of the room *name* below *folder*; make the room if need be.

    Raises:
        RoomError: A program is missing, or the packages cannot be installed.
    """
    room = ROOMS[name]
    for command in room.commands:
        if shutil.which(command) is None:
            raise RoomError(f"needs the program {command}")
    place = (folder / name).resolve()
    python = place / "bin" / "python"
    wanted = [f"mlflow=={importlib.metadata.version('mlflow')}", *room.requirements]
    mark = hashlib.sha256("\n".join([str(ROOT), *wanted]).encode()).hexdigest()
    done = place / _DONE
    if done.exists() and done.read_text(encoding="utf-8") == mark:
        return python
    print(f"installing {name}: {', '.join(wanted)}", flush=True)
    _install(place, python, ["-e", str(ROOT), *wanted])
    done.write_text(mark, encoding="utf-8")
    return python


def _install(place: Path, python: Path, wanted: list[str]) -> None:
    uv = shutil.which("uv")
    environment = dict(os.environ)
    if uv:
        if _WHEELS in environment:
            environment.setdefault("UV_FIND_LINKS", environment[_WHEELS])
        steps = [
            [uv, "venv", "--clear", "--quiet", "--python", sys.executable, str(place)],
            [uv, "pip", "install", "--quiet", "--python", str(python), *wanted],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", "--clear", str(place)],
            [str(python), "-m", "pip", "install", "--quiet", *wanted],
        ]
    for step in steps:
        result = subprocess.run(step, capture_output=True, text=True, check=False, env=environment)
        if result.returncode:
            last = (result.stderr.strip() or result.stdout.strip() or "?").splitlines()[-1]
            raise RoomError(f"cannot be installed here: {last}")
