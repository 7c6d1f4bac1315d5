"""What an entry is made of: rows, the parts of their bases, and tensors.

Pure: no I/O.  Written down in docs/format.md, "Entries".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.format.elements import Element

if TYPE_CHECKING:
    from mlflow_vault.format.digest import Digest

_ELEMENTS: Final = {element.tag: element for element in Element}


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``[start, stop)`` of the plain chunk in row *row*, as part of a delta's base."""

    row: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Row:
    """One chunk and where its payload lies.

    Attributes:
        digest: Of the plain bytes.
        size: Plain bytes.
        codec: A tag of `format.coding.codec`.
        pack: Id of the pack.
        start: Where the payload starts in the pack.
        stored: Bytes of the payload.
        base: The parts of its base, in order; empty where the codec needs none.
    """

    digest: Digest
    size: int
    codec: int
    pack: bytes
    start: int
    stored: int
    base: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Tensor:
    """An array of the file, and what its history cost: what the next version needs to know.

    Attributes:
        name: Its name in the file; empty where names mean nothing.
        element: Its type, None if unknown.
        shape: Its shape.
        start: Its first byte in the file.
        stop: One past its last byte.
        anchor: Element of the chunks its deltas are coded against; differs after a cast.
        age: Versions stored since its anchor, the anchor included.
        spent: Bytes stored for those versions.
    """

    name: str
    element: Element | None
    shape: tuple[int, ...]
    start: int
    stop: int
    anchor: Element | None
    age: int
    spent: int

    def to_list(self) -> list[Any]:
        """Spell this tensor as plain values."""
        return [
            self.name,
            self.element.tag if self.element else None,
            list(self.shape),
            self.start,
            self.stop,
            self.anchor.tag if self.anchor else None,
            self.age,
            self.spent,
        ]

    @classmethod
    def from_list(cls, values: list[Any]) -> Tensor:
        """Undo `to_list`.

        Raises:
            TypeError, ValueError, LookupError: *values* are no tensor.
        """
        name, element, shape, start, stop, anchor, age, spent = values
        return cls(
            name=str(name),
            element=_ELEMENTS[element] if element is not None else None,
            shape=tuple(int(length) for length in shape),
            start=int(start),
            stop=int(stop),
            anchor=_ELEMENTS[anchor] if anchor is not None else None,
            age=int(age),
            spent=int(spent),
        )
