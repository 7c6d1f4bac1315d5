"""Measure how time, memory and requests grow, and write it down.

    axes.py: what grows --> building.py: a vault for each point, grown by the writer
                                 |
          round after round, all points: a copy of the vault --> worker.py, a process a step
                                                                    |
                        page.py, plots.py: results/growth.md <-- found.json

Points are interleaved, so that a busy minute hits all of them.  A cost that grows where it must
not is exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from axes import AXES, Axis
from building import copy_links
from findings import Found, judge
from page import markdown
from plots import draw

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE.parent / "results"
FOUND: Final = HERE.parent / ".cache" / "growth" / "found.json"
_WORKER: Final = HERE / "worker.py"
_BUILT: Final = "built"  # the name of a file that says that a point is there, whole


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks/growth", description=(__doc__ or "").splitlines()[0]
    )
    names = [axis.name for axis in AXES]
    parser.add_argument("--only", action="append", choices=names, help="an axis; all without it")
    for axis in AXES:
        parser.add_argument(
            f"--{axis.name}",
            type=float,
            metavar="MOST",
            help=f"how far {axis.unit} grow, {axis.points[-1]:.0e} without it",
        )
    parser.add_argument("--rounds", type=int, default=5, help="repetitions, of which medians count")
    parser.add_argument("--more", action="store_true", help="add to the rounds that were found")
    parser.add_argument("--keep", type=Path, help="build here, keep it, and use it again")
    parser.add_argument("--build", action="store_true", help="build what --keep lacks, no more")
    parser.add_argument("--page", action="store_true", help="only write down what was found")
    parser.add_argument("--found", type=Path, default=FOUND, help="where figures are collected")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of report and plots")
    return parser.parse_args(words)


def chosen(arguments: argparse.Namespace) -> Iterator[Axis]:
    """Yield the axes to measure, as far as they are to grow; where wanted, beyond their points."""
    for axis in AXES:
        if arguments.only and axis.name not in arguments.only:
            continue
        most = int(getattr(arguments, axis.name) or axis.points[-1])
        points = [point for point in axis.points if point < most]
        yield replace(axis, points=(*points, most))


def build(axis: Axis, place: Path) -> Path:
    """Build the points of *axis* below *place*, if they are not there; return their folder."""
    folder = place / axis.name
    wanted = json.dumps([*axis.points])
    mark = folder / _BUILT
    if not mark.exists() or mark.read_text(encoding="ascii") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"{axis.name}: building {axis.points[-1]:,} {axis.unit}", flush=True)
        axis.build(axis.points, folder)
        mark.write_text(wanted, encoding="ascii")
    return folder


def known(axis: Axis, arguments: argparse.Namespace) -> Found:
    """Return what was found at the points of *axis* and may be added to, or nothing yet."""
    points = tuple(axis.points)
    for found in Found.load_all(arguments.found) if arguments.more else ():
        if (found.axis, found.points) == (axis.name, points):
            return found
    return Found(axis.name, points)


def measure(axis: Axis, built: Path, rounds: int, found: Found, kept: Path) -> None:
    """Do every step at every point, *rounds* times over; keep what was found after each."""
    for number in range(1, rounds + 1):
        for point in axis.points:
            print(f"{axis.name}: round {number}, {point:,} {axis.unit}", flush=True)
            with tempfile.TemporaryDirectory(dir=built, prefix="round-") as name:
                _go_round(axis, point, built, Path(name), found)
        found.save(kept)


def _go_round(axis: Axis, point: int, built: Path, room: Path, found: Found) -> None:
    copy_links(built / str(point) / "vault", room / "vault")
    os.sync()  # nothing of ours waits to be written while the clock runs
    for step in axis.steps:
        target = room / "loaded" if step.operation == "load" else built / str(point) / step.files
        job = {
            "operation": step.operation,
            "vault": f"vault-file://{room / 'vault'}",
            "path": step.path(point),
            "files": str(target),
        }
        found.add(step.name, point, _perform(job))
        shutil.rmtree(room / "loaded", ignore_errors=True)


def _perform(job: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, str(_WORKER), json.dumps(job)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    cost: dict[str, Any] = json.loads(done.stdout)
    return cost | {"load": os.getloadavg()[0]}


def main(words: list[str] | None = None) -> int:
    """Build, measure, write down; return 1 if something grows that must not."""
    arguments = parse(words)
    if not arguments.page:
        keep = arguments.keep
        temporary = tempfile.TemporaryDirectory(prefix="growth-")
        with nullcontext(keep) if keep else temporary as place:
            for axis in chosen(arguments):
                built = build(axis, Path(place))
                if not arguments.build:
                    found = known(axis, arguments)
                    measure(axis, built, arguments.rounds, found, arguments.found)
    if arguments.build:
        return 0
    measured = Found.load_all(arguments.found)
    verdicts = [verdict for found in measured for verdict in judge(found)]
    arguments.out.mkdir(parents=True, exist_ok=True)
    for found in measured:
        draw(found, arguments.out / f"growth-{found.axis}.svg")
    page = arguments.out / "growth.md"
    page.write_text(markdown(measured, verdicts), encoding="utf-8")
    grown = [verdict for verdict in verdicts if verdict.missed]
    for verdict in grown:
        print(verdict, file=sys.stderr)
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main())
