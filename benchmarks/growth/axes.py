"""What grows, how far, what is done at each point, and what is promised of it.

An axis names its points; `building` makes a vault for each.  A step is one operation at every
point, in a process and on a vault of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import building
from building import run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


class Promise(Enum):
    """How a cost may grow along an axis."""

    FLAT = "must not grow"
    LINEAR = "grows with what is done"
    SHOWN = "shown"


@dataclass(frozen=True, slots=True)
class Step:
    """One operation, done at every point of an axis.

    Attributes:
        name: As tables and plots call it.
        operation: What `worker.perform` does.
        path: On which artifact path, for a point.
        files: The name of what is logged, in the point's folder.
        promise: How its time and its requests may grow; memory has its own.
        memory: How its peak memory may grow.
    """

    name: str
    operation: str
    path: Callable[[int], str]
    promise: Promise
    memory: Promise = Promise.FLAT
    files: str = "next"


@dataclass(frozen=True, slots=True)
class Axis:
    """Something that grows.

    Attributes:
        name: One word, for the command line and file names.
        title: What grows.
        unit: What a point counts.
        points: How far it grows.
        build: Makes a folder with a vault for each point.
        steps: What is done there, in this order.
        note: What a reader of the figures has to know.
        settled: The point from which costs are compared; below it start-up dominates.
    """

    name: str
    title: str
    unit: str
    points: Sequence[int]
    build: Callable[[Sequence[int], Path], None]
    steps: Sequence[Step]
    note: str
    settled: int = 1


def _decades(first: int, last: int) -> tuple[int, ...]:
    return tuple(10**power for power in range(first, last + 1))


_MODEL: Final = (
    "A version is 320 KB of fp32 weights in safetensors, 1e-4 of its spread away from the one "
    "before, and four small text files."
)

AXES: Final = (
    Axis(
        name="versions",
        title="Versions of one model in the vault",
        unit="versions",
        points=_decades(0, 4),
        build=building.versions,
        steps=(
            Step("log the next version", "log", lambda n: f"{run_of(n)}/model", Promise.FLAT),
            Step("log it again", "log", lambda n: f"{run_of(n + 1)}/model", Promise.FLAT),
            Step("load it", "load", lambda n: f"{run_of(n)}/model", Promise.FLAT),
            Step("load the first", "load", lambda _: f"{run_of(0)}/model", Promise.FLAT),
            Step("list its files", "list", lambda n: f"{run_of(n)}/model", Promise.FLAT),
            Step("list all runs", "list", lambda _: "7", Promise.LINEAR, Promise.SHOWN),
        ),
        note=f"{_MODEL} Each version was logged by the writer, into a run of its own, all in one "
        "experiment: one series, one family.",
    ),
    Axis(
        name="chunks",
        title="Chunks in the vault",
        unit="chunks",
        points=_decades(0, 6),
        build=building.chunks,
        steps=(
            Step("log the next version", "log", lambda _: f"{run_of(1)}/model", Promise.FLAT),
            Step("log it again", "log", lambda _: f"{run_of(2)}/model", Promise.FLAT),
            Step("load it", "load", lambda _: f"{run_of(1)}/model", Promise.FLAT),
            Step("list its files", "list", lambda _: f"{run_of(1)}/model", Promise.FLAT),
        ),
        note=f"{_MODEL} One version of it lies in a vault beside other files, logged by the "
        "writer too: each of 1,000 tensors of 4 KiB (below 1,000 chunks: one file of fewer), every "
        "chunk different from all others. A tensor repeats one number, so that a million fit on a "
        "disk.",
    ),
    Axis(
        name="sizes",
        title="Bytes of a file",
        unit="bytes",
        points=_decades(3, 9),
        build=building.sizes,
        steps=(
            Step(
                "log a first version",
                "log",
                lambda _: f"{run_of(0)}/model.safetensors",
                Promise.LINEAR,
                files="first",
            ),
            Step(
                "log the next version",
                "log",
                lambda _: f"{run_of(1)}/model.safetensors",
                Promise.LINEAR,
            ),
            Step("load it", "load", lambda _: f"{run_of(1)}/model.safetensors", Promise.LINEAR),
            Step("list its folder", "list", lambda _: run_of(1), Promise.FLAT),
        ),
        note="fp32 weights in safetensors, drawn from a normal distribution and then moved by 1e-4 "
        "of its spread, in tensors of 4 MiB. Memory is compared from 100 MB on, where "
        "all windows are full. Requests of a large file are packs of 32 MiB and reads of at most "
        "8 MiB. A listing knows the size of a file in a small folder from its entry, and reads "
        "all of it: about 4 us of CPU a chunk, of which the table of chunks takes nearly all.",
        settled=10**8,
    ),
    Axis(
        name="files",
        title="Small files in a run",
        unit="files",
        points=_decades(0, 5),
        build=building.files,
        steps=(
            Step(
                "log the folder",
                "log",
                lambda _: f"{run_of(0)}/images",
                Promise.LINEAR,
                Promise.SHOWN,
            ),
            Step("list it", "list", lambda _: f"{run_of(0)}/images", Promise.LINEAR, Promise.SHOWN),
            Step("list the folder above", "list", lambda _: run_of(0), Promise.FLAT),
            Step(
                "download it",
                "load",
                lambda _: f"{run_of(0)}/images",
                Promise.LINEAR,
                Promise.SHOWN,
            ),
        ),
        note="Files of 60 bytes of JSON, all in one folder of one run, logged by one call. The "
        "folder above shows one item however many lie below it. From 16 files on, sizes are noted "
        "together, so that a listing costs a request for each thousand names; below, one for "
        "each file. Memory holds names and sizes of what is logged or listed at once.",
        settled=100,
    ),
)
