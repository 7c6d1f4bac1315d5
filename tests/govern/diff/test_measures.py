"""Numbers that are summed up piece by piece are those of the whole arrays."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlflow_vault.format.elements import Element
from mlflow_vault.govern.diff.measures import Measure, Numbers
from mlflow_vault.govern.diff.readings import reading_of

if TYPE_CHECKING:
    import numpy.typing as npt

Array = np.ndarray[Any, np.dtype[Any]]
DTYPES: dict[str, tuple[Element, str]] = {
    "<f2": (Element.F16, ""),
    "<f4": (Element.F32, ""),
    "<f8": (Element.F64, ""),
    "<u1": (Element.U8, ""),
    "<i1": (Element.U8, "I8"),
    "<i2": (Element.U16, ""),
    "<u2": (Element.U16, "U16"),
    "<i4": (Element.U32, ""),
    "<i8": (Element.U64, ""),
    "<u8": (Element.U64, "U64"),
}


def measured(old: Array, new: Array, *, step: int = 7, whole: bool = False) -> Numbers:
    """Measure two arrays piece by piece."""
    measure = Measure(reading_of(*DTYPES[old.dtype.str.replace("|", "<")]), old.nbytes, whole=whole)
    for at in range(0, len(old), step):
        measure.add(old[at : at + step].tobytes(), new[at : at + step].tobytes())
    return measure.numbers


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Array, Array]:
    """Two arrays of one type, of which some numbers differ."""
    dtype = np.dtype(draw(st.sampled_from(sorted(DTYPES))))
    size = draw(st.integers(1, 30))
    old = draw(arrays.arrays(dtype, size))
    changes = draw(arrays.arrays(np.bool_, size))
    return old, np.where(changes, draw(arrays.arrays(dtype, size)), old)


def exact(values: Array) -> list[Any]:
    """*values* as Python's numbers, whose integers do not overflow."""
    return [value.item() for value in values]


@given(both=pairs(), step=st.integers(1, 9), whole=st.booleans())
def test_against_whole_arrays(both: tuple[Array, Array], step: int, *, whole: bool) -> None:
    """For every type of number, in whatever pieces, figures are those of arithmetic by hand."""
    old, new = both
    width = old.dtype.itemsize
    differs = old.view(f"<u{width}") != new.view(f"<u{width}")

    found = measured(old, new, step=step, whole=whole)

    counted = np.ones_like(differs) if whole else differs
    both_finite = [
        (x, y)
        for x, y in zip(exact(old[counted]), exact(new[counted]), strict=True)
        if math.isfinite(x) and math.isfinite(y)
    ]
    assert (found.elements, found.changed) == (len(old), int(np.count_nonzero(differs)))
    assert found.odd_before == sum(not math.isfinite(x) for x in exact(old[differs]))
    assert found.odd_after == sum(not math.isfinite(y) for y in exact(new[differs]))
    if not both_finite:
        assert found.max_delta is None
        return
    assert found.max_delta == max(abs(y - x) for x, y in both_finite)
    before, after = (math.hypot(*one) for one in zip(*both_finite, strict=True))
    assert found.norm_before == pytest.approx(before, rel=1e-9, abs=0)
    assert found.norm_after == pytest.approx(after, rel=1e-9, abs=0)
    delta = math.hypot(*(y - x for x, y in both_finite))
    assert found.norm_delta == pytest.approx(delta, rel=1e-9, abs=0)
    assert (found.cosine is None) == (not before or not after)


@given(both=pairs(), whole=st.booleans())
def test_mirrored(both: tuple[Array, Array], *, whole: bool) -> None:
    """Seen from the other side the figures are the same, the other way round."""
    old, new = both

    assert measured(old, new, whole=whole).mirrored == measured(new, old, whole=whole)


@given(both=pairs())
def test_unchanged(both: tuple[Array, Array]) -> None:
    """An array does not differ from itself, NaN included."""
    found = measured(both[0], both[0])

    assert (found.changed, found.max_delta, found.relative_l2) == (0, None, None)


def test_fine_tuned() -> None:
    """Relative L2 and cosine are what they are called."""
    random = np.random.default_rng(3)
    old = random.standard_normal(10_000)
    new = old + 0.01 * random.standard_normal(10_000)

    found = measured(old, new, step=999)

    norm = np.linalg.norm
    assert found.relative_l2 == pytest.approx(norm(new - old) / norm(old))
    assert found.cosine == pytest.approx(old @ new / norm(old) / norm(new))


def test_sparse_and_whole() -> None:
    """Without being asked, figures are over the changed numbers; whole, over all."""
    old = np.array([3.0, 4.0, 0.0])
    new = np.array([3.0, 5.0, 0.0])

    sparse, whole = measured(old, new), measured(old, new, whole=True)

    assert (sparse.norm_before, sparse.relative_l2, sparse.cosine) == (4, 0.25, 1)
    assert (whole.norm_before, whole.relative_l2) == (5, 0.2)
    assert whole.cosine == pytest.approx((9 + 20) / 5 / math.sqrt(34))
    assert (sparse.whole, whole.whole) == (False, True)


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1.0, 1e200, 1e307])
def test_scales(scale: float) -> None:
    """Squares neither overflow nor vanish."""
    old, new = np.array([3.0, 4.0]) * scale, np.array([4.0, 3.0]) * scale

    found = measured(old, new, step=1)

    assert found.norm_before == pytest.approx(5 * scale)
    assert found.cosine == pytest.approx(0.96)


def test_beyond_double() -> None:
    """A difference that no number can hold is infinite, and not an error."""
    found = measured(np.array([-1e308]), np.array([1e308]))

    assert found.max_delta == math.inf
    assert found.to_dict()["max_delta"] == "Infinity"
    assert found.cosine == pytest.approx(-1)


def test_large_integers() -> None:
    """Differences of integers are exact to the last bit."""
    ends = np.array([-(2**63), 2**63 - 1])

    assert measured(ends, ends[::-1].copy()).max_delta == 2**64 - 1
    assert measured(ends, ends - np.array([0, 1])).max_delta == 1


def test_signed_zero() -> None:
    """A number whose sign alone changed has changed, by nothing."""
    found = measured(np.array([0.0]), np.array([-0.0]))

    assert (found.changed, found.max_delta, found.relative_l2, found.cosine) == (1, 0, None, None)


def test_unknown_bytes() -> None:
    """Where the type is unknown bytes are counted, and nothing is made of them."""
    measure = Measure(reading_of(None), 4, whole=True)
    measure.add(b"abcd", b"abXX")

    assert measure.numbers == Numbers("bytes", 4, 2, whole=False)


def test_reading_bfloat16() -> None:
    """Bfloat16 is the upper half of a float."""
    values: npt.NDArray[np.float32] = np.array([1.0, -2.5, np.inf, 0.0], "<f4")
    reading = reading_of(Element.BF16)

    halves = (values.view("<u4") >> np.uint32(16)).astype("<u2").tobytes()

    assert reading.values(reading.bits(halves)).tolist() == values.tolist()
