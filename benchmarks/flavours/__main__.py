"""Log every flavour of MLflow that installs here three times, and write what it cost down.

    ways.py --------> rooms.py: an environment for each group of libraries
       |                 |
       +--> worker.py, a process for each flavour, in its room: JSON
                         |
                         +--> page.py: docs/flavours.md

A flavour that cannot be installed is listed with the reason; one whose logging or loading fails,
or whose bytes come back different, makes the exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from page import markdown
from rooms import ROOT, RoomError, enter
from ways import WAYS, Way

PAGE: Final = ROOT / "docs" / "flavours.md"
CACHE: Final = ROOT / "benchmarks" / ".cache" / "flavours"
LONGEST: Final = 3_600  # seconds that one flavour may take, on a machine that has much to do
# One thread: the same model on every machine with the same libraries, or nearly so.
_SETTINGS: Final = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "GIT_PYTHON_REFRESH": "quiet",
    "CUDA_VISIBLE_DEVICES": "",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENAI_API_KEY": "unused",
    "PYTHONHASHSEED": "0",
    "SPARK_LOCAL_IP": "127.0.0.1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TOKENIZERS_PARALLELISM": "false",
}
_WORKER: Final = Path(__file__).with_name("worker.py")


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/flavours", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--only",
        action="append",
        metavar="FLAVOUR",
        help="a flavour, or one of its ways as flavour/way; prints, and writes with --out only",
    )
    parser.add_argument("--python", type=Path, help="take this Python instead of making rooms")
    parser.add_argument(
        "--cache", type=Path, default=CACHE, help="where rooms and what was found are kept"
    )
    parser.add_argument("--out", type=Path, help=f"the page; {PAGE.name} if all was measured")
    parser.add_argument(
        "--page", action="store_true", help="measure nothing, write the page of what was found"
    )
    return parser.parse_args(words)


def chosen(only: list[str] | None) -> list[Way]:
    """Return the ways that *only* names, all without it."""
    found = [way for way in WAYS if not only or way.flavour in only or way.name in only]
    if not found:
        raise SystemExit(f"no such flavour; there are {', '.join(way.name for way in WAYS)}")
    return found


def measure(flavour: list[Way], arguments: argparse.Namespace) -> None:
    """Measure the ways of one flavour in a process of its own."""
    found = arguments.cache.resolve() / "found"
    found.mkdir(parents=True, exist_ok=True)
    for way in flavour:
        (found / f"{way.file_name}.json").unlink(missing_ok=True)
    try:
        python = arguments.python or enter(flavour[0].room, arguments.cache / "rooms")
    except RoomError as error:
        note(flavour, found, {"absent": str(error)})
        return
    command = [str(python), str(_WORKER), "--out", str(found), *(way.name for way in flavour)]
    try:
        with (found / f"{flavour[0].flavour}.log").open("w", encoding="utf-8") as log:
            result = subprocess.run(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                timeout=LONGEST,
                env={**os.environ, **_SETTINGS},
            )
        reason = f"the process ended with {result.returncode}"
    except subprocess.TimeoutExpired:
        reason = f"not done after {LONGEST} s"
    unsaid = [way for way in flavour if not (found / f"{way.file_name}.json").exists()]
    note(unsaid, found, {"failure": f"{reason}; see {flavour[0].flavour}.log"})


def note(ways: list[Way], folder: Path, said: dict[str, Any]) -> None:
    """Write *said* down for all *ways*."""
    for way in ways:
        (folder / f"{way.file_name}.json").write_text(json.dumps(said), encoding="utf-8")


def read(ways: list[Way], folder: Path) -> dict[Way, dict[str, Any]]:
    """Return what was found of *ways*."""
    places = {way: folder / "found" / f"{way.file_name}.json" for way in ways}
    return {
        way: json.loads(place.read_text(encoding="utf-8"))
        for way, place in places.items()
        if place.exists()
    }


def is_bad(found: dict[str, Any]) -> bool:
    """Whether something failed or came back different."""
    versions = found.get("versions", [])
    return "failure" in found or any(
        version["differing"] or not version["as_alone"] for version in versions
    )


def main(words: list[str] | None = None) -> int:
    """Measure, write the page, and return 1 if something failed or came back different."""
    arguments = parse(words)
    ways = chosen(arguments.only)
    if not arguments.page:
        (arguments.cache / "found" / "mlflow.db").unlink(missing_ok=True)  # of another MLflow
        for name, flavour in groupby(ways, key=lambda way: way.flavour):
            print(f"{name} ...", flush=True)
            measure(list(flavour), arguments)
    found = read(ways, arguments.cache)
    page = markdown(found)
    out = arguments.out or (PAGE if len(found) == len(WAYS) else None)
    if out:
        out.write_text(page, encoding="utf-8")
    print(page)
    bad = [way.name for way, said in found.items() if is_bad(said)]
    print("failed or different: " + ", ".join(bad) if bad else "every byte came back")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
