"""What a diff of two large models costs of which one layer changed.

    python benchmarks/diff [--gigabytes 1] [--layers 40] [--whole]

A file of random weights, in bf16, is written to a vault in a temporary folder, then once more with
one layer moved a little, as fine-tuning does.  A new process compares both, and counts what the
store gave.  Takes twice the file's size of disk.  The exit code is 1 if 5 % of one file or more is
read, or if the diff is not the one change that was made.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from mlflow_vault.engine.reader import Reader
from mlflow_vault.engine.world import World
from mlflow_vault.format.version import File, Origin, Version, digest_of
from mlflow_vault.govern.diff import Effort, Side, compare
from mlflow_vault.store.local import LocalStore
from mlflow_vault.vault import Vault

BOUND: Final = 0.05  # of the bytes of one file
MATRICES: Final = 8  # in a layer
STEP: Final = 1 << 22  # numbers made at once
SPREAD: Final = 0.02  # of weights, as transformers begin with
MOVED: Final = 0.0002  # by how much a layer is fine-tuned


class Meter(LocalStore):
    """A folder as a store that counts what it gives."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.requests = self.given = 0
        self._meter = threading.Lock()

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Get as any store does, and count."""
        body = super().get(key, start, stop)
        with self._meter:
            self.requests += 1
            self.given += len(body)
        return body


def halves(weights: np.ndarray[tuple[int], np.dtype[np.float32]]) -> bytes:
    """Return *weights* as bfloat16, cut off."""
    return (weights.view("<u4") >> np.uint32(16)).astype("<u2").tobytes()


def make(path: Path, size: int, layers: int) -> list[int]:
    """Write a safetensors file of about *size* bytes, and return where its layers start."""
    numbers = size // 2 // layers // MATRICES
    header: dict[str, object] = {}
    for layer in range(layers):
        for matrix in range(MATRICES):
            at = 2 * numbers * (layer * MATRICES + matrix)
            header[f"layers.{layer}.{matrix}"] = {
                "dtype": "BF16",
                "shape": [numbers],
                "data_offsets": [at, at + 2 * numbers],
            }
    spelled = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(spelled).to_bytes(8, "little") + spelled)
        random = np.random.default_rng(1)
        left = numbers * layers * MATRICES
        while left:
            count = min(STEP, left)
            file.write(halves(np.float32(SPREAD) * random.standard_normal(count, np.float32)))
            left -= count
    first = 8 + len(spelled)
    return [first + 2 * numbers * MATRICES * layer for layer in range(layers + 1)]


def move(path: Path, start: int, stop: int) -> None:
    """Fine-tune bytes ``[start, stop)`` of a file."""
    random = np.random.default_rng(2)
    with path.open("r+b") as file:
        for at in range(start, stop, 2 * STEP):
            file.seek(at)
            stored = np.frombuffer(file.read(min(2 * STEP, stop - at)), "<u2")
            weights = (stored.astype("<u4") << np.uint32(16)).view("<f4")
            steps = np.float32(MOVED) * random.standard_normal(len(weights), np.float32)
            file.seek(at)
            file.write(halves(weights + steps))


def side(vault: Vault, number: int) -> Side:
    """What was written as version *number*."""
    entry = replace(vault.entry(f"{number}/model.safetensors"), path="model.safetensors")
    files = (File(entry.path, entry.size, entry.digest, entry.sha256),)
    origin = Origin(f"models:/model/{number}", str(number))
    version = Version(digest_of(files), str(number), "model", number, 0, "", origin, files)
    return Side(version, {entry.path: entry})


def write(folder: Path, options: argparse.Namespace) -> int:
    """Write both versions to a vault in *folder*, and return which layer differs."""
    vault = Vault.init_at(LocalStore(folder / "vault"))
    model = folder / "model.safetensors"
    starts = make(model, int(options.gigabytes * 1e9), options.layers)
    changed: int = options.layers // 2
    for number in (1, 2):
        if number == 2:
            move(model, starts[changed], starts[changed + 1])
        start = time.perf_counter()
        vault.write_file(model, f"{number}/model.safetensors")
        seconds = time.perf_counter() - start
        print(f"wrote version {number}: {model.stat().st_size / 1e9:.2f} GB in {seconds:.1f} s")
    model.unlink()
    return changed


def measure(folder: Path, changed: int, *, whole: bool) -> int:
    """Compare both versions, print what that cost, and return the exit code."""
    store = Meter(folder / "vault")
    vault = Vault.at(store)
    before, after = side(vault, 1), side(vault, 2)
    store.requests = store.given = 0
    start = time.perf_counter()
    diff = compare(before, after, Reader(store, World()), Effort(whole=whole))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
    share = store.given / before.version.size
    print(
        f"{diff.lines(3)[0]}\n"
        f"the store gave {store.given / 1e6:,.1f} MB in {store.requests:,} requests: "
        f"{100 * share:.2f} % of one file, {50 * share:.2f} % of both\n"
        f"{seconds:.2f} s, a peak of {peak / 1024:.0f} MiB"
    )
    names = {one.place.tensor.name for one in diff.tensors if one.numbers}
    expected = {f"layers.{changed}.{matrix}" for matrix in range(MATRICES)}
    return int(names != expected or (share >= BOUND and not whole))


def main() -> int:
    """Print what was found and what it cost."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--gigabytes", type=float, default=1.0, help="size of the file")
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--whole", action="store_true", help="norms of whole tensors")
    parser.add_argument("--vault", type=Path, help=argparse.SUPPRESS)  # of the process that reads
    parser.add_argument("--changed", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.vault:
        return measure(options.vault, options.changed, whole=options.whole)
    with tempfile.TemporaryDirectory(prefix="diff-") as name:
        changed = write(Path(name), options)
        asked = ["--vault", name, "--changed", str(changed), *["--whole"] * options.whole]
        program = Path(__file__).parent
        return subprocess.run([sys.executable, program, *asked], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
