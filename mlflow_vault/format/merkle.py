r"""The Merkle tree over the audit log: small proofs that an entry is in it, and that it only grew.

RFC 6962's tree (Certificate Transparency) with SHA-256.  A leaf is an entry's bytes; the root of
n leaves is the hash of the root of the first k and the root of the rest, where k is the largest
power of two below n::

         root of 5
         /       \
      0..3        4        to prove 2: [hash of 3, hash of 0..1, hash of 4]
      /   \
    0..1  2..3

Hashes are stored in *tiles* as C2SP's tlog-tiles has them: 256 hashes of one level side by side,
every eighth level.  A full tile never changes, the last of a level is partial and is stored under
its width.  Whoever has the tiles can prove whatever a checkpoint says.

Pure: no I/O.  Written down in docs/format.md, "Audit log".
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Node = Callable[[int, int], bytes]  # level and index: the root of leaves index << level ...

SIZE: Final = 32  # bytes of a hash
HEIGHT: Final = 8  # levels in a tile
WIDTH: Final = 1 << HEIGHT  # hashes in a full tile
EMPTY: Final = sha256().digest()  # the root of no leaves


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of a leaf; the zero before it keeps leaves and nodes apart."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two roots side by side."""
    return sha256(b"\1" + left + right).digest()


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """Where a tile lies, as C2SP's tlog-tiles spells it.

    >>> tile_path(0, 1234067), tile_path(1, 2, width=17)
    ('tile/0/x001/x234/067', 'tile/1/002.p/17')
    """
    partial = f".p/{width}" if width != WIDTH else ""
    return f"tile/{level}/{grouped(index)}{partial}"


def grouped(index: int) -> str:
    """Spell a tile's index three digits at a time, so that no folder has more than 2,000 names."""
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03d}")
    return "/".join(groups)


class Tree:
    """A tree that grows leaf by leaf and holds only its right edge: a tile for each level.

    Args:
        size: Leaves that it has already.
        tile: Returns the hashes in the last, partial tile of a level, given level, index, width.
    """

    def __init__(self, size: int = 0, tile: Callable[[int, int, int], bytes] | None = None) -> None:
        self.size = size
        self._rows: list[list[bytes]] = []
        for level, index, width in edge(size):
            stored = tile(level, index, width) if width and tile is not None else b""
            if len(stored) != width * SIZE:
                raise InvalidInputError(f"tile {tile_path(level, index, width)} is needed whole")
            self._rows.append(_cut(stored))

    def grow(self, leaf: bytes) -> list[tuple[str, bytes]]:
        """Take the next leaf's hash; return the path and the bytes of tiles that are full now."""
        full: list[tuple[str, bytes]] = []
        self.size += 1
        level = 0
        while True:
            if level == len(self._rows):
                self._rows.append([])
            row = self._rows[level]
            row.append(leaf)
            if len(row) < WIDTH:
                return full
            index = (self.size >> (HEIGHT * (level + 1))) - 1
            full.append((tile_path(level, index), b"".join(row)))
            leaf = _perfect(row)
            row.clear()
            level += 1

    def partial(self) -> Iterator[tuple[str, bytes]]:
        """Yield path and bytes of the tiles at the right edge that are not full."""
        for level, index, width in edge(self.size):
            if width:
                yield tile_path(level, index, width), b"".join(self._rows[level])

    def root(self) -> bytes:
        """The root of all leaves so far."""
        peaks: list[bytes] = []
        for row in reversed(self._rows):
            start, width = 0, len(row)
            while width:
                step = 1 << (width.bit_length() - 1)
                peaks.append(_perfect(row[start : start + step]))
                start, width = start + step, width - step
        if not peaks:
            return EMPTY
        root = peaks.pop()
        while peaks:
            root = node_hash(peaks.pop(), root)
        return root


def edge(size: int) -> Iterator[tuple[int, int, int]]:
    """Yield level, index and width of the last tile of each level in a tree of *size* leaves.

    >>> list(edge(256 * 2 + 5))
    [(0, 2, 5), (1, 0, 2)]
    """
    level = 0
    while size >> (HEIGHT * level):
        hashes = size >> (HEIGHT * level)
        yield level, hashes // WIDTH, hashes % WIDTH
        level += 1


def nodes_of(tile: Callable[[int, int], bytes]) -> Node:
    """Return what finds a node in tiles; *tile* returns a tile's bytes, given level and index.

    The tile may be wider or narrower than full, as long as it holds what is asked for.
    """

    def node(level: int, index: int) -> bytes:
        row, above = divmod(level, HEIGHT)
        start = index << above
        offset = start % WIDTH
        found = _cut(tile(row, start // WIDTH))[offset : offset + (1 << above)]
        if len(found) != 1 << above:
            raise InvalidInputError(f"tile {tile_path(row, start // WIDTH)} is too short")
        return _perfect(found)

    return node


def root_of(start: int, stop: int, node: Node) -> bytes:
    """The root of the leaves ``[start, stop)``, as the tree of RFC 6962 has it."""
    count = stop - start
    if count <= 0:
        return EMPTY
    level = (count - 1).bit_length()
    if count == 1 << level:
        return node(level, start >> level)
    middle = start + (1 << (level - 1))
    return node_hash(root_of(start, middle, node), root_of(middle, stop, node))


def prove_inclusion(index: int, size: int, node: Node) -> list[bytes]:
    """Return the proof that leaf *index* is in the tree of *size* leaves, lowest hash first.

    Raises:
        InvalidInputError: The tree has no such leaf.
    """
    if not 0 <= index < size:
        raise InvalidInputError(f"a tree of {size} entries has no entry {index}")
    proof: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            proof.append(root_of(middle, stop, node))
            stop = middle
        else:
            proof.append(root_of(start, middle, node))
            start = middle
    return proof[::-1]


def prove_consistency(earlier: int, size: int, node: Node) -> list[bytes]:
    """Return the proof that the tree of *earlier* leaves begins the tree of *size* leaves.

    Raises:
        InvalidInputError: It had more leaves.
    """
    if not 0 <= earlier <= size:
        raise InvalidInputError(f"a tree of {size} entries does not go on from {earlier}")
    if earlier in {0, size}:
        return []
    proof: list[bytes] = []
    start, stop, whole = 0, size, True  # `whole`: the earlier root, which the reader knows
    while stop != earlier:
        middle = start + _split(stop - start)
        if earlier <= middle:
            proof.append(root_of(middle, stop, node))
            stop = middle
        else:
            proof.append(root_of(start, middle, node))
            start, whole = middle, False
    if not whole:
        proof.append(root_of(start, stop, node))
    return proof[::-1]


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether *proof* shows that the leaf with this hash is the *index*-th below *root*.

    As RFC 9162, 2.1.3.2, says it.
    """
    if not 0 <= index < size or any(len(each) != SIZE for each in proof):
        return False
    at, last, made = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            made = node_hash(sibling, made)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            made = node_hash(made, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and made == root


def extends(earlier: tuple[int, bytes], later: tuple[int, bytes], proof: Sequence[bytes]) -> bool:
    """Whether *proof* shows that the tree *later* begins with *earlier*; both are size and root.

    As RFC 9162, 2.1.4.2, says it.
    """
    (size, root), (size_later, root_later) = earlier, later
    if any(len(each) != SIZE for each in proof) or not 0 <= size <= size_later:
        return False
    if size == size_later:
        return not proof and root == root_later
    if size == 0:
        return not proof and root == EMPTY
    path = [root, *proof] if not size & (size - 1) else [*proof]
    if not path:
        return False
    at, last = size - 1, size_later - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    made = made_later = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            made = node_hash(sibling, made)
            made_later = node_hash(sibling, made_later)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            made_later = node_hash(made_later, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and made == root and made_later == root_later


def _split(count: int) -> int:
    """The largest power of two below *count*."""
    return 1 << ((count - 1).bit_length() - 1)


def _perfect(hashes: list[bytes]) -> bytes:
    """The root of as many hashes as a power of two."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]


def _cut(stored: bytes) -> list[bytes]:
    return [stored[at : at + SIZE] for at in range(0, len(stored), SIZE)]
