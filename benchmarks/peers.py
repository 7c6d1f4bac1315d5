"""The peers: what else one could keep the same files with, and the bytes it would take.

Two kinds.  borg and restic deduplicate any bytes: each version is backed up under the same
path into one repository, and every file of that repository counts.  XOR with the parent,
byte planes, zstd-1 is how TensorDex (SOSP '26) stores a fine-tuned child; ZipLLM's BitX is
XOR and zstd-3.  They are written here, in the form that serves them best: per tensor the
smaller of whole and 1 MiB pieces, each piece or plane raw where zstd gains nothing, no bytes
for an index.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from histories.recipe import History

    Bytes = npt.NDArray[np.uint8]

PIECE: Final = 1 << 20
WIDTHS: Final = {"F32": 4, "F16": 2, "BF16": 2, "I64": 8}
BORG_SETTINGS: Final = ("--compression", "zstd,3")


def bytes_below(folder: Path) -> int:
    """Return the bytes of every file below *folder*, none left out."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def staged(history: History, folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield each version's number and its copy, always at the same path in *folder*."""
    folder.mkdir(parents=True)
    copy = folder / history.recipe.file_name
    for version, path in enumerate(history.paths):
        if path.is_dir():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(path, copy, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(path, copy)
        yield version, copy


def borg_bytes(history: History, folder: Path, settings: Sequence[str] = BORG_SETTINGS) -> int:
    """Return the bytes of a borg repository that holds every version, made with *settings*."""
    repository = folder / f"borg-{settings[-1]}"
    world = {**os.environ, "BORG_BASE_DIR": str(folder / "borg-home")}
    world["BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK"] = "yes"
    _run(["borg", "init", "-e", "none", str(repository)], folder, world)
    for version, copy in staged(history, folder / f"source-{repository.name}"):
        archive = f"{repository}::v{version}"
        _run(["borg", "create", *settings, archive, copy.name], copy.parent, world)
    return bytes_below(repository)


def restic_bytes(history: History, folder: Path) -> int:
    """Return the bytes of a restic repository (its newest format) that holds every version."""
    repository = folder / "restic"
    world = {**os.environ, "RESTIC_REPOSITORY": str(repository), "RESTIC_PASSWORD": "benchmark"}
    world["RESTIC_CACHE_DIR"] = str(folder / "restic-cache")
    _run(["restic", "init", "--repository-version", "2"], folder, world)
    for _, copy in staged(history, folder / "restic-source"):
        _run(["restic", "backup", copy.name], copy.parent, world)
    return bytes_below(repository)


def tool_version(tool: str) -> str:
    """Return what *tool* says of its version, the first line."""
    command = [tool, "version" if tool == "restic" else "--version"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[
        0
    ]


@dataclass(frozen=True, slots=True)
class ChildBytes:
    """What a child costs next to its parent, by the two published ways."""

    planes: int  # XOR, byte planes, zstd-1
    bitx: int  # XOR, zstd-3


def child_bytes(parent: Path, child: Path) -> ChildBytes:
    """Return what *child* takes when *parent* is at hand; both safetensors."""
    theirs, _ = _tensors(parent)
    ours, header = _tensors(child)
    planes = bitx = len(_smaller(header, 3))
    for name, (width, tensor) in ours.items():
        _, known = theirs.get(name, (0, tensor[:0]))
        differing = tensor ^ known if known.size == tensor.size else tensor
        planes += _best(differing, width, level=1)
        bitx += _best(differing, 1, level=3)
    return ChildBytes(planes, bitx)


def _best(array: Bytes, width: int, *, level: int) -> int:
    pieces = [array[at : at + PIECE] for at in range(0, array.size, PIECE)]
    return min(_planes(array, width, level), sum(_planes(one, width, level) for one in pieces))


def _planes(array: Bytes, width: int, level: int) -> int:
    return sum(len(_smaller(array[plane::width].tobytes(), level)) for plane in range(width))


def _smaller(plain: bytes, level: int) -> bytes:
    return min(plain, zstandard.ZstdCompressor(level=level).compress(plain), key=len)


def _tensors(path: Path) -> tuple[dict[str, tuple[int, Bytes]], bytes]:
    """Return each tensor's element width and bytes, and the header with its length."""
    whole = np.fromfile(path, np.uint8)
    start = 8 + int.from_bytes(whole[:8].tobytes(), "little")
    header = whole[:start].tobytes()
    tensors = {
        name: (WIDTHS[about["dtype"]], whole[slice(*(start + at for at in about["data_offsets"]))])
        for name, about in json.loads(header[8:]).items()
        if name != "__metadata__"
    }
    return tensors, header


def _run(command: list[str], folder: Path, world: Mapping[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=world, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.decode().strip()}")
