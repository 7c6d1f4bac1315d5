"""Looks into files: what the vault understood of each, what each cost, and what zstd would do.

An entry says which parser knew the file and where its arrays lie; its rows say how each chunk
is coded.  A chunk counts where it was first stored; after that it is known.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import zstandard

from mlflow_vault.format.coding.codec import Codec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from mlflow_vault.vault import Vault

_LEVEL: Final = 3  # what zstd takes when nothing is said
_WINDOW: Final = 27  # 128 MiB, which holds all versions of anything here


@dataclass(frozen=True, slots=True)
class Seen:
    """A file of a version, as the vault keeps it.

    Attributes:
        version: From 0.
        path: In the model's folder.
        size: Its bytes.
        parser: Which parser knew it; empty if none did, ``inline`` where it was too small to ask.
        arrays: How many arrays were found.
        inside: Bytes that lie in arrays.
        known: Bytes in chunks that were stored already.
        coded: Stored bytes by codec.
    """

    version: int
    path: str
    size: int
    parser: str
    arrays: int
    inside: int
    known: int
    coded: dict[str, int]


def looked_at(vault: Vault, folders: Iterable[str]) -> Iterator[Seen]:
    """Yield every file of the versions in *folders*, oldest first."""
    stored: set[tuple[bytes, int]] = set()
    for version, folder in enumerate(folders):
        for path in sorted(vault.walk(folder)):
            entry = vault.entry(path)
            coded: Counter[str] = Counter()
            fresh = set()
            for number, row in enumerate(entry.rows):
                if (row.pack, row.start) not in stored:
                    fresh.add(number)
                    coded[Codec(row.codec).name.lower()] += row.stored
            known = 0
            for number in entry.sequence:
                if number in fresh:
                    fresh.discard(number)
                else:
                    known += entry.rows[number].size
            stored.update((row.pack, row.start) for row in entry.rows)
            yield Seen(
                version=version,
                path=path.removeprefix(folder).strip("/"),
                size=entry.size,
                parser=entry.parser if entry.inline is None else "inline",
                arrays=len(entry.tensors),
                inside=sum(tensor.stop - tensor.start for tensor in entry.tensors),
                known=known,
                coded=dict(coded),
            )


def zstd_apart(folders: Iterable[Path]) -> int:
    """Bytes of every file compressed by itself."""
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    return sum(len(compressor.compress(path.read_bytes())) for path in _paths(folders))


def zstd_together(folders: Iterable[Path]) -> int:
    """Bytes of all files in one stream that remembers everything, as an archiver would."""
    settings = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL, window_log=_WINDOW, enable_ldm=True
    )
    compressor = zstandard.ZstdCompressor(compression_params=settings).compressobj()
    size = sum(len(compressor.compress(path.read_bytes())) for path in _paths(folders))
    return size + len(compressor.flush())


def _paths(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from sorted(path for path in folder.rglob("*") if path.is_file())
