"""Turn measured codecs into verdicts, the report that is kept, and its plot."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

import matplotlib as mpl
from ways import COMPILED, DELTA, NUMPY, PLANES, against_base, alone

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "codecs"  # the same figures make the same file

from matplotlib import pyplot as plt  # noqa: E402 - after the choice of what draws

sys.path.append(str(Path(__file__).parents[1]))

from report import machine, table  # noqa: E402 - a neighbour of this folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HASH: Final = "BLAKE3"
PROMISED: Final = ("fp32", "bf16")  # the histories that speed is promised for
ENCODE: Final = 0.10  # of the speed of BLAKE3 on one core
DECODE: Final = 0.20
# What the prototype of the design stored, in percent of the plain bytes.
STORED: Final = {"fp32": (36.9, 82.2), "bf16": (9.9, 66.5), "fp16": (17.9, None)}
_PEERS: Final = ("zipnn", "z4ai", "lz4")


class Found(NamedTuple):
    """What was measured of one history.

    Attributes:
        name: The history's.
        total: Plain bytes of all chunks.
        chunks: How many were timed.
        stored: Bytes that each way made of all chunks.
        seconds: Of each way and direction, for each timed chunk, its repetitions.
    """

    name: str
    total: int
    chunks: int
    stored: dict[str, int]
    seconds: dict[str, list[list[float]]]

    def speed(self, what: str) -> float:
        """Return MB/s: bytes of all timed chunks over the sum of their medians."""
        return self.chunks * 1.048576 / sum(map(median, self.seconds[what]))

    def ratio(self, what: str) -> float:
        """Return the speed of *what* over that of BLAKE3."""
        return self.speed(what) / self.speed(HASH)

    def share(self, way: str) -> float:
        """Return the percentage of the plain bytes that is stored."""
        return 100 * self.stored[way] / self.total


class Target(NamedTuple):
    """One promise, and what became of it."""

    what: str
    promised: str
    measured: str
    missed: bool


def judged(found: Found) -> Iterator[Target]:
    """Hold what was measured against what is promised."""
    for way, bound in (("encode", ENCODE), ("decode", DECODE)):
        if found.name not in PROMISED:
            continue
        ratio = found.ratio(f"{DELTA}{COMPILED} {way}")
        what = f"{found.name}: delta {way}, compiled, of BLAKE3's speed"
        yield Target(what, f"at least {bound:.2f}", f"{ratio:.3f}", ratio < bound)
    for way, most in zip((DELTA, PLANES), STORED.get(found.name, (None, None)), strict=True):
        if most is not None:
            share = found.share(way + COMPILED)
            missed = round(share, 1) > most
            what = f"{found.name}: {way}, stored bytes"
            yield Target(what, f"at most {most:.1f} %", f"{share:.2f} %", missed)


def markdown(found: Sequence[Found], repetitions: int, plot: str) -> str:
    """Return the report."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _PEERS)
    targets = [
        [target.what, target.promised, target.measured, "**missed**" if target.missed else "kept"]
        for one in found
        for target in judged(one)
    ]
    return "\n".join(
        [
            "# Codecs, chunk by chunk",
            "",
            "Written by `python benchmarks/codecs`.  Versions 0 and 1 of each history, 50 steps",
            "of training apart.  Stored bytes are of all chunks, a grid of 1 MiB in every tensor;",
            f"times of {found[0].chunks} whole chunks spread evenly over the model: the sum of the",
            f"chunks' medians of {repetitions} repetitions, all ways and BLAKE3 interleaved in an",
            "order drawn by lot, CPU time, one thread.  `x` is the speed over that of BLAKE3 on",
            "one core in the same run; higher is better.  Speed is promised for fp32 and bf16.",
            "",
            "## Targets",
            "",
            *table(["what", "promised", "measured", ""], targets),
            "",
            f"![Stored bytes and speed]({plot})",
            "",
            *(line for one in found for line in _section(one)),
            "## With what",
            "",
            *(f"- {line}" for line in machine()),
            f"- {versions}",
            "- ZipNN: `input_format=byte`, its element type, `threads=1`, else as it is; it writes",
            "  into what it reads, so it is given a copy, not timed",
            "- z4ai: `dtype` given, `threads=1`, else as it is; `compress_delta` against the base",
            "- LZ4: block format, default level, over the joined planes",
            "- TX, BitX: numpy and zstd as described in their papers, contexts used again",
            "- ours: `encode_delta`, `encode_whole`, `decode`, which choose the coding every time",
            "",
        ]
    )


def _section(found: Found) -> list[str]:
    head = ["way", "stored", "encode MB/s", "x", "decode MB/s", "x"]
    lines = [f"## {found.name}", "", f"BLAKE3: {found.speed(HASH):,.0f} MB/s.", ""]
    for title, ways in (("Against the version before", against_base()), ("Alone", alone())):
        names = [way.name for way in ways]
        body = [[name, f"{found.share(name):.2f} %", *_cells(found, name)] for name in names]
        lines += [f"{title}:", "", *table(head, body), "", *_lost(found, names), ""]
    return lines


def _cells(found: Found, name: str) -> list[str]:
    cells = []
    for way in ("encode", "decode"):
        what = f"{name} {way}"
        cells += [f"{found.speed(what):,.0f}", f"{found.ratio(what):.3f}"]
    return cells


def _lost(found: Found, names: Sequence[str]) -> list[str]:
    """Say where others are better than ours with the extra."""
    ours, said = names[0], []
    for name in names:
        if name.endswith(NUMPY) or name == ours:
            continue
        better = [
            way
            for way in ("encode", "decode")
            if found.speed(f"{name} {way}") > found.speed(f"{ours} {way}")
        ]
        better = [f"{way}s faster" for way in better]
        better += ["stores less"] * (found.stored[name] < found.stored[ours])
        said += [f"{name} {', '.join(better)}"] if better else []
    return [f"Where we lose: {'; '.join(said) or 'nowhere'}."]


def draw(found: Sequence[Found], path: Path) -> None:
    """Draw stored bytes against the speed of each way."""
    figure, panels = plt.subplots(
        2, len(found), figsize=(5 * len(found), 9), layout="constrained", squeeze=False
    )
    for row, way in enumerate(("encode", "decode")):
        for panel, one in zip(panels[row], found, strict=True):
            for marker, ways in (("o", against_base()), ("s", alone())):
                for index, name in enumerate(entry.name for entry in ways):
                    ratio = one.ratio(f"{name} {way}")
                    panel.plot(
                        ratio, one.share(name), marker, color=f"C{index}", label=name, markersize=8
                    )
            panel.set_xscale("log")
            panel.set_ylim(0, 100)
            panel.set_title(f"{one.name}, {way}")
            panel.set_xlabel("speed, 1 = BLAKE3 on one core")
            panel.set_ylabel("stored, % of plain bytes")
            panel.grid(visible=True, alpha=0.3)
    panels[0][0].legend(fontsize="x-small")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
