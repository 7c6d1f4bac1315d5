"""What the project promises of speed, and whether a measurement keeps it.

A peer that is a program is judged without the time it takes to start for nothing, in its favour.
"Per core" divides by the cores of the machine, used or not: waiting counts as much as working.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from speed.cases import COLD, HASH, IDLE, NUMPY, OWN, WARM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from speed.cases import Series

PEERS: Final = ("restic", "borg")
OVER_LINK: Final = {"1g": 1.0, "250m": 2.0}
IMPORT: Final = 0.050  # seconds
HELP: Final = 0.3
MOST_REQUESTS: Final = 6  # of a chunked file, besides hints and packs
MOST_HINTS: Final = 14
ENCODE, DECODE = 0.10, 0.20  # of one-core BLAKE3, one call
LOAD_PER_CORE: Final = 0.075


@dataclass(frozen=True, slots=True)
class Verdict:
    """One promise, what was seen, and whether that keeps it; None where nothing is promised."""

    promise: str
    subject: str
    seen: str
    kept: bool | None


class Figures:
    """Looks up what was measured."""

    def __init__(self, found: Iterable[Series]) -> None:
        self._series = {(one.case, one.history, one.link, one.subject): one for one in found}

    def get(self, case: str, history: str, subject: str, link: str = "") -> Series | None:
        """Return the series, None if it was not measured."""
        return self._series.get((case, history, link, subject))

    def wall(self, case: str, history: str, subject: str, link: str = "") -> float | None:
        """Return the median wall seconds of the operation."""
        found = self.get(case, history, subject, link)
        return median(cost.wall for cost in found.costs) if found else None

    def names(self) -> list[str]:
        """Histories that were measured."""
        return list(dict.fromkeys(history for _, history, _, _ in self._series))


def judge(found: Iterable[Series]) -> list[Verdict]:
    """Hold what was measured of the histories against what is promised."""
    figures = Figures(found)
    verdicts: list[Verdict] = []
    for history in figures.names():
        verdicts += _logging(figures, history)
        verdicts += _again(figures, history)
        verdicts += _loading(figures, history)
        verdicts += _requests(figures, history)
    return verdicts


def _logging(figures: Figures, history: str) -> Iterator[Verdict]:
    ours = figures.wall("log", history, COLD)
    for peer in PEERS:
        theirs = figures.wall("log", history, peer)
        if ours and theirs:
            idle = figures.wall("log", history, peer + IDLE) or 0.0
            ratio = (theirs - idle) / ours
            seen = f"{ratio:.2f}x ({theirs / ours:.2f}x with its start)"
            promise = f"log: at least 3x the throughput of {peer}"
            yield Verdict(promise, history, seen, ratio >= 3)
    for link, bound in OVER_LINK.items():
        promise = f"log, {link}: at least {bound:g}x MLflow's own"
        yield from _beside_own(figures, ("log", history, link), promise, bound)


def _beside_own(
    figures: Figures, where: tuple[str, str, str], promise: str, bound: float
) -> Iterator[Verdict]:
    case, history, link = where
    own = figures.wall(case, history, OWN, link)
    for subject in (COLD, WARM):
        ours = figures.wall(case, history, subject, link)
        if own and ours:
            title = history if subject == COLD else f"{history}, previous version cached"
            yield Verdict(promise, title, f"{own / ours:.2f}x", own / ours >= bound)


def _again(figures: Figures, history: str) -> Iterator[Verdict]:
    ours, unit = figures.wall("again", history, COLD), figures.wall("again", history, HASH)
    if ours and unit:
        promise = "log unchanged content: within 1.5x of reading and hashing it on one core"
        yield Verdict(promise, history, f"{ours / unit:.2f}x", ours / unit <= 1.5)


def _loading(figures: Figures, history: str) -> Iterator[Verdict]:
    unit = figures.wall("load", history, HASH)
    cores = os.cpu_count() or 1
    promise = f"load, nothing cached: at least {LOAD_PER_CORE}x one-core BLAKE3 per core"
    shares = {}
    for subject in (COLD, NUMPY):
        ours = figures.wall("load", history, subject)
        if ours and unit:
            shares[subject] = unit / ours / cores
    for subject, share in shares.items():
        title = f"{history}, compiled" if subject == COLD else f"{history}, numpy (not judged)"
        kept = share >= LOAD_PER_CORE if subject == COLD else None
        yield Verdict(promise, title, f"{share:.3f}x", kept)
    own = figures.wall("load", history, OWN, "1g")
    for subject, bound, words in (
        (COLD, 1.0, "nothing cached: faster than MLflow's own"),
        (WARM, 3.0, "previous version cached: at least 3x MLflow's own"),
    ):
        ours = figures.wall("load", history, subject, "1g")
        if own and ours:
            yield Verdict(f"load, 1g, {words}", history, f"{own / ours:.2f}x", own / ours >= bound)


def _requests(figures: Figures, history: str) -> Iterator[Verdict]:
    found = next(
        (
            one
            for link in ("free", "1g", "250m")
            if (one := figures.get("log", history, COLD, link))
        ),
        None,
    )
    if found is None:
        return
    rest, hints, packs = split_requests(found.costs[0].requests)
    promise = f"a chunked file: at most {MOST_REQUESTS} requests, {MOST_HINTS} for hints, and packs"
    seen = f"{rest}, {hints} for hints, {packs} for packs"
    yield Verdict(promise, history, seen, rest <= MOST_REQUESTS and hints <= MOST_HINTS)


def split_requests(requests: Mapping[str, int]) -> tuple[int, int, int]:
    """Return how many are neither, for hints, for packs; finding the vault does not count.

    An entry is read because a hint led to it, where a file is logged.
    """
    kinds = {"hints": 0, "packs": 0, "rest": 0}
    for name, count in requests.items():
        kind = "hints" if name == "GET tree" else name.partition(" ")[2]
        if kind != "vault.json":
            kinds[kind if kind in kinds else "rest"] += count
    return kinds["rest"], kinds["hints"], kinds["packs"]


def judge_small(notes: Mapping[str, Any]) -> list[Verdict]:
    """Judge what `small` measured."""
    verdicts = []
    if starts := notes.get("starts"):
        seen, asked = median(starts["import"]), median(starts["help"])
        shown = f"{seen * 1e3:.1f} ms"
        verdicts += [
            Verdict("import time under 50 ms", "mlflow_vault", shown, seen < IMPORT),
            Verdict("under 0.3 s", "mlflow-vault --help", f"{asked:.3f} s", asked < HELP),
        ]
    for name, figures in notes.get("calls", {}).items():
        judged = name.endswith("compiled")
        title = name if judged else f"{name} (not judged)"
        for figure, bound in (("encode", ENCODE), ("decode", DECODE)):
            share = median(figures[figure])
            promise = f"one call on 1 MiB, {figure}: at least {bound:.2f}x one-core BLAKE3"
            kept = share >= bound if judged else None
            verdicts.append(Verdict(promise, title, f"{share:.3f}x", kept))
    if inlined := notes.get("inlined"):
        puts = sum(count for name, count in inlined.items() if name.startswith("PUT"))
        seen = ", ".join(f"{count} {name}" for name, count in sorted(inlined.items()))
        verdicts.append(Verdict("an inlined file: one PUT", "MLmodel", seen, puts == 1))
    return verdicts
