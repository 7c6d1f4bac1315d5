"""What was measured, kept as JSON between runs: a run of one history leaves the others' figures."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from speed.cases import Series
from speed.meter import Cost

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Kept:
    """Series and notes in the file *path*, read if it is there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.notes: dict[str, Any] = {}
        self.series: list[Series] = []
        if path.exists():
            found = json.loads(path.read_text(encoding="utf-8"))
            self.notes = found["notes"]
            self.series = [_series(each) for each in found["series"]]

    def add(self, series: Iterable[Series]) -> None:
        """Keep *series*; a case of a history that was there is replaced, and all its links."""
        new = list(series)
        replaced = {(one.case, one.history) for one in new}
        old = [one for one in self.series if (one.case, one.history) not in replaced]
        self.series = old + new

    def save(self) -> None:
        """Write the file."""
        found = {"notes": self.notes, "series": [asdict(each) for each in self.series]}
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        part.replace(self._path)


def _series(found: dict[str, Any]) -> Series:
    return Series(**{**found, "costs": [Cost(**cost) for cost in found["costs"]]})
