"""Draw what was measured: one picture a case, a panel for each history."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, Final

from speed.cases import CASES, IDLE
from speed.link import LINKS
from speed.page import TITLES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from speed.cases import Series

INK: Final = {True: "#1b6ca8", False: "#b0b4b9"}  # the vault, everything else


def draw(series: Sequence[Series], folder: Path) -> None:
    """Write `speed-<case>.svg` for every case that was measured."""
    import matplotlib as mpl  # noqa: PLC0415 - group `bench`; large, and not to be measured beside

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "speed"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after its back end is chosen

    for case in CASES:
        chosen = [one for one in series if one.case == case and not one.subject.endswith(IDLE)]
        histories = list(dict.fromkeys(one.history for one in chosen))
        if not histories:
            continue
        rows = max(sum(one.history == name for one in chosen) for name in histories)
        size = (6.4 * len(histories), 0.28 * rows + 1.0)
        figure, panels = plt.subplots(1, len(histories), figsize=size, squeeze=False)
        for panel, name in zip(panels[0], histories, strict=True):
            _panel(panel, [one for one in chosen if one.history == name])
        figure.suptitle(TITLES[case])
        figure.tight_layout()
        figure.savefig(folder / f"speed-{case}.svg", metadata={"Date": None})
        plt.close(figure)


def _panel(axes: Any, rows: Sequence[Series]) -> None:
    walls = [[cost.wall for cost in one.costs] for one in rows]
    middles = [median(each) for each in walls]
    low = [middle - min(each) for middle, each in zip(middles, walls, strict=True)]
    high = [max(each) - middle for middle, each in zip(middles, walls, strict=True)]
    names = [f"{one.subject}, {LINKS[one.link].title}" if one.link else one.subject for one in rows]
    colours = [INK[one.subject.startswith("vault")] for one in rows]
    places = range(len(rows))
    axes.barh(places, middles, xerr=[low, high], color=colours, error_kw={"lw": 0.8})
    axes.set_yticks(places, names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("seconds: median, fastest and slowest")
    axes.set_title(f"{rows[0].history}, {rows[0].size / 1e6:.0f} MB", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
