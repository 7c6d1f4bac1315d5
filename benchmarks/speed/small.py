"""What is small but paid each time: importing, asking for help, requests, one codec call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from speed.meter import Cost, module_path
from speed.sites import Way

if TYPE_CHECKING:
    from collections.abc import Mapping

    from histories.recipe import History

    from speed.server import Server

IMPORT: Final = (
    "import time; t = time.perf_counter(); import mlflow_vault; print(time.perf_counter() - t)"
)


def starts(repetitions: int) -> dict[str, list[float]]:
    """Seconds: `import mlflow_vault`, `mlflow-vault --help`, and Python alone, interleaved."""
    program = str(Path(sys.executable).parent / "mlflow-vault")
    found: dict[str, list[float]] = {"import": [], "help": [], "python": []}
    for _ in range(repetitions):
        told = subprocess.run(
            [sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True
        )
        found["import"].append(float(told.stdout))
        found["help"].append(_wall(program, "--help"))
        found["python"].append(_wall(sys.executable, "-c", "pass"))
    return found


def codec(histories: Mapping[str, History], repetitions: int) -> dict[str, dict[str, list[float]]]:
    """Medians over chunks of 1 MiB, one a repetition: encode, decode, as shares of BLAKE3's speed.

    By history and kernels; each repetition is a process of its own.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(repetitions):
        for name, history in histories.items():
            for kernels in ("compiled", "numpy"):
                told = subprocess.run(
                    [sys.executable, "-m", "speed.one_call", kernels, *map(str, history.paths[:2])],
                    check=True,
                    capture_output=True,
                    text=True,
                    env={**os.environ, "PYTHONPATH": module_path()},
                )
                row = found.setdefault(f"{name}, {kernels}", {})
                for figure, value in json.loads(told.stdout).items():
                    row.setdefault(figure, []).append(value)
    return found


def inlined(server: Server, folder: Path) -> dict[str, int]:
    """Requests of logging one file that is inlined, in a vault that is there."""
    from speed.ceph import BUCKET  # noqa: PLC0415 - Linux's own
    from speed.sites import Repository, Stage  # noqa: PLC0415 - as above

    folder.mkdir()
    file = folder / "MLmodel"
    file.write_text("flavors:\n  python_function:\n", encoding="utf-8")
    place = (server.client, BUCKET, "small-vault/")
    site = Repository(f"vault-s3://{BUCKET}/small-vault", Stage(file), folder, place)
    site.log(Way())
    cost: Cost = server.watched(lambda: site.log(Way()))
    return cost.requests


def _wall(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - started
