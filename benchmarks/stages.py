"""Say where the time goes when a version is logged and loaded: CPU time by stage, per GB.

    python benchmarks/stages.py OLDEST.safetensors ... NEWEST.safetensors

All files but the newest are logged first; then the newest is logged and loaded, with numpy's loops
and with the compiled ones, in this process, after both were loaded.  A stage is a function of the
engine, less the stages inside it; time is that of the thread on its core, so that neither waiting
nor a busy machine counts.  Beside the stages stand the limits: what a copy in memory, BLAKE3,
SHA-256 and zstd take for the same bytes.  Printed as the tables of docs/performance.md.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import zstandard
from blake3 import blake3

from mlflow_vault.engine import payloads
from mlflow_vault.engine.write import coder, content, encoding, source
from mlflow_vault.format import digest, pack
from mlflow_vault.format.coding.kernels import choice, compiled, plain
from mlflow_vault.store import local
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS: Final = 5
STAGES: Final[tuple[tuple[Any, str, str], ...]] = (
    (source.Source, "read", "read the file"),
    (source.Source, "_read_into", "read the file"),
    (source.Source, "digest", "BLAKE3 of the whole file"),
    (digest.Digest, "of", "BLAKE3 of chunks"),
    (encoding, "encode_delta", "encode deltas"),
    (encoding, "encode_whole", "encode anchors"),
    (coder, "estimate_whole", "estimate what stands alone"),
    (encoding, "estimate_whole", "estimate what stands alone"),
    (encoding, "comes_back", "decode again, to verify"),
    (payloads, "decode", "decode"),
    (payloads.Payloads, "_get", "fetch payloads"),
    (pack.PackBuilder, "add", "fill packs"),
    (content, "find_arrays", "find arrays"),
    (content, "find_relatives", "find relatives"),
    (local.LocalStore, "put", "put packs and notes"),
)
REST: Final = {
    "log": "SHA-256, BLAKE3 again, the rest",
    "load": "write the file, the rest",
}


class Stages:
    """CPU seconds of each stage, over all threads."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._local = threading.local()

    def watch(self, owner: Any, name: str, stage: str) -> None:
        """Count what *owner*'s function *name* takes as *stage*, without stages inside it."""
        held = vars(owner)[name]
        kind = type(held) if isinstance(held, (classmethod, staticmethod)) else None
        function = held.__func__ if kind else held

        @functools.wraps(function)
        def watched(*args: Any, **options: Any) -> Any:
            inside = self._local.__dict__.setdefault("inside", [])
            inside.append(0.0)
            began = time.thread_time()
            try:
                return function(*args, **options)
            finally:
                took = time.thread_time() - began
                self.spent[stage] += took - inside.pop()
                if inside:
                    inside[-1] += took

        setattr(owner, name, kind(watched) if kind else watched)

    def of(self, deed: Callable[[], object]) -> dict[str, float]:
        """Return what each stage of *deed* took, and all of it."""
        self.spent.clear()
        began = time.process_time()
        deed()
        return {**self.spent, "all": time.process_time() - began}


def limits(body: bytes) -> dict[str, float]:
    """Return the CPU seconds that each limit takes for *body*."""
    chunks = [body[at : at + (1 << 20)] for at in range(0, len(body), 1 << 20)]
    deeds: dict[str, Callable[[], object]] = {
        "a copy in memory": lambda: bytearray(body),
        "BLAKE3, one core": lambda: blake3(body).digest(),
        "SHA-256": lambda: hashlib.sha256(body).digest(),
        "zstd-1, chunks of 1 MiB": lambda: [zstandard.compress(chunk, 1) for chunk in chunks],
    }
    return {name: median(_timed(deed) for _ in range(ROUNDS)) for name, deed in deeds.items()}


def _timed(deed: Callable[[], object]) -> float:
    began = time.thread_time()
    deed()
    return time.thread_time() - began


def main() -> None:
    """Measure and print."""
    *before, newest = map(Path, sys.argv[1:])
    stages = Stages()
    for owner, name, stage in STAGES:
        stages.watch(owner, name, stage)
    found: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for _ in range(ROUNDS):
        for loops, called in ((plain, "numpy"), (compiled, "compiled")):
            with choice.using(loops), tempfile.TemporaryDirectory() as folder:
                vault = Vault.init(f"vault-file://{folder}/vault")
                for version, file in enumerate(before):
                    vault.write_file(file, path_of(version))
                ours = path_of(len(before))
                found["log", called].append(
                    stages.of(functools.partial(vault.write_file, newest, ours))
                )
                back = Path(folder, "back")
                found["load", called].append(
                    stages.of(functools.partial(vault.read_file, ours, back))
                )
                assert back.read_bytes() == newest.read_bytes()
    size = newest.stat().st_size / 1e9
    for deed in ("log", "load"):
        print(table(deed, size, *(found[deed, called] for called in ("numpy", "compiled"))))
    print("| limit | CPU s per GB |\n| --- | ---: |")
    for name, took in limits(newest.read_bytes()).items():
        print(f"| {name} | {took / size:.2f} |")


def table(deed: str, size: float, *found: list[dict[str, float]]) -> str:
    """Return the table of a deed: CPU seconds per GB of each stage, the largest first."""
    medians = [
        {stage: median(one.get(stage, 0.0) for one in rounds) for stage in rounds[0]}
        for rounds in found
    ]
    for one in medians:
        one[REST[deed]] = one["all"] - sum(took for stage, took in one.items() if stage != "all")
    names = sorted(medians[0], key=lambda stage: (stage == "all", -medians[0][stage]))
    lines = [f"| {deed} | numpy | compiled |", "| --- | ---: | ---: |"]
    for name in names:
        took = [one.get(name, 0.0) / size for one in medians]
        if max(took) >= 0.05:
            lines.append(f"| {name} | " + " | ".join(f"{each:.2f}" for each in took) + " |")
    return "\n".join([*lines, ""])


def path_of(version: int) -> str:
    """Return where *version* lies."""
    return f"7/{version:032x}/artifacts/model/model.safetensors"


if __name__ == "__main__":
    main()
