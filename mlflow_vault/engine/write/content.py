"""Writes content that the vault does not hold: found, cut, compared with its relatives, coded.

Apart from `engine.write.writer`, for it takes every parser of `format.tensors` and every coding:
who reads, logs small files or logs what is there already needs none of them.
"""

from __future__ import annotations

import hashlib
import posixpath
from typing import TYPE_CHECKING

from blake3 import blake3

from mlflow_vault.decide.casts import is_half, prints_of
from mlflow_vault.decide.families import family_buckets
from mlflow_vault.engine.write.coder import FileCoder
from mlflow_vault.engine.write.cutting import cut_windows
from mlflow_vault.engine.write.relatives import Newcomer, find_relatives
from mlflow_vault.errors import SourceChangedError
from mlflow_vault.format.chunking import MEAN_SIZES, ContentCutter, mean_for
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.rows import Tensor
from mlflow_vault.format.tensors import find_arrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_vault.decide.bases import Relative
    from mlflow_vault.engine.write.shelf import Job, Shelf
    from mlflow_vault.engine.write.source import Source
    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.tensors import Layout


def write_content(source: Source, digest: Digest, path: str, shelf: Shelf, job: Job) -> Entry:
    """Put the content of *source* into packs; return the entry that says where it lies.

    Args:
        source: A file that is larger than what an entry holds.
        digest: What it was when it was looked for.
        path: Where it goes.
        shelf: Where its chunks go.
        job: What was asked for.

    Raises:
        SourceChangedError: It is not what it was.
        StorageError: The store failed.
    """
    found = find_arrays(source, name=posixpath.basename(path))
    tensors = _tensors(found)
    prints = prints_of(tensors, source.read)
    if is_half(prints):  # families are asked first
        shelf.expect(family_buckets(tensors))
    newcomer = Newcomer(path, tensors, prints, job.parents)
    relatives = find_relatives(shelf.hints, newcomer)
    mean = inherited_mean(relatives, source.size)
    coder = FileCoder(shelf, relatives, tensors)
    whole, sha256 = blake3(), hashlib.sha256()

    def hash_all(pieces: list[bytes]) -> None:
        for piece in pieces:
            whole.update(piece)
            sha256.update(piece)

    cut = cut_windows(source, found, ContentCutter(mean, shelf.cut_seed))
    hashing = shelf.pool.submit(hash_all, [])
    for window in coder.code(cut):
        hashing.result()
        hashing = shelf.pool.submit(hash_all, [chunk.plain for chunk in window.chunks])
        shelf.transaction.refresh()
        job.progress(sum(len(chunk.plain) for chunk in window.chunks))
    hashing.result()
    source.check()
    if whole.digest() != digest.raw:
        raise SourceChangedError(
            f"{source.name} changed while it was read; nothing was committed. "
            "Log it again when nobody writes to it."
        )
    return Entry(
        path=path,
        size=source.size,
        digest=digest,
        sha256=sha256.digest(),
        transaction=shelf.transaction.id,
        mean=mean,
        parser=found.parser,
        tensors=coder.tensors(),
        rows=tuple(coder.table.rows),
        sequence=tuple(coder.table.sequence),
    )


def inherited_mean(relatives: Sequence[Relative], size: int) -> int:
    """The mean chunk size of a new file: that of the file it is compared with, else by *size*.

    A forest grown from 14.8 to 29.6 MB is all new where the mean changes between versions.
    """
    inherited = relatives[0].entry.mean if relatives else 0
    return inherited if inherited in MEAN_SIZES else mean_for(size)


def _tensors(found: Layout) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            name=array.name,
            element=array.element,
            shape=array.shape,
            start=array.start,
            stop=array.stop,
            anchor=array.element,
            age=0,
            spent=0,
        )
        for array in found.arrays
    )
