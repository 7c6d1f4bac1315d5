"""What was measured, and whether it grows as it may.

    step and point --> costs of every round --> medians --> verdicts

Pure but for `Found.save` and `Found.load_all`, which keep figures so that axes may be measured on
different days and still make one report.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from axes import AXES, Axis, Promise, Step

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

QUANTITIES: Final = ("seconds", "cpu", "memory", "requests")
TIMES: Final = 1.5  # what may not grow may be this much more at the end: machines are restless
MEMORY_TIMES: Final = 1.25
# Differences that no promise is about: a scheduler's, an allocator's, and hints and packs of one
# file more, as tests/engine/test_requests.py counts them.
_SLACK: Final = {"seconds": 0.005, "cpu": 0.005, "memory": 8e6, "requests": 10.0}


class Verdict(NamedTuple):
    """One cost at the last point, beside what it was before."""

    axis: str
    step: str
    quantity: str
    promise: Promise
    before: float
    last: float
    missed: bool

    @property
    def ratio(self) -> float:
        """The last cost over the one before."""
        return self.last / self.before if self.before else 1.0

    def __str__(self) -> str:
        return f"{self.axis}: {self.quantity} of '{self.step}' grow {self.ratio:.2f} times"


@dataclass(frozen=True, slots=True)
class Found:
    """What the steps of one axis cost.

    Attributes:
        axis: The axis' name.
        points: Its points, as they were measured.
        costs: By step and point, what `worker.main` said in each round.
    """

    axis: str
    points: tuple[int, ...]
    costs: dict[str, dict[int, list[dict[str, Any]]]] = field(default_factory=dict)

    def add(self, step: str, point: int, cost: dict[str, Any]) -> None:
        """Note one round's *cost*."""
        self.costs.setdefault(step, {}).setdefault(point, []).append(cost)

    def median(self, step: str, point: int, quantity: str) -> float:
        """The median of a *quantity* over the rounds."""
        return float(median(cost[quantity] for cost in self.costs[step][point]))

    @property
    def rounds(self) -> int:
        """How often everything was measured."""
        return min(len(costs) for points in self.costs.values() for costs in points.values())

    def save(self, path: Path) -> None:
        """Keep this in the file *path*, instead of what was known of its axis."""
        kept = {found.axis: found for found in Found.load_all(path)} | {self.axis: self}
        path.parent.mkdir(parents=True, exist_ok=True)
        plain = {
            name: {"points": found.points, "costs": found.costs} for name, found in kept.items()
        }
        path.write_text(json.dumps(plain), encoding="utf-8")

    @classmethod
    def load_all(cls, path: Path) -> list[Found]:
        """Read what was kept in the file *path*, in the order of the axes."""
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return [
            cls(axis.name, tuple(kept[axis.name]["points"]), _by_number(kept[axis.name]["costs"]))
            for axis in AXES
            if axis.name in kept
        ]


def axis_of(found: Found) -> Axis:
    """The axis that *found* was measured along."""
    return next(axis for axis in AXES if axis.name == found.axis)


def judge(found: Found) -> list[Verdict]:
    """Say of every step and quantity whether it grew as promised."""
    return [
        _verdict(found, step, quantity)
        for step in axis_of(found).steps
        for quantity in QUANTITIES
        if len(found.points) > 1
    ]


def _verdict(found: Found, step: Step, quantity: str) -> Verdict:
    """Compare the last point with those before it.

    What must not grow is compared with their median; what grows with what is done, for each unit
    of it, with the least of them, which is the strictest.
    """
    promise = step.memory if quantity == "memory" else step.promise
    costs = {point: found.median(step.name, point, quantity) for point in found.points}
    *earlier, end = found.points
    settled = axis_of(found).settled if quantity == "memory" else 0
    compared = [point for point in earlier if point >= settled] or earlier[-1:]
    if promise is Promise.LINEAR:
        before, last = min(costs[point] / point for point in compared), costs[end] / end
        slack = 0.0
    else:
        before, last = median(costs[point] for point in compared), costs[end]
        slack = _SLACK[quantity]
    times = MEMORY_TIMES if quantity == "memory" else TIMES
    allowed = max(before * times, before + slack) if quantity != "requests" else before + slack
    if promise is Promise.LINEAR:
        allowed = before * times
    missed = promise is not Promise.SHOWN and last > allowed
    return Verdict(found.axis, step.name, quantity, promise, before, last, missed)


def _by_number(costs: dict[str, dict[str, list[dict[str, Any]]]]) -> Any:
    return {
        step: {int(point): rounds for point, rounds in points.items()}
        for step, points in costs.items()
    }


def shown(value: float, quantity: str) -> str:
    """Return a cost as a table shows it."""
    if quantity in {"seconds", "cpu"}:
        return f"{value * 1000:,.1f} ms" if value < 1 else f"{value:,.2f} s"
    if quantity == "memory":
        return f"{value / 1e6:,.0f} MB"
    return f"{value:,.0f}"


def counted(point: int, unit: str) -> str:
    """Return a point as tables show it: bytes with their prefix.

    >>> counted(10_000_000, "bytes"), counted(10_000, "versions")
    ('10 MB', '10,000')
    """
    if unit != "bytes":
        return f"{point:,}"
    for size, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if point >= size:
            return f"{point / size:g} {name}"
    return f"{point} B"


def steps_of(found: Found) -> Sequence[Step]:
    """The steps that were measured, in the order of the axis."""
    return [step for step in axis_of(found).steps if step.name in found.costs]
