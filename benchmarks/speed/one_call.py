"""Time single codec calls: `python -m speed.one_call compiled OLD NEW`, both safetensors.

Every chunk is hashed, encoded against its base and decoded, one after another, so that a busy
machine slows all alike; times are the thread's own on its core.  Prints JSON: the speeds of
encode and decode as shares of BLAKE3's, and the bytes they leave, over chunks of 1 MiB.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from blake3 import blake3
from codec_speed import delta, pairs, restore, timed

from mlflow_vault.config import MIB
from mlflow_vault.format.coding.kernels import choice, compiled, plain

MOST: Final = 48  # chunks, spread over the file


def main() -> None:
    """Measure and print."""
    kernels, old, new = sys.argv[1:]
    with ExitStack() as stack:
        stack.enter_context(choice.using(plain if kernels == "numpy" else compiled))
        whole = [pair for pair in pairs(Path(old), Path(new)) if len(pair.plain) == MIB]
        chosen = whole[:: max(1, len(whole) // MOST)]
        for pair in chosen[:3]:
            restore(pair, delta(pair))
        hashed, encoded, decoded, stored = [], [], [], 0
        for pair in chosen:
            hashed.append(timed(lambda chunk: blake3(chunk).digest(), pair.plain)[1])
            coded, spent = timed(delta, pair)
            encoded.append(spent)
            back, spent = timed(restore, pair, coded)
            decoded.append(spent)
            stored += sum(map(len, coded))
            assert back == pair.plain
    unit = median(hashed)
    shares = {"encode": unit / median(encoded), "decode": unit / median(decoded)}
    print(json.dumps({**shares, "blake3": MIB / unit, "stored": stored / len(chosen) / MIB}))


if __name__ == "__main__":
    main()
