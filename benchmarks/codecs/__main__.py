"""Measure codecs on chunks of trained models, beside others, and write it down.

    ways.py: how each codes a chunk --> here: stored bytes of every chunk, once;
                                        then the time of a few whole chunks, round after round,
                                        all ways and BLAKE3 in turn
                                    --> page.py: results/codecs.md and its plot

Each way runs on one core, and its time is the process's own on its cores, so that others on the
machine weigh little.  Whatever is encoded is decoded and compared.  A target that is missed is
exit code 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from blake3 import blake3
from page import HASH, Found, draw, judged, markdown
from ways import Chunk, Way, against_base, alone, size

from mlflow_vault.config import GRID, SMALLEST_ARRAY
from mlflow_vault.format.elements import Element

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE.parent / "results"
CACHE: Final = HERE.parent / ".cache"


def arrays(path: Path) -> dict[str, tuple[str, bytes]]:
    """Read every array of a safetensors file: its type and its bytes."""
    stored = path.read_bytes()
    start = 8 + int.from_bytes(stored[:8], "little")
    header = json.loads(stored[8:start])
    header.pop("__metadata__", None)
    spans = {name: about["data_offsets"] for name, about in header.items()}
    return {
        name: (header[name]["dtype"], stored[start + first : start + last])
        for name, (first, last) in spans.items()
    }


def chunks(old: Path, new: Path) -> Iterator[Chunk]:
    """Cut the arrays that both files hold on the grid, as the vault does."""
    before = arrays(old)
    for name, (kind, plain) in arrays(new).items():
        if kind not in Element.__members__ or len(plain) < SMALLEST_ARRAY:
            continue
        base = before[name][1]
        for start in range(0, len(plain), GRID):
            piece = plain[start : start + GRID]
            yield Chunk(piece, base[start : start + GRID], Element[kind], bytearray(piece))


def timed(work: Callable[..., Any], *given: Any) -> tuple[Any, float]:
    """Return what *work* returns, and the seconds that the process worked."""
    start = time.process_time()
    result = work(*given)
    return result, time.process_time() - start


def measure(folder: Path, most: int, rounds: int) -> Found:
    """Measure all ways on one history: sizes of every chunk, times of *most* whole ones."""
    pieces = list(chunks(folder / "v0.safetensors", folder / "v1.safetensors"))
    ways = [*against_base(), *alone()]
    stored: dict[str, int] = defaultdict(int)
    for piece in pieces:
        for way in ways:
            coded = way.encode(piece)
            stored[way.name] += size(coded)
            assert bytes(way.decode(piece, coded)) == piece.plain, way.name
            piece.spare[:] = piece.plain
    whole = [piece for piece in pieces if len(piece.plain) == GRID]
    whole = whole[:: max(1, len(whole) // most)][:most]
    seconds: dict[str, list[list[float]]] = defaultdict(lambda: [[] for _ in whole])
    # What ran just before leaves a chunk near or far in memory.
    lots = Random(1)  # noqa: S311 - no secret
    taking_part: list[Way | None] = [None, *ways]  # None: the hash
    for _ in range(rounds):
        for index, piece in enumerate(whole):
            for drawn in lots.sample(taking_part, len(taking_part)):
                if drawn is None:
                    seconds[HASH][index].append(timed(hashed, piece)[1])
                    continue
                coded, encoding = timed(drawn.encode, piece)
                piece.spare[:] = piece.plain
                decoding = timed(drawn.decode, piece, coded)[1]
                seconds[f"{drawn.name} encode"][index].append(encoding)
                seconds[f"{drawn.name} decode"][index].append(decoding)
    total = sum(len(piece.plain) for piece in pieces)
    return Found(folder.name, total, len(whole), dict(stored), dict(seconds))


def hashed(chunk: Chunk) -> bytes:
    """Return the digest of a chunk: the unit of speed."""
    return blake3(chunk.plain, max_threads=1).digest()


def main() -> None:
    """Measure what is asked for, and write the report."""
    parser = argparse.ArgumentParser(prog="codecs", description="Measure codecs beside others.")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where histories are kept")
    parser.add_argument("--histories", nargs="+", default=["fp32", "bf16", "fp16"])
    parser.add_argument("--chunks", type=int, default=12, help="whole chunks that are timed")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS / "codecs.md")
    options = parser.parse_args()
    found = []
    for name in options.histories:
        print(f"{name} ...", flush=True)
        found.append(measure(options.cache / name, options.chunks, options.repetitions))
    plot = options.out.with_suffix(".svg")
    options.out.write_text(markdown(found, options.repetitions, plot.name), encoding="utf-8")
    draw(found, plot)
    missed = [target for one in found for target in judged(one) if target.missed]
    for target in missed:
        print(f"missed: {target}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
