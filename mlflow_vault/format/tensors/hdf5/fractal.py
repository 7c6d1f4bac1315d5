"""Fractal heaps: where groups of more than a few members keep their links.

A heap is one address space laid out in blocks whose size doubles every row::

    row 0   [512] [512] [512] [512]        a B-tree of version 2 says at which
    row 1   [512] [512] [512] [512]        offsets objects lie in it
    row 2   [1024] ...

Heaps whose blocks need tables of tables (10,000 links and more) are not followed.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors.arrays import check
from mlflow_vault.format.tensors.hdf5.reading import WORD, number, word

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.tensors.hdf5.reading import Reading

_HEAP_HEAD: Final = 142
_MAX_WIDTH: Final = 64  # blocks in a row; libraries write 4
_MAX_ROWS: Final = 32
_TREE_HEAD: Final = 34
_NODE_HEAD: Final = 6  # and four bytes of checksum at a node's end
_CHECKSUM: Final = 4
_MAX_NODE: Final = 1 << 16
_MAX_DEPTH: Final = 6
_BY_NAME: Final = 5  # the type of tree whose records are the hash of a name, and the heap's id
_HASH: Final = 4


def read_heap(reading: Reading, heap_address: int, tree_address: int) -> Iterator[bytes]:
    """Yield the objects in the heap at *heap_address* that the tree at *tree_address* lists."""
    heap = _Heap.read(reading, heap_address)
    for identifier in _read_identifiers(reading, tree_address):
        yield heap.find(identifier)


@dataclass(frozen=True, slots=True)
class _Heap:
    reading: Reading
    width: int
    first: int  # bytes of a block in the first two rows
    blocks: tuple[int, ...]  # addresses, row after row; one where there is no table
    offset_bytes: int
    length_bytes: int

    @classmethod
    def read(cls, reading: Reading, address: int) -> _Heap:
        head = reading.signed(address, _HEAP_HEAD, b"FRHP")
        check(number(head, 7, 2) == 0, "a heap with filters")
        width, first, largest = number(head, 110, 2), word(head, 112), word(head, 120)
        bits, root, rows = number(head, 128, 2), word(head, 132), number(head, 140, 2)
        check(0 < width <= _MAX_WIDTH and rows <= _MAX_ROWS and bits <= 64, "no heap")  # noqa: PLR2004 - bits of an offset
        check(0 < first <= largest < 1 << 32, "no heap")
        offset_bytes = (bits + 7) // 8
        length_bytes = min(_bytes_for(largest - 1), _bytes_for(number(head, 10, 4)))
        blocks = [root]
        if rows:
            check(first << max(rows - 2, 0) <= largest, "tables in tables")
            table = 5 + WORD + offset_bytes
            found = reading.signed(root, table + WORD * width * rows, b"FHIB")
            blocks = [word(found, table + WORD * index) for index in range(width * rows)]
        return cls(reading, width, first, tuple(blocks), offset_bytes, length_bytes)

    def find(self, identifier: bytes) -> bytes:
        """Return the object of an *identifier*."""
        check(identifier[0] == 0, "an object outside the blocks")
        offset = number(identifier, 1, self.offset_bytes)
        length = number(identifier, 1 + self.offset_bytes, self.length_bytes)
        if len(self.blocks) == 1:
            return self.reading.piece(self.blocks[0] + offset, length)
        row_size, row = self.first * self.width, 0
        while offset >= row_size:
            offset -= row_size
            row += 1
            row_size = self.first * self.width << max(row - 1, 0)
        column, inside = divmod(offset, self.first << max(row - 1, 0))
        return self.reading.piece(self.blocks[row * self.width + column] + inside, length)


def _read_identifiers(reading: Reading, address: int) -> Iterator[bytes]:
    head = reading.signed(address, _TREE_HEAD, b"BTHD")
    kind, node_size, record = head[5], number(head, 6, 4), number(head, 10, 2)
    depth, root, records = number(head, 12, 2), word(head, 16), number(head, 24, 2)
    check(kind == _BY_NAME and depth <= _MAX_DEPTH, "no tree of links")
    check(_HASH < record < node_size <= _MAX_NODE, "no tree of links")
    if records:
        for found in _Tree(reading, node_size, record).read(root, records, depth):
            yield found[_HASH:]


@dataclass(frozen=True, slots=True)
class _Tree:
    reading: Reading
    node_size: int
    record: int

    def read(self, address: int, records: int, depth: int) -> Iterator[bytes]:
        """Yield the records at and below the node at *address*."""
        node = self.reading.signed(address, self.node_size, b"BTIN" if depth else b"BTLF")
        stop = _NODE_HEAD + records * self.record
        check(stop <= len(node), "more records than fit")
        for at in range(_NODE_HEAD, stop, self.record):
            yield node[at : at + self.record]
        if depth:
            count_bytes, total_bytes = self._pointer(depth)
            for index in range(records + 1):
                at = stop + index * (WORD + count_bytes + total_bytes)
                child, inside = word(node, at), number(node, at + WORD, count_bytes)
                yield from self.read(child, inside, depth - 1)

    def _pointer(self, depth: int) -> tuple[int, int]:
        """Return the bytes of both counts behind a child's address: its own, and all below."""
        most = (self.node_size - _NODE_HEAD - _CHECKSUM) // self.record
        count_bytes = _bytes_for(most)
        below, total_bytes = most, 0
        for _ in range(depth - 1):
            pointer = WORD + count_bytes + total_bytes
            room = self.node_size - _NODE_HEAD - _CHECKSUM - pointer
            inside = room // (self.record + pointer)
            below = (inside + 1) * below + inside
            total_bytes = _bytes_for(below)
        return count_bytes, total_bytes


def _bytes_for(most: int) -> int:
    return (most.bit_length() + 7) // 8
