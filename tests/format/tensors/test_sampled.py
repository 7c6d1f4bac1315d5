"""Floats in files that no parser knows are recognised by their exponents."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mlflow_vault.config import MIB
from mlflow_vault.format.elements import Element
from mlflow_vault.format.tensors import UNKNOWN, Array, Layout, find_arrays

if TYPE_CHECKING:
    from collections.abc import Callable

    Look = Callable[..., Layout]

Numbers = np.ndarray[Any, Any]
SIZE = 300_000  # bytes


def weights(number: int) -> Numbers:
    """Return numbers like a model's, of layers whose scales differ."""
    chance = np.random.default_rng(number)
    scales = np.repeat(0.02 * 2.0 ** chance.integers(-3, 3, 30), number // 30 + 1)[:number]
    return chance.normal(size=number) * scales


def to_bfloat16(numbers: Numbers) -> Numbers:
    """Cut numbers to bfloat16."""
    return (numbers.astype("<f4").view("<u4") >> 16).astype("<u2")


FLOATS = {
    Element.F16: weights(SIZE // 2).astype("<f2"),
    Element.BF16: to_bfloat16(weights(SIZE // 2)),
    Element.F32: weights(SIZE // 4).astype("<f4"),
    Element.F64: weights(SIZE // 8).astype("<f8"),
}


@pytest.mark.parametrize("element", FLOATS)
@pytest.mark.parametrize("before", [0, 1, 3, 6, 12])
def test_floats(look: Look, element: Element, before: int) -> None:
    """They are found wherever they begin, and said to be many arrays in one piece."""
    plain = (
        b"tensors:"[:before].ljust(before) + FLOATS[element].tobytes() + b"the end"[: before % 3]
    )

    layout = look(plain)

    phase = before % element.width
    numbers = (len(plain) - phase) // element.width
    stop = phase + numbers * element.width
    assert layout == Layout("binary", (Array(phase, stop, element, "*0", (numbers,)),), joined=True)


def test_mixed(look: Look) -> None:
    """Some other bytes among them change nothing: steps, text, zeros."""
    steps = np.arange(2_000, dtype="<i8").tobytes()
    plain = FLOATS[Element.F32].tobytes() + steps + bytes(30_000)

    assert [array.element for array in look(plain).arrays] == [Element.F32]


def test_zeros(look: Look) -> None:
    """Zeros say nothing: a few floats among them tell what a new checkpoint is made of."""
    plain = bytes(5 * SIZE) + FLOATS[Element.F32].tobytes() + bytes(SIZE)

    assert [array.element for array in look(plain).arrays] == [Element.F32]


def test_rows_of_zeros(look: Look) -> None:
    """Nor do zeros between floats: moments of words of which two in three did not occur."""
    table = FLOATS[Element.F32].astype("<f4")[:60_000].reshape(-1, 20).copy()
    table[np.random.default_rng(1).random(len(table)) < 2 / 3] = 0

    assert [array.element for array in look(table.tobytes() * 2).arrays] == [Element.F32]


def test_pieces(look: Look) -> None:
    """A large file is told in pieces, for what helps one may not help another."""
    plain = b"12" + FLOATS[Element.F32].tobytes() * 120 + b"3"

    layout = look(plain)

    stop = 2 + SIZE * 120
    pieces = [(2, 2 + 16 * MIB), (2 + 16 * MIB, 2 + 32 * MIB), (2 + 32 * MIB, stop)]
    assert [(array.start, array.stop) for array in layout.arrays] == pieces
    assert [array.name for array in layout.arrays] == ["*0", "*1", "*2"]
    assert [array.shape for array in layout.arrays] == [((b - a) // 4,) for a, b in pieces]


@dataclass(frozen=True)
class Endless:
    """A sparse file: it says that it is large, and looks like floats wherever one looks."""

    size: int = 1 << 62

    def read(self, start: int, stop: int) -> bytes:
        """Return the same floats everywhere."""
        return FLOATS[Element.F32].tobytes()[: stop - start]


def test_endless() -> None:
    """A file of more pieces than can be told stays unknown, at once."""
    assert find_arrays(Endless()) == UNKNOWN


OTHER_HALF = random.Random(2).randbytes(SIZE // 2)  # noqa: S311 - no secret
OTHERS = {
    "zeros": bytes(SIZE),
    "noise": random.Random(1).randbytes(SIZE),  # noqa: S311 - no secret
    "text": b"It is for finding a tensor again, in another version. " * (SIZE // 50),
    "wide text": ("It need not be unique. " * (SIZE // 40)).encode("utf-16-le"),
    "counts": np.arange(SIZE // 8).tobytes(),
    "words": np.random.default_rng(1).integers(0, 50_000, SIZE // 4).astype("<i4").tobytes(),
    "sound": (np.random.default_rng(1).normal(size=SIZE // 2) * 900).astype("<i2").tobytes(),
    "small": FLOATS[Element.F32].tobytes()[:9_000],
    "a glimpse": bytes(10 * SIZE) + FLOATS[Element.F32].tobytes()[: SIZE // 3],
    "half": FLOATS[Element.F32].tobytes()[: SIZE // 2] + OTHER_HALF,
}


@pytest.mark.parametrize("kind", OTHERS)
def test_others(look: Look, kind: str) -> None:
    """Files of other things stay unknown."""
    assert look(OTHERS[kind]) == UNKNOWN
