"""The table of one file's entry while it is written: rows are added once and found again.

Rows come from three places: coded now, written earlier in the same transaction, or held by a
relative.  The last two bring the rows of their bases with them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlflow_vault.format.rows import Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.rows import Row


class Table:
    """Rows in an order in which a row links only to rows before it."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.sequence: list[int] = []
        self._index: dict[Digest, int] = {}

    def index_of(self, digest: Digest) -> int | None:
        """The index of the row of *digest*, None if there is none."""
        return self._index.get(digest)

    def add(self, row: Row) -> int:
        """Add *row*, whose base is given as indexes of this table; return its index.

        A chunk that is here as a delta becomes what *row* says where that is the whole chunk, so
        that deltas against it stay shallow.
        """
        known = self._index.get(row.digest)
        if known is not None:
            if not row.base:
                self.rows[known] = row
            return known
        self.rows.append(row)
        self._index[row.digest] = len(self.rows) - 1
        return len(self.rows) - 1

    def adopt(self, row: Row, table: Sequence[Row]) -> int:
        """Add *row* of another *table*, and the bases that it links to there; return its index."""
        known = self._index.get(row.digest)
        if known is not None and row.base:
            return known
        base = tuple(
            Part(self.adopt(table[part.row], table), part.start, part.stop) for part in row.base
        )
        return self.add(replace(row, base=base))

    def depth_of(self, row: Row, table: Sequence[Row]) -> int:
        """How deep *row* of another *table* lies here once it is adopted."""
        known = self._index.get(row.digest)
        if known is not None:
            row, table = (self.rows[known] if row.base else row), self.rows
        return max((1 + self.depth_of(table[part.row], table) for part in row.base), default=0)
