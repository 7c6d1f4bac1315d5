"""Against what to code a chunk, and when a tensor starts over.

The bases of a delta are *anchors*: chunks stored whole.  So a chunk needs at most its own record
and its bases', however long the history, and no chain can rot:

    v1  [ anchor a ]        v2  [ a + delta ]        v3  [ a + delta ]   not  v2 + delta

Only a cast goes one deeper.  A half-precision copy is predictable from the very version that it
was made of, and from no other, so that is its base, as it is.  What continues the copy has the
same base:

    v2 in bf16  [ v2 + next to nothing ]             v3 in bf16  [ v2 + delta ]

What is compared with is a relative's entry: the same file of an earlier version, or a file of the
same family.  A tensor is matched by name, a span of it by its offset; content-cut bytes are
matched by how far they lie behind the last chunk that both files share.

Pure: decides only.  `engine.write` reads the bases and tries them.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from mlflow_vault.config import MAX_BASES
from mlflow_vault.format.coding.codec import Codec
from mlflow_vault.format.elements import Element
from mlflow_vault.format.rows import Part
from mlflow_vault.format.soundness import depths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.entry import Entry
    from mlflow_vault.format.rows import Row, Tensor

_SINGLE: Final[dict[Element | None, Element]] = {
    Element.BF16: Element.F32,
    Element.F16: Element.F32,
}
DEEPEST: Final = 2  # deltas behind deltas that a writer makes; a reader takes `config.MAX_DEPTH`
_WORTH: Final = 0.97  # a delta that saves less than 3 % costs its reader more than it gives


@dataclass(frozen=True, slots=True)
class Base:
    """What a chunk may be coded against.

    Attributes:
        rows: Chunks of the relative, joined in this order...
        parts: ...of each of which these bytes are used; `Part.row` indexes *rows*.
        element: The type of number in them, None where they are plain bytes.
        table: What the bases of *rows* are indexes into: the relative's rows.
    """

    rows: tuple[Row, ...]
    parts: tuple[Part, ...]
    element: Element | None
    table: Sequence[Row]

    @property
    def size(self) -> int:
        """Bytes of all parts together."""
        return sum(part.stop - part.start for part in self.parts)


class Relative:
    """An entry seen as a source of chunks and bases."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.held: dict[Digest, Row] = {row.digest: row for row in entry.rows}
        self._depths = dict(zip(self.held, depths(entry.rows), strict=True))
        self._stops = list(accumulate(entry.rows[index].size for index in entry.sequence))
        self._tensors = dict(zip(_labels(entry.tensors), entry.tensors, strict=True))
        self._places = {
            entry.rows[index].digest: stop
            for index, stop in zip(entry.sequence, self._stops, strict=True)
        }

    def match(self, tensors: Iterable[Tensor]) -> list[Tensor | None]:
        """Find for each of *tensors* the one it continues here; None if there is none."""
        tensors = list(tensors)
        found = []
        for label, tensor in zip(_labels(tensors), tensors, strict=True):
            theirs = self._tensors.get(label)
            if theirs and tensor.element != theirs.element:
                castable = tensor.element in _SINGLE and theirs.element is Element.F32
                theirs = theirs if castable else None
            found.append(theirs)
        return found

    def tensor_base(self, tensor: Tensor, theirs: Tensor, start: int, stop: int) -> Base | None:
        """What to code bytes ``[start, stop)`` of *tensor* against, which continues *theirs*.

        That is what the chunks there are coded against, or they themselves where they are
        stored whole or *tensor* is cast from them.

        Returns:
            None where such chunks are too many or too deep, or none lie there.
        """
        if tensor.element is None or theirs.element is None:
            return None
        cast = tensor.element is not theirs.element
        scale = theirs.element.width // tensor.element.width
        first = theirs.start + (start - tensor.start) * scale
        last = min(theirs.start + (stop - tensor.start) * scale, theirs.stop)
        # Deltas of a cast tensor hang on chunks of another width; `scale` maps into theirs.
        wide = theirs.anchor.width // theirs.element.width if theirs.anchor else 1
        rows: list[Row] = []
        parts: list[Part] = []
        elements: set[Element | None] = set()
        covered = 0  # bytes of their tensor for which such chunks were found
        for row, low, high in self._chunks(first, last):
            if sum(part.stop - part.start for part in parts) != covered * (wide if elements else 1):
                return None  # a base that is short in the middle would shift what follows
            covered += high - low
            if cast or not row.base:
                elements.add(theirs.element)
                _append(rows, parts, row, (low, high))
                continue
            if row.codec != Codec.DELTA:
                return None
            elements.add(theirs.anchor)
            at = 0
            for part in row.base:
                length = part.stop - part.start
                lower, upper = max(low * wide, at), min(high * wide, at + length)
                if lower < upper:
                    begin = part.start + lower - at
                    span = (begin, begin + upper - lower)
                    _append(rows, parts, self.entry.rows[part.row], span)
                at += length
        if not parts or len(parts) > MAX_BASES or len(elements) != 1:
            return None
        element = elements.pop()
        deepest = 0 if element is tensor.element else DEEPEST - 1
        if any(self._depths[row.digest] > deepest for row in rows):
            return None  # another release's deeper chain
        return Base(tuple(rows), tuple(parts), element, self.entry.rows)

    def content_base(self, start: int, stop: int) -> Base | None:
        """The anchors behind bytes ``[start, stop)`` of the file, as plain bytes."""
        rows: list[Row] = []
        for row, _, _ in self._chunks(start, stop):
            for anchor in [self.entry.rows[part.row] for part in row.base] or [row]:
                if not anchor.base and anchor not in rows:
                    rows.append(anchor)
        rows = rows[:MAX_BASES]
        parts = tuple(Part(index, 0, row.size) for index, row in enumerate(rows))
        return Base(tuple(rows), parts, None, self.entry.rows) if parts else None

    def place_of(self, digest: Digest) -> int | None:
        """Where the chunk *digest* stops in this file, None if it is not in it."""
        return self._places.get(digest)

    def _chunks(self, start: int, stop: int) -> Iterable[tuple[Row, int, int]]:
        """Yield the chunks under bytes ``[start, stop)``, and which of their bytes those are."""
        index = bisect_right(self._stops, start)
        while index < len(self._stops) and start < stop:
            row = self.entry.rows[self.entry.sequence[index]]
            begin = self._stops[index] - row.size
            yield row, start - begin, min(stop, self._stops[index]) - begin
            start = self._stops[index]
            index += 1


def pays(delta: float, whole: float) -> bool:
    """Whether a delta of share *delta* is worth its base, against *whole* without one."""
    return delta < whole * _WORTH


def starts_over(delta: float, tensor: Tensor) -> bool:
    """Whether a tensor should be stored whole again rather than as *delta* bytes.

    It should when the next delta would exceed the mean stored bytes per version since the
    anchor, the anchor included: versions drift away like a random walk, and of all rules that
    look back only, this one stores least on the histories that were measured.

    Args:
        delta: Estimated bytes of the next delta.
        tensor: The tensor of the relative, with its age and what was spent.
    """
    return tensor.age > 0 and delta * tensor.age > tensor.spent


def inherited(tensor: Tensor, theirs: Tensor) -> int:
    """Bytes spent on *theirs*, which *tensor* continues; of a cast counted in its own width."""
    if tensor.element is None or theirs.element is None:
        return theirs.spent
    return theirs.spent * tensor.element.width // theirs.element.width


def _append(rows: list[Row], parts: list[Part], row: Row, span: tuple[int, int]) -> None:
    """Add bytes *span* of *row*, joined with the part before where they continue it."""
    if rows and rows[-1] == row and parts[-1].stop == span[0]:
        parts[-1] = Part(parts[-1].row, parts[-1].start, span[1])
        return
    rows.append(row)
    parts.append(Part(len(rows) - 1, *span))


def _labels(tensors: Iterable[Tensor]) -> list[tuple[str, object, int]]:
    """Name tensors so that they can be found again: by name, or by kind and order."""
    seen: dict[tuple[str, object], int] = {}
    labels: list[tuple[str, object, int]] = []
    for tensor in tensors:
        kind = _SINGLE.get(tensor.element, tensor.element)  # a copy has the label of its source
        key = (tensor.name, None if tensor.name else (kind, tensor.shape))
        seen[key] = seen.get(key, 0) + 1
        labels.append((*key, seen[key]))
    return labels
