"""How far two tensors are apart, in numbers that are summed up piece by piece.

A number has changed if its bits have.  All figures are over the changed numbers, so they do not
depend on how a file was cut; of a sparse change they say how large it is where it is.  Measured
whole, norms and cosine are over all numbers instead.

NaN and infinity are counted, and left out of everything else.  Sums of squares carry an exponent
of their own, so that they neither overflow nor vanish.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlflow_vault.format.version import finite

if TYPE_CHECKING:
    import numpy.typing as npt

    from mlflow_vault.govern.diff.readings import Bits, Reading, Values

_BLOCK: Final = 1 << 15  # numbers at once: what is made of them stays in the processor's cache
_SAFE: Final = 400  # exponents up to which a square is far from a double's ends


@dataclass(frozen=True, slots=True)
class Numbers:
    """How the numbers of a tensor changed.

    Attributes:
        read_as: As which type they were read; ``bytes`` where it is unknown.
        elements: Numbers in the tensor.
        changed: Numbers whose bits are others.
        whole: Whether norms and cosine are over all numbers, not the changed ones alone.
        max_delta: The largest difference; None where there are no finite numbers.
        norm_delta: L2 norm of the differences; None likewise.
        norm_before: L2 norm of the numbers before.
        norm_after: Of the numbers after.
        cosine: Between before and after; None where one of the norms is 0.
        odd_before: Of the changed numbers, those that were NaN or infinite...
        odd_after: ...and those that are now.
    """

    read_as: str
    elements: int
    changed: int
    whole: bool
    max_delta: float | None = None
    norm_delta: float | None = None
    norm_before: float | None = None
    norm_after: float | None = None
    cosine: float | None = None
    odd_before: int = 0
    odd_after: int = 0

    @property
    def relative_l2(self) -> float | None:
        """The norm of the differences over that of the numbers before; None where that is 0."""
        if self.norm_delta is None or not self.norm_before:
            return None
        return self.norm_delta / self.norm_before

    @property
    def mirrored(self) -> Numbers:
        """The same, seen from the other side."""
        return replace(
            self,
            norm_before=self.norm_after,
            norm_after=self.norm_before,
            odd_before=self.odd_after,
            odd_after=self.odd_before,
        )

    def to_dict(self) -> dict[str, Any]:
        """These numbers as plain values."""
        values: dict[str, Any] = finite(
            {
                "read_as": self.read_as,
                "elements": self.elements,
                "changed": self.changed,
                "whole": self.whole,
                "max_delta": self.max_delta,
                "relative_l2": self.relative_l2,
                "cosine": self.cosine,
                "norm_delta": self.norm_delta,
                "norm_before": self.norm_before,
                "norm_after": self.norm_after,
                "odd_before": self.odd_before,
                "odd_after": self.odd_after,
            }
        )
        return values


class Measure:
    """Sums up how one tensor changed.

    Args:
        reading: How its bytes become numbers.
        size: Bytes of the tensor.
        whole: Whether unchanged numbers count in norms and cosine.
    """

    def __init__(self, reading: Reading, size: int, *, whole: bool) -> None:
        self._reading = reading
        self._elements = size // reading.width
        self._whole = whole
        self._changed = self._odd_before = self._odd_after = 0
        self._max: float | None = None
        self._before, self._after, self._both, self._delta = (_Product() for _ in range(4))

    def add(self, before: bytes, after: bytes) -> None:
        """Take in the same numbers of both tensors."""
        reading = self._reading
        old, new = reading.bits(before), reading.bits(after)
        for start in range(0, len(old), _BLOCK):
            self._add_bits(old[start : start + _BLOCK], new[start : start + _BLOCK])

    @property
    def numbers(self) -> Numbers:
        """What was found."""
        seen = self._max is not None
        return Numbers(
            read_as=self._reading.name,
            elements=self._elements,
            changed=self._changed,
            whole=self._whole and self._reading.is_number,
            max_delta=self._max,
            norm_delta=self._delta.root if seen else None,
            norm_before=self._before.root if seen else None,
            norm_after=self._after.root if seen else None,
            cosine=self._both.over(self._before, self._after) if seen else None,
            odd_before=self._odd_before,
            odd_after=self._odd_after,
        )

    def _add_bits(self, old: Bits, new: Bits) -> None:
        differs = old != new
        count = int(np.count_nonzero(differs))
        self._changed += count
        if not self._reading.is_number or not (count or self._whole):
            return
        if count < len(old) and not self._whole:
            at = np.flatnonzero(differs)  # five times as fast as a mask
            old, new = old.take(at), new.take(at)
        with np.errstate(all="ignore"):
            self._add(self._reading.values(old), self._reading.values(new), differs)

    def _add(self, old: Values, new: Values, differs: npt.NDArray[np.bool_]) -> None:
        if old.dtype.kind == "f" and not (_is_finite(old) and _is_finite(new)):
            sound, also = np.isfinite(old), np.isfinite(new)
            counted = differs if self._whole else np.True_
            self._odd_before += int(np.count_nonzero(~sound & counted))
            self._odd_after += int(np.count_nonzero(~also & counted))
            sound &= also
            old, new = old[sound], new[sound]
        if not len(old):
            return
        delta = _distances(old, new)
        largest = delta.max().item()
        self._max = largest if self._max is None else max(self._max, largest)
        x, y, d = (one.astype(np.float64, copy=False) for one in (old, new, delta))
        tops = [_exponent(one) for one in (x, y, d)]
        for total, (p, top), (q, other) in (
            (self._before, (x, tops[0]), (x, tops[0])),
            (self._after, (y, tops[1]), (y, tops[1])),
            (self._both, (x, tops[0]), (y, tops[1])),
            (self._delta, (d, tops[2]), (d, tops[2])),
        ):
            # Not by BLAS, whose threads wait for each other on a busy machine: 20 times as long.
            total.add(float(np.einsum("i,i", _scaled(p, top), _scaled(q, other))), top + other)


class _Product:
    """A sum of products, as a number times a power of two."""

    def __init__(self) -> None:
        self._value, self._exponent = 0.0, 0

    @property
    def root(self) -> float:
        """The root of the sum: of squares, their norm."""
        value, exponent = math.sqrt(self._value), self._exponent // 2
        try:
            return math.ldexp(value, exponent)
        except OverflowError:
            return math.inf

    def add(self, value: float, exponent: int) -> None:
        """Add *value* times two to the *exponent*."""
        if not value:
            return
        if not self._value:
            self._value, self._exponent = value, exponent
            return
        top = max(exponent, self._exponent)
        self._value = math.ldexp(self._value, self._exponent - top) + math.ldexp(
            value, exponent - top
        )
        self._exponent = top

    def over(self, before: _Product, after: _Product) -> float | None:
        """Return the cosine, if this is a sum of products and those are the squares'."""
        norms = math.sqrt(before._value) * math.sqrt(after._value)
        if not norms:
            return None
        exponent = self._exponent - (before._exponent + after._exponent) // 2
        return max(-1.0, min(1.0, math.ldexp(self._value / norms, exponent)))


def _distances(old: Values, new: Values) -> Values:
    """How far each number is from the other one, exact for integers."""
    if old.dtype.kind == "f":
        distances: Values = new - old
        return np.abs(distances, out=distances)
    up, bits = new > old, f"<u{old.itemsize}"
    a, b = old.view(bits), new.view(bits)
    apart: Values = np.where(up, b - a, a - b)
    return apart


def _is_finite(values: Values) -> bool:
    return not len(values) or bool(np.isfinite(values.min()) and np.isfinite(values.max()))


def _exponent(values: Values) -> int:
    """The power of two by which *values* are divided before they are squared, nearly always 0."""
    top = max(-float(values.min()), float(values.max()))
    if not math.isfinite(top) or not top:
        return 0
    exponent = math.frexp(top)[1]
    return 0 if -_SAFE < exponent < _SAFE else max(exponent, -1000)


def _scaled(values: Values, exponent: int) -> Values:
    return values * math.ldexp(1.0, -exponent) if exponent else values
