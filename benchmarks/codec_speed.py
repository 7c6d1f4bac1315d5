"""What the codecs save and what they cost, on two versions of a model.

    python benchmarks/codec_speed.py OLD.safetensors NEW.safetensors

Every array of NEW that OLD has too is cut on the grid.  Each chunk is coded in each way, one
after another, so that a busy machine slows all alike; BLAKE3 of the same chunk on the same core
is the unit of speed.  Times are the thread's own on its core, and the speed is the median over
the chunks of 256 KiB and more; the share is of all bytes.  Everything decoded is compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar, TypeVarTuple

import numpy as np
import zstandard
from blake3 import blake3

from mlflow_vault.config import GRID, KIB, SMALLEST_ARRAY
from mlflow_vault.format.coding.codec import decode, encode_delta, encode_whole
from mlflow_vault.format.elements import Element

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Given = TypeVarTuple("Given")
Result = TypeVar("Result")
TIMED = 256 * KIB  # bytes: a smaller chunk costs mostly calls


class Pair(NamedTuple):
    """A chunk, and what lay in its place before."""

    plain: bytes
    base: bytes
    element: Element


class Way(NamedTuple):
    """One way to code a chunk: encode it, then decode that."""

    encode: Callable[[Pair], list[bytes]]
    decode: Callable[[Pair, list[bytes]], bytes]


def arrays(path: Path) -> dict[str, tuple[str, bytes]]:
    """Read every array of a safetensors file: its type and its bytes."""
    stored = path.read_bytes()
    start = 8 + int.from_bytes(stored[:8], "little")
    header = json.loads(stored[8:start])
    header.pop("__metadata__", None)
    return {
        name: (about["dtype"], stored[start + about["data_offsets"][0] :][: size(about)])
        for name, about in header.items()
    }


def size(about: dict[str, list[int]]) -> int:
    """Return the bytes of one array."""
    first, last = about["data_offsets"]
    return last - first


def pairs(old: Path, new: Path) -> Iterator[Pair]:
    """Cut the arrays that both files hold into chunks."""
    before = arrays(old)
    for name, (kind, plain) in arrays(new).items():
        if name not in before or kind not in Element.__members__ or len(plain) < SMALLEST_ARRAY:
            continue
        base = before[name][1]
        for start in range(0, len(plain), GRID):
            stop = start + GRID
            yield Pair(plain[start:stop], base[start:stop], Element[kind])


def whole(pair: Pair) -> list[bytes]:
    """Code a chunk alone."""
    coded = encode_whole(pair.plain, pair.element)
    return [bytes([coded.codec]), coded.payload]


def delta(pair: Pair) -> list[bytes]:
    """Code a chunk against its base where that pays."""
    coded = encode_delta(pair.plain, pair.base, pair.element, pair.element)
    return whole(pair) if coded is None else [bytes([coded.codec]), coded.payload]


def restore(pair: Pair, coded: list[bytes]) -> bytes:
    """Undo `whole` and `delta`."""
    return decode(coded[0][0], coded[1], size=len(pair.plain), base=pair.base)


def xor(plain: bytes, base: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Return the exclusive or of two chunks; a shorter base continues with zeros."""
    mixed = np.frombuffer(plain, np.uint8).copy()
    known = np.frombuffer(base, np.uint8)[: len(mixed)]
    mixed[: len(known)] ^= known
    return mixed


def xor_planes(pair: Pair) -> list[bytes]:
    """Code as TensorDex does: XOR, byte planes, zstd level 1."""
    press = zstandard.ZstdCompressor(level=1)
    places = xor(pair.plain, pair.base).reshape(-1, pair.element.width).T
    return [press.compress(np.ascontiguousarray(plane).data) for plane in places]


def from_xor_planes(pair: Pair, coded: list[bytes]) -> bytes:
    """Undo `xor_planes`."""
    press = zstandard.ZstdDecompressor()
    planes = [np.frombuffer(press.decompress(frame), np.uint8) for frame in coded]
    return xor(np.stack(planes, axis=1).tobytes(), pair.base).tobytes()


def xor_zstd(pair: Pair) -> list[bytes]:
    """Code as ZipLLM does: XOR, zstd level 3."""
    return [zstandard.ZstdCompressor(level=3).compress(xor(pair.plain, pair.base).data)]


def from_xor_zstd(pair: Pair, coded: list[bytes]) -> bytes:
    """Undo `xor_zstd`."""
    return xor(zstandard.ZstdDecompressor().decompress(coded[0]), pair.base).tobytes()


WAYS = {
    "delta": Way(delta, restore),
    "XOR, planes, zstd-1": Way(xor_planes, from_xor_planes),
    "XOR, zstd-3": Way(xor_zstd, from_xor_zstd),
    "alone": Way(whole, restore),
}


def timed(work: Callable[[*Given], Result], *given: *Given) -> tuple[Result, float]:
    """Run *work* and return what it returns, and the seconds of its core."""
    start = time.thread_time()
    result = work(*given)
    return result, time.thread_time() - start


def main() -> None:
    """Print one line for each way."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("old", type=Path, help="a safetensors file")
    parser.add_argument("new", type=Path, help="the version that followed it")
    options = parser.parse_args()
    total = 0
    stored = dict.fromkeys(WAYS, 0)
    encoding: dict[str, list[float]] = {name: [] for name in WAYS}
    decoding: dict[str, list[float]] = {name: [] for name in WAYS}
    hashing = []
    for pair in pairs(options.old, options.new):
        total += len(pair.plain)
        unit = timed(lambda plain: blake3(plain).digest(), pair.plain)[1]
        for name, way in WAYS.items():
            coded, encoded = timed(way.encode, pair)
            plain, decoded = timed(way.decode, pair, coded)
            assert plain == pair.plain
            stored[name] += sum(map(len, coded))
            if len(pair.plain) >= TIMED:
                encoding[name].append(unit / encoded)
                decoding[name].append(unit / decoded)
        hashing.append(len(pair.plain) / unit)
    print(f"{total / 1e6:.1f} MB; BLAKE3 on one core {statistics.median(hashing) / 1e6:,.0f} MB/s")
    print(f"{'':20} {'share':>8} {'encode':>8} {'decode':>8}   (1 = as fast as BLAKE3)")
    for name in WAYS:
        speeds = statistics.median(encoding[name]), statistics.median(decoding[name])
        print(f"{name:20} {stored[name] / total:8.2%} {speeds[0]:8.3f} {speeds[1]:8.3f}")


if __name__ == "__main__":
    main()
