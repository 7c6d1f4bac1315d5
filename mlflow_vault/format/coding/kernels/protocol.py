"""What both sets of inner loops promise.

Arrays that they return lie in the `Scratch` they were given, or are their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from mlflow_vault.format.coding.floats import Numbers
    from mlflow_vault.format.coding.scratch import Scratch
    from mlflow_vault.format.elements import Element

    Bytes = npt.NDArray[np.uint8]
    Planes = npt.NDArray[np.uint8]
    Ends = tuple[int, int]  # the lowest and the highest exponent that a grouping tells apart


class Tally(NamedTuple):
    """What planes are made of.

    Attributes:
        counted: How often each byte occurs in a plane's sample; a row of 256 for each plane.
        constant: Whether all bytes of the plane are one.
    """

    counted: npt.NDArray[np.int64]
    constant: npt.NDArray[np.bool_]


class Grouping(Protocol):
    """A chunk's elements in bands: by the base's clamped exponent, then by position; or as one."""

    @property
    def sizes(self) -> list[int]:
        """Elements of each band: of each exponent from the lowest on."""
        ...

    def subtract(self, values: Numbers) -> Planes:
        """Return the byte planes of the steps from the base to *values*, band by band."""
        ...

    def add(self, planes: Planes) -> Numbers:
        """Undo `subtract`."""
        ...


class Kernels(Protocol):
    """Planes are arrays of shape (bytes of a number, numbers), the lowest byte first."""

    def split(self, values: Numbers, element: Element, work: Scratch) -> Planes:
        """Return the byte planes of *values*, signs of floats rotated away."""
        ...

    def join(self, planes: Planes, element: Element, work: Scratch) -> Numbers:
        """Undo `split`."""
        ...

    def group(self, base: Numbers, element: Element, ends: Ends | None, work: Scratch) -> Grouping:
        """Group the elements of *base* by their exponents, clamped to *ends*; None: not at all."""
        ...

    def tally(self, planes: Planes, counts: Sequence[int], sample: int) -> Tally:
        """Look at each plane of each band of *counts* numbers, band by band, empty ones left out.

        Args:
            planes: Of all bands together.
            counts: Numbers in each band.
            sample: About how many bytes of a plane are counted, evenly drawn.
        """
        ...

    def pack(self, plane: Bytes, bits: int, work: Scratch) -> tuple[Bytes, Bytes]:
        """Return *plane* with each byte capped to *bits*, packed, and what goes beyond the cap."""
        ...

    def caps(self, packed: Bytes, bits: int, count: int) -> int:
        """Count how many of the first *count* bytes in *packed* are the cap."""
        ...

    def unpack(self, packed: Bytes, bits: int, beyond: Bytes, plane: Bytes) -> None:
        """Undo `pack`: fill *plane*; *beyond* has as many bytes as there are caps."""
        ...
