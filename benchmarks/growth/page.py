"""Writes what was found as a page: verdicts first, then every axis with its figures.

Pure but for looking at the machine.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from axes import Promise
from findings import MEMORY_TIMES, QUANTITIES, TIMES, axis_of, counted, shown, steps_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from findings import Found, Verdict

_HEADS: Final = {
    "seconds": "Time",
    "cpu": "CPU time",
    "memory": "Peak memory",
    "requests": "Requests",
}
_PACKAGES: Final = ("mlflow-vault", "numpy", "zstandard", "blake3", "pyfastcdc")
_HOW: Final = f"""
Written by `python benchmarks/growth`. Each figure is the median of the rounds; in each round all
points of an axis are measured one after another, each step in a process of its own, on a copy of
the point's vault (`vault-file`, on a local disk, which is synced as always).

- Time is from opening the vault to the end of the call, with code imported and loops compiled
  before. CPU time is that of all threads, which a busy machine and a slow disk change less.
- Memory is the most that the process held during the step (`VmHWM`); Python, numpy and the compiled
  loops hold most of it before anything is done, as is said of each axis.
- Requests are what would be requests on an object store (`CountingStore`): one for each object, and
  one for every thousand names of a listing; opening the vault is one of them.

What *must not grow* is compared, at the last point, with the median of the points before:
time may be {TIMES} times that, memory {MEMORY_TIMES} times, and ten requests more. What *grows
with what is done* is compared for each unit of it - a byte, a listed file - with the
cheapest point before.
""".strip()


def markdown(measured: Sequence[Found], verdicts: Sequence[Verdict]) -> str:
    """Return the report."""
    lines = ["# How cost grows", "", *_HOW.splitlines(), "", "## Verdicts", ""]
    lines += [*_verdicts(measured, verdicts), ""]
    for found in measured:
        lines += [*_section(found), ""]
    return "\n".join([*lines, "## With what", "", *_machine(), ""])


def _verdicts(measured: Iterable[Found], verdicts: Iterable[Verdict]) -> Iterator[str]:
    axes = {found.axis: axis_of(found) for found in measured}
    ends = {found.axis: found.points[-1] for found in measured}
    head = ["what grows, up to", "operation", "may", *_HEADS.values(), ""]
    rows = []
    for (name, step), group in groupby(verdicts, key=lambda one: (one.axis, one.step)):
        judged = list(group)
        axis = axes[name]
        grown = f"{counted(ends[name], axis.unit)}{'' if axis.unit == 'bytes' else ' ' + axis.unit}"
        cells = ["-" if one.promise is Promise.SHOWN else f"{one.ratio:.2f}" for one in judged]
        missed = [_HEADS[one.quantity].lower() for one in judged if one.missed]
        verdict = f"**{' and '.join(missed)} grow{'s' * (len(missed) == 1)}**" if missed else "kept"
        rows.append([grown, step, judged[0].promise.value, *cells, verdict])
    return _table(head, rows, words=3)


def _section(found: Found) -> Iterator[str]:
    axis = axis_of(found)
    yield f"## {axis.title}"
    yield ""
    costs = [cost for points in found.costs.values() for kept in points.values() for cost in kept]
    held = shown(median(cost["before"] for cost in costs), "memory")
    loads = [cost["load"] for cost in costs if "load" in cost]
    yield axis.note
    yield f"{found.rounds} rounds. Before its step a process held {held}. The load average of the"
    yield f"machine was {min(loads):.1f} to {max(loads):.1f} meanwhile."
    yield ""
    yield f"![{axis.title}](growth-{axis.name}.svg)"
    steps = steps_of(found)
    for quantity in QUANTITIES:
        yield ""
        head = [f"{_HEADS[quantity]}: {axis.unit}", *(step.name for step in steps)]
        rows = [
            [
                counted(point, axis.unit),
                *(shown(found.median(step.name, point, quantity), quantity) for step in steps),
            ]
            for point in found.points
        ]
        yield from _table(head, rows, words=0)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int) -> Iterator[str]:
    """Yield a table whose first columns are *words* and the others figures."""
    rule = ["---"] * words + ["---:"] * (len(head) - words)
    yield from (f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def _machine() -> Iterator[str]:
    cpus = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in cpus if line.startswith("model name")]
    model = names[0] if names else platform.machine()
    yield f"- {os.cpu_count()} cores, {model}, {platform.system()} {platform.machine()}"
    installed = {found.metadata["Name"] for found in importlib.metadata.distributions()}
    versions = [
        f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES if name in installed
    ]
    yield f"- Python {platform.python_version()} ({sys.implementation.name}), {', '.join(versions)}"
