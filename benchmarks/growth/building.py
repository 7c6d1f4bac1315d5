"""Makes what is measured: vaults that have grown to a size, and files to log into them.

Vaults are grown by the writer itself, one write after another, so that their packs, entries, hints
and outcomes are what years of use would leave.  A point is a copy of hard links, taken when
the vault has grown that far: objects are never changed in place, so that a copy is a vault of
its own.

Numbers are drawn, seeded: a version is the one before it with each weight moved a little, as
by fine-tuning with a small rate.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

SEED: Final = 20
MODEL_WEIGHTS: Final = 80_000  # floats: 320 KB, more than lies in an entry
MOVED: Final = np.float32(1e-4)  # how far a version moves each weight, in spreads
LAYER: Final = 1 << 20  # floats of a large file's tensors
IN_FILE: Final = 1_000  # chunks of a file that only fills a vault
IN_CHUNK: Final = 1_024  # floats: as small as arrays that are chunks of their own come
SMALL: Final = ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt")

Floats: TypeAlias = "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"


def vault_in(folder: Path) -> Vault:
    """Make or open the vault of the point that is built in *folder*."""
    return Vault.init(f"vault-file://{folder / 'vault'}")


def run_of(number: int) -> str:
    """Return the artifact root of a run, laid out as MLflow does."""
    return f"7/{number:032x}/artifacts"


def copy_links(source: Path, target: Path) -> None:
    """Copy the folder *source* to *target*, each file as one more name of the same bytes."""
    shutil.copytree(source, target, copy_function=os.link)


def versions(points: Sequence[int], place: Path) -> None:
    """Build vaults of as many versions of one model as *points* say, and the next version."""
    drawn = _trained()
    growing = place / "growing"
    logged = 0
    weights = next(drawn)
    for point in points:
        vault = vault_in(growing)
        while logged < point:
            _write_model(growing / "next", weights, logged)
            vault.write_folder(growing / "next", f"{run_of(logged)}/model")
            weights = next(drawn)
            logged += 1
        copy_links(growing / "vault", place / str(point) / "vault")
        _write_model(place / str(point) / "next", weights, logged)
    shutil.rmtree(growing)


def chunks(points: Sequence[int], place: Path) -> None:
    """Build vaults that hold a version of a model and *points* chunks of other files."""
    growing = place / "growing"
    drawn = _trained()
    first, weights = next(drawn), next(drawn)
    _write_model(growing / "first", first, 0)
    filler = growing / "filler.safetensors"
    held = 0
    for point in points:
        if held < IN_FILE:  # begin anew: what is there is one smaller file
            shutil.rmtree(growing / "vault", ignore_errors=True)
            vault_in(growing).write_folder(growing / "first", f"{run_of(0)}/model")
            held = 0
        vault = vault_in(growing)
        while held < point:
            many = min(IN_FILE, point - held)
            _write_filler(filler, many, held // IN_FILE)
            vault.write_file(filler, f"{_elsewhere(held // IN_FILE)}/filler.safetensors")
            held += many
        copy_links(growing / "vault", place / str(point) / "vault")
        _write_model(place / str(point) / "next", weights, 1)
    shutil.rmtree(growing)


def sizes(points: Sequence[int], place: Path) -> None:
    """Build empty vaults, and two versions of a file of as many bytes as *points* say."""
    for point in points:
        vault_in(place / str(point))
        first, following = (place / str(point) / name for name in ("first", "next"))
        counts = list(_layers(point // 4))
        head = _head((f"layers.{at}.weight", count) for at, count in enumerate(counts))
        with first.open("wb") as one, following.open("wb") as other:
            one.write(head)
            other.write(head)
            for at, count in enumerate(counts):
                random = np.random.default_rng((SEED, at))
                weights = random.standard_normal(count, dtype=np.float32)
                one.write(weights.data)
                weights += MOVED * random.standard_normal(count, dtype=np.float32)
                other.write(weights.data)


def files(points: Sequence[int], place: Path) -> None:
    """Build empty vaults, and folders of as many small files as *points* say."""
    for point in points:
        vault_in(place / str(point))
        folder = place / str(point) / "next"
        folder.mkdir()
        for number in range(point):
            text = json.dumps({"image": number, "score": number / point, "label": "a small file"})
            (folder / f"{number:06}.json").write_text(text, encoding="utf-8")


def _trained() -> Iterator[Floats]:
    """Yield the weights of one model, version after version."""
    random = np.random.default_rng(SEED)
    weights = random.standard_normal(MODEL_WEIGHTS, dtype=np.float32)
    while True:
        yield weights
        step = random.standard_normal(MODEL_WEIGHTS, dtype=np.float32)
        weights = weights + MOVED * step


def _write_model(folder: Path, weights: Floats, version: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(_head([("weight", weights.size)]))
        file.write(weights.data)
    for name in SMALL:
        (folder / name).write_text(f"{name} of version {version}\n", encoding="utf-8")


def _write_filler(path: Path, many: int, number: int) -> None:
    """Write a file of *many* chunks that no other file has.

    A file of few must be larger than what lies in an entry; in others a chunk is one number,
    repeated, so that a million fit on a disk.
    """
    count = max(IN_CHUNK, 100 * IN_CHUNK // many)
    random = np.random.default_rng((SEED, many, number))
    with path.open("wb") as file:
        file.write(_head((f"t{number}-{at}", count) for at in range(many)))
        for _ in range(many):
            drawn = random.standard_normal(count if many < IN_FILE else 1, dtype=np.float32)
            file.write(np.resize(drawn, count).data)


def _elsewhere(number: int) -> str:
    """Return another run's artifact root: a series of its own, in one of ten experiments."""
    return f"{100 + number % 10}/{number:032x}/artifacts/data-{number // 10}"


def _layers(count: int) -> Iterator[int]:
    """Split *count* floats into tensors."""
    while count > 0:
        yield min(count, LAYER)
        count -= LAYER


def _head(tensors: Iterable[tuple[str, int]]) -> bytes:
    """Return what stands before the tensors in a safetensors file of floats."""
    header, at = {}, 0
    for name, count in tensors:
        header[name] = {"dtype": "F32", "shape": [count], "data_offsets": [at, at + 4 * count]}
        at += 4 * count
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
