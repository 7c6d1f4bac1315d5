"""A window of chunks, and the bases that they are coded against, fetched while others are coded.

What those will be is guessed when the window before is about to be coded.  No guess matters: bytes
that turn out to be needed and are not here are fetched then, and those that cannot be had now are
asked for again.  A base that cannot be read is no base: its chunk is stored whole.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlflow_vault.errors import StorageError, VaultError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Executor, Future

    from mlflow_vault.decide.bases import Base
    from mlflow_vault.engine.payloads import Payloads
    from mlflow_vault.engine.write.cutting import Chunk
    from mlflow_vault.engine.write.encoding import NewChunk
    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.rows import Row

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Window:
    """Chunks that are coded at once.

    Attributes:
        chunks: In the order of their file.
        digests: Of each.
        payloads: Where the bytes that they need come together.
        expected: Done when those that were guessed are there, decoded.
        fresh: Those of the chunks that have to be stored, once that is known.
    """

    chunks: Sequence[Chunk]
    digests: Sequence[Digest]
    payloads: Payloads
    expected: Future[None]
    fresh: list[NewChunk] = field(default_factory=list)


def fetch_ahead(bases: Iterable[Base], payloads: Payloads, readers: Executor) -> Future[None]:
    """Begin to fetch and decode *bases*; it takes one of the *readers* until that is done."""
    bases = list(bases)

    def fetch() -> None:
        with suppress(VaultError):
            _decode(bases, payloads)

    return readers.submit(fetch)


def read_bases(items: Sequence[NewChunk], payloads: Payloads) -> None:
    """Fetch and decode the bases of *items*; those that cannot be read are dropped.

    Damage is searched for by halves, so that it costs only the chunks that need it.
    """
    items = [item for item in items if item.base]
    try:
        plain = _decode([item.base for item in items if item.base], payloads)
    except VaultError as cause:
        if len(items) > 1 and not isinstance(cause, StorageError):
            read_bases(items[: len(items) // 2], payloads)
            read_bases(items[len(items) // 2 :], payloads)
            return
        _log.warning("a base cannot be read; storing chunks whole", exc_info=True)
        for item in items:
            item.base = None
        return
    for item in items:
        if item.base:
            pieces = [
                memoryview(plain[row.digest])[part.start : part.stop]
                for row, part in zip(item.base.rows, item.base.parts, strict=True)
            ]
            item.base_bytes = pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _decode(bases: Iterable[Base], payloads: Payloads) -> dict[Digest, bytes]:
    """The plain bytes of every chunk in *bases*."""
    plain: dict[Digest, bytes] = {}
    for table, rows in _by_table(bases):
        payloads.fetch(rows.values(), table)
        decoded = payloads.decode_all(list(rows.values()), table)
        plain.update(zip(rows, decoded, strict=True))
    return plain


def _by_table(bases: Iterable[Base]) -> list[tuple[Sequence[Row], dict[Digest, Row]]]:
    """Sort the rows of *bases* by the table that their own bases are indexes into."""
    tables: dict[int, tuple[Sequence[Row], dict[Digest, Row]]] = {}
    for base in bases:
        _, rows = tables.setdefault(id(base.table), (base.table, {}))
        rows.update((row.digest, row) for row in base.rows)
    return list(tables.values())
