"""Arrays in numpy's and skops' zips are found where they stand uncompressed."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.tree import DecisionTreeRegressor

from mlflow_vault.format.tensors import UNKNOWN, Layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Look = Callable[..., Layout]

Numbers = np.ndarray[Any, Any]

names = st.text("abcXYZ019._-/ é", min_size=1, max_size=9)
arrays = npst.arrays(npst.scalar_dtypes(), npst.array_shapes(min_dims=0, min_side=0, max_side=4))


def save(tensors: Mapping[str, Numbers]) -> bytes:
    """Save *tensors* as numpy does."""
    file = io.BytesIO()
    np.savez(file, **tensors)  # type: ignore[arg-type]
    return file.getvalue()


@given(tensors=st.dictionaries(names, arrays, min_size=1, max_size=5))
def test_library(look: Look, tensors: dict[str, Numbers]) -> None:
    """Every array that numpy saved is found under its name, to the byte."""
    plain = save(tensors)

    layout = look(plain)

    assert layout.parser == "npz"
    found = {array.name: plain[array.start : array.stop] for array in layout.arrays}
    assert found == {name: array.tobytes() for name, array in tensors.items() if array.size}


def test_compressed(look: Look) -> None:
    """Compressed members are known for what they are, and hold no arrays to cut at."""
    file = io.BytesIO()
    np.savez_compressed(file, a=np.zeros(9))

    assert look(file.getvalue()) == Layout("npz", ())


def test_skops(look: Look) -> None:
    """Of a forest in skops, what repeats is left to content; what differs is found, unnamed."""
    inputs = np.random.default_rng(0).normal(size=(300, 2))
    tree = DecisionTreeRegressor().fit(inputs, inputs[:, 0])
    plain = skops.io.dumps({"tree": tree, "labels": np.zeros(500)})

    layout = look(plain)

    assert layout.parser == "skops"
    assert {array.name for array in layout.arrays} == {""}
    found = {plain[array.start : array.stop] for array in layout.arrays}
    state = tree.tree_.__getstate__()
    assert state["values"].tobytes() in found
    assert not found & {state["nodes"].tobytes(), bytes(4000)}


def test_name_decides(look: Look) -> None:
    """Of a zip that numpy or skops could have made, the file's name says which."""
    file = io.BytesIO(save({"a": np.zeros(1)}))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("schema.json", "{}")

    assert look(file.getvalue(), "model.skops").parser == "skops"
    assert look(file.getvalue(), "model.npz").parser == "npz"


def test_other_zip(look: Look) -> None:
    """A zip of something else is an unknown file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("readme.txt", "hello")

    assert look(file.getvalue()) == UNKNOWN
