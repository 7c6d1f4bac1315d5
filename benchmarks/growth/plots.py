"""Draws how costs grow: for each axis a picture of time, CPU time, memory and requests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from findings import axis_of, steps_of

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "growth"  # the same figures make the same file
mpl.rcParams["svg.fonttype"] = "none"  # letters, not their outlines

from matplotlib import pyplot as plt  # noqa: E402 - after the choice of what draws

if TYPE_CHECKING:
    from pathlib import Path

    from findings import Found

_PANELS: Final = (
    ("seconds", "milliseconds", 1e3),
    ("cpu", "CPU milliseconds", 1e3),
    ("memory", "peak memory, MB", 1e-6),
    ("requests", "requests", 1.0),
)
_MARKERS: Final = "os^Dvx"


def draw(found: Found, path: Path) -> None:
    """Write the picture of *found* to *path*."""
    axis = axis_of(found)
    figure, panels = plt.subplots(1, len(_PANELS), figsize=(16, 4), layout="constrained")
    for panel, (quantity, label, scale) in zip(panels, _PANELS, strict=True):
        for step, marker in zip(steps_of(found), _MARKERS, strict=False):
            costs = [found.median(step.name, point, quantity) * scale for point in found.points]
            panel.plot(found.points, costs, marker=marker, markersize=4, label=step.name)
        panel.set_xscale("log")
        if quantity == "memory":
            panel.set_ylim(0, 1.3 * panel.get_ylim()[1])
        else:
            panel.set_yscale("log")
            bottom, top = (math.log10(end) for end in panel.get_ylim())
            panel.set_ylim(10 ** math.floor(bottom), 10 ** math.ceil(top))  # flat looks flat
        panel.set_xlabel(axis.unit)
        panel.set_title(label)
        panel.grid(visible=True, alpha=0.3)
    figure.suptitle(axis.title)
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=len(lines))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
