"""Files of strangers: where arrays lie in them, and where they are cut.

Arrays below some kilobytes are of no interest to some parsers, and inputs should stay small: so
``~RUN`` and two bytes in an input stand for so many times sixteen bytes of floats.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from mlflow_vault.config import SMALLEST_ARRAY
from mlflow_vault.format.chunking import ContentCutter, cut_grid, plan_regions
from mlflow_vault.format.rows import Tensor
from mlflow_vault.format.tensors import UNKNOWN, Layout, find_arrays
from mlflow_vault.format.tensors.arrays import MAX_ARRAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RUN: Final = b"~RUN"
BREAK: Final = b"\n~~\n"  # between the members of a zip
_RUNS: Final = re.compile(re.escape(RUN) + b"(..)", re.DOTALL)
_LARGEST: Final = 2 << 20  # bytes of floats in one input
_FLOATS: Final = np.random.default_rng(0).normal(0, 0.1, _LARGEST // 4).astype("<f4").tobytes()
_SAMPLED: Final = 256 << 10  # bytes; smaller files are not sampled
_MEAN: Final = 1024  # bytes; small, so that small inputs are cut at all


@dataclass(frozen=True, slots=True)
class _Content:
    plain: bytes

    @property
    def size(self) -> int:
        return len(self.plain)

    def read(self, start: int, stop: int) -> bytes:
        assert 0 <= start <= stop <= self.size, "a parser reads outside the file"
        return self.plain[start:stop]


def expand(spelled: bytes) -> bytes:
    """Put floats in the place of every run in *spelled*."""
    left = _LARGEST

    def floats(run: re.Match[bytes]) -> bytes:
        nonlocal left
        size = min(16 * int.from_bytes(run[1], "little"), left)
        left -= size
        return _FLOATS[:size]

    return _RUNS.sub(floats, spelled)


def look(plain: bytes, name: str = "") -> Layout:
    """Find the arrays in a file, and check what is true of every layout and its cuts."""
    layout = find_arrays(_Content(plain), name=name)
    spans = [(array.start, array.stop) for array in layout.arrays]
    assert all(0 <= start < stop <= len(plain) for start, stop in spans), "outside the file"
    assert all(stop <= start for (_, stop), (start, _) in pairwise(spans)), "arrays overlap"
    assert len(spans) <= MAX_ARRAYS
    assert layout.parser or layout == UNKNOWN
    for one in layout.arrays:
        one.name.encode()
        if one.element is not None:
            assert math.prod(one.shape) * one.element.width == one.stop - one.start
        tensor = Tensor(
            one.name, one.element, one.shape, one.start, one.stop, one.element, 1, one.stop
        )
        assert Tensor.from_list(tensor.to_list()) == tensor
    _check_cuts(layout, plain)
    return layout


def _check_cuts(layout: Layout, plain: bytes) -> None:
    """Cuts tile the file: every byte lies in one chunk."""
    at = 0
    for region in plan_regions(layout, len(plain)):
        assert region.start == at, "regions do not tile the file"
        assert region.start < region.stop
        if region.array is not None:
            array = layout.arrays[region.array]
            assert (region.start, region.stop) == (array.start, array.stop)
            assert array.stop - array.start >= SMALLEST_ARRAY
            stops = cut_grid(region)
            assert stops == sorted(set(stops))
            assert stops[-1] == region.stop
        at = region.stop
    assert at == len(plain), "regions do not tile the file"


def _beginning(magic: bytes) -> Callable[[bytes], None]:
    """Look at inputs as files that begin with *magic*."""

    def target(fed: bytes) -> None:
        look(expand(fed if fed.startswith(magic) else magic + fed))

    return target


def _safetensors(fed: bytes) -> None:
    """The input is a header, and runs behind it; also as it is, with its own length."""
    header, _, rest = expand(fed).partition(b"\0")
    look(len(header).to_bytes(8, "little") + header + rest)
    look(expand(fed))


def _zipped(fed: bytes) -> None:
    plain = expand(fed)
    look(plain)
    look(plain, "model.skops")


def _members(fed: bytes) -> None:
    """The input is the members of a zip, each a line with its name and then its bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        held = set()
        for member in expand(fed).split(BREAK)[:64]:
            name, _, content = member.partition(b"\n")
            path = name.decode("cp437").replace("\0", "")
            if path not in held:
                archive.writestr(zipfile.ZipInfo(path), content)
            held.add(path)
    look(file.getvalue())
    look(file.getvalue(), "model.skops")


def _sampled(fed: bytes) -> None:
    """The input again and again, after a few bytes that shift it."""
    if fed:
        shift = fed[0] % 9
        times = _SAMPLED // len(fed) + 1
        look(b"\xff" * shift + fed * times)


def _chunking(fed: bytes) -> None:
    """Bytes given at once or in windows are cut alike, and no chunk is longer than it may be."""
    if len(fed) < 4:
        return
    mean, seed, width = _MEAN << fed[0] % 4, fed[1], 1 << fed[2] % 4
    plain = fed[4:]
    cutter = ContentCutter(mean, seed).between(width)
    whole = cutter.cut(plain, final=True) if plain else []
    assert whole == sorted(set(whole))
    assert (whole[-1] if whole else 0) == len(plain)
    assert all(stop - start <= cutter.largest for start, stop in pairwise([0, *whole]))
    assert all(stop % width == 0 for stop in whole[:-1])
    step = cutter.largest + fed[3]
    stops, start, at = [], 0, 0
    while start < len(plain):
        at = min(at + step, len(plain))
        found = [start + stop for stop in cutter.cut(plain[start:at], final=at == len(plain))]
        stops += found
        start = found[-1] if found else start
    assert stops == sorted(set(stops))
    assert (stops[-1] if stops else 0) == len(plain)


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "safetensors": _safetensors,
    "npy": _beginning(b"\x93NUMPY"),
    "zipped": _zipped,
    "members": _members,
    "pickled": _beginning(b"\x80"),
    "hdf5": _beginning(b"\x89HDF\r\n\x1a\n"),
    "gguf": _beginning(b"GGUF"),
    "onnx": _beginning(b"\x08"),
    "sampled": _sampled,
    "chunking": _chunking,
}
