"""Arrays in pickles and joblib files are found by their opcodes, which are never obeyed."""

from __future__ import annotations

import io
import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

import cloudpickle  # type: ignore[import-untyped]
import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsRegressor

from mlflow_vault.format.elements import Element
from mlflow_vault.format.tensors import UNKNOWN, Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    Look = Callable[..., Layout]
    Dump = Callable[[object], bytes]

Numbers = np.ndarray[Any, Any]
SMALLEST = 16 << 10
ELEMENTS = {"<f2": Element.F16, "<f4": Element.F32, "<f8": Element.F64, "<c8": Element.F32}


def dump_joblib(thing: object) -> bytes:
    """Dump as joblib does into files."""
    file = io.BytesIO()
    joblib.dump(thing, file)
    return file.getvalue()


def dump_protocol(protocol: int) -> Dump:
    """Return a function that pickles with *protocol*."""
    return lambda thing: pickle.dumps(thing, protocol=protocol)


DUMPS: dict[str, Dump] = {
    "3": dump_protocol(3),
    "4": dump_protocol(4),
    "5": dump_protocol(5),
    "cloudpickle": cloudpickle.dumps,
    "joblib": dump_joblib,
}


class Recipe(NamedTuple):
    """How to draw an array: normal numbers."""

    dtype: str
    shape: tuple[int, ...]
    seed: int
    fortran: bool

    def make(self) -> Numbers:
        """Return the array."""
        numbers = np.random.default_rng(self.seed).normal(size=self.shape) * 99
        return np.asarray(numbers, order="F" if self.fortran else "C").astype(self.dtype)


recipes = st.builds(
    Recipe,
    st.sampled_from([*ELEMENTS, ">f4", "<i8", "?"]),
    st.sampled_from([(), (0,), (7,), (64, 33), (4096,), (5, 2, 900), (3, 8192)]),
    st.integers(0, 9),
    st.booleans(),
)
things = st.recursive(
    recipes | st.none() | st.integers() | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc._", min_size=1, max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)


def build(thing: object, arrays: list[Numbers]) -> object:
    """Put arrays where *thing* has recipes, and into *arrays*."""
    match thing:
        case Recipe():
            arrays.append(thing.make())
            return arrays[-1]
        case list():
            return [build(item, arrays) for item in thing]
        case dict():
            return {key: build(item, arrays) for key, item in thing.items()}
    return thing


@given(thing=things, how=st.sampled_from(sorted(DUMPS)))
def test_libraries(look: Look, thing: object, how: str) -> None:
    """Every large array of floats is found, to the byte, wherever it is, and nothing else is."""
    arrays: list[Numbers] = []
    plain = DUMPS[how](build(thing, arrays))

    layout = look(plain)

    wanted = [
        (ELEMENTS[array.dtype.str], array.tobytes("A"))
        for array in arrays
        if array.dtype.str in ELEMENTS and array.nbytes >= SMALLEST
    ]
    found = [(array.element, plain[array.start : array.stop]) for array in layout.arrays]
    assert sorted(found, key=str) == sorted(wanted, key=str)
    assert layout.parser == ("joblib" if how == "joblib" and arrays else "pickle")


@pytest.mark.parametrize("how", sorted(DUMPS))
def test_names(look: Look, how: str) -> None:
    """An array is called by the way to it, through dictionaries, lists and objects."""
    inputs = np.random.default_rng(0).normal(size=(2_000, 2))
    model = KNeighborsRegressor(algorithm="brute").fit(inputs, inputs[:, 0])

    layout = look(DUMPS[how]({"steps": [None, model]}))

    assert [(array.name, array.shape) for array in layout.arrays] == [
        ("steps.1._fit_X", (2_000, 2)),
        ("steps.1._y", (2_000,)),
    ][: len(layout.arrays)]
    assert layout.arrays


@pytest.mark.parametrize("how", sorted(DUMPS))
def test_forest(look: Look, how: str) -> None:
    """Trees are records and shares that repeat: they are cut by content."""
    inputs = np.random.default_rng(0).normal(size=(3_000, 2))
    forest = RandomForestClassifier(2, random_state=0).fit(inputs, inputs[:, 0] > inputs[:, 1] ** 2)
    noisy = RandomForestClassifier(2, random_state=0).fit(inputs, inputs[:, 0].round() % 2 > 0)

    assert look(DUMPS[how]([forest, noisy])).arrays == ()


@pytest.mark.parametrize("how", sorted(DUMPS))
def test_objects(look: Look, how: str) -> None:
    """Arrays of Python objects are pickles in the pickle, and arrays in them are found."""
    first, last = (Recipe("<f8", (4_096,), seed, fortran=False).make() for seed in (1, 2))
    objects = np.array([first, "text", None], dtype=object)

    plain = DUMPS[how]([objects, last])
    layout = look(plain)

    found = [plain[array.start : array.stop] for array in layout.arrays]
    assert found == [first.tobytes(), last.tobytes()]


def test_shared(look: Look) -> None:
    """An array that is held twice is one, called by its first place."""
    array = Recipe("<f4", (8_192,), 1, fortran=False).make()

    layout = look(pickle.dumps({"a": array, "b": array}))

    assert [found.name for found in layout.arrays] == ["a"]


def test_old_joblib(look: Look) -> None:
    """Before joblib 1.2 nothing was aligned, and the array followed at once."""
    array = Recipe("<f8", (4_096,), 1, fortran=False).make()
    plain = dump_joblib([array])
    at = plain.index(array.tobytes())
    start = plain.rindex(b"\x8c\x1bnumpy_array_alignment_bytes", 0, at)
    pair = plain[start : plain.index(b"ub", start)]
    stop = plain.index(b"ub", start) + 2
    old = plain[:stop].replace(pair, b"") + plain[at:]

    layout = look(old)

    assert [old[found.start : found.stop] for found in layout.arrays] == [array.tobytes()]


def test_too_long(look: Look) -> None:
    """Of a pickle that is too long to be read, what was seen until then is told, unnamed."""
    array = Recipe("<f4", (8_192,), 1, fortran=False).make()

    layout = look(pickle.dumps({"weights": array, "words": list(range(400_000))}))

    assert [(found.name, found.shape) for found in layout.arrays] == [("", (8_192,))]


def test_without_end(look: Look) -> None:
    """A pickle that breaks off is an unknown file."""
    plain = pickle.dumps({"a": Recipe("<f4", (8_192,), 1, fortran=False).make()})

    assert look(plain[:-1]) == UNKNOWN
    assert look(plain[:-1] + b"\xff.") == UNKNOWN


def test_never_called(look: Look) -> None:
    """What a pickle says to call is not called, and what it imports is not imported."""
    plain = b"\x80\x04cno.such.module\nfunction\n(tRcos\nabort\n(tR."

    assert look(plain) == Layout("pickle", ())
