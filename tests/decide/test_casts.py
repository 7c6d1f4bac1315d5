"""A half-precision copy is known by its numbers, whatever it is called and wherever it lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.decide.casts import is_half, prints_of
from mlflow_vault.format.elements import Element
from mlflow_vault.format.rows import Tensor
from mlflow_vault.testing.models import bfloat16, trained, weights

if TYPE_CHECKING:
    from mlflow_vault.testing.models import Array

KINDS = {"<f4": Element.F32, "<f2": Element.F16, "<f8": Element.F64, "<u2": Element.BF16}


def _prints(arrays: dict[str, Array], pad: int = 0) -> tuple[str, ...]:
    """The prints of a file of *arrays*, each behind *pad* other bytes."""
    plain, tensors = b"", []
    for name, array in arrays.items():
        plain += bytes(pad)
        start, element = len(plain), KINDS.get(array.dtype.str, Element.U8)
        plain += array.tobytes()
        tensors.append(Tensor(name, element, array.shape, start, len(plain), element, 0, 0))
    return prints_of(tensors, lambda start, stop: plain[start:stop])


models = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.builds(weights, st.integers(0, 9), st.integers(1, 100)),
    min_size=1,
)


@given(model=models, pad=st.integers(0, 9), data=st.data())
def test_copy(model: dict[str, Array], pad: int, data: st.DataObject) -> None:
    """A copy has the print that its source foretold, however its tensors are ordered."""
    names = data.draw(st.permutations([*model]))
    kept = data.draw(st.sets(st.sampled_from(names)))  # normalisations often stay as they were
    brain = {name: model[name] if name in kept else bfloat16(model[name]) for name in names}
    half = {name: model[name] if name in kept else model[name].astype("<f2") for name in names}

    foretold = _prints(model)

    assert len(foretold) == 2
    assert set(_prints(brain, pad)) <= set(foretold)
    assert set(_prints(half, pad)) <= set(foretold)


def test_other_version() -> None:
    """The version before, and the other type of half precision, have other prints."""
    model = {"a": weights(0, 1000), "b": weights(1, 5)}
    tuned = {name: trained(array, 2, 1e-2) for name, array in model.items()}

    prints = _prints(model) + _prints(tuned)

    assert len(set(prints)) == len(prints) == 4


def test_many_tensors() -> None:
    """Of thousands of tensors some hundred tell a copy."""
    model = {f"layer.{at}": weights(at, 20) for at in range(1000)}
    reads: list[int] = []
    tensors = [
        Tensor(name, Element.F32, (20,), 80 * at, 80 * at + 80, Element.F32, 0, 0)
        for at, name in enumerate(model)
    ]
    plain = b"".join(array.tobytes() for array in model.values())

    def read(start: int, stop: int) -> bytes:
        reads.append(stop - start)
        return plain[start:stop]

    assert prints_of(tensors, read) == _prints(model)
    assert len(reads) <= 256
    assert max(reads) == 64


def test_no_copy() -> None:
    """What is no half precision is no copy of anything; what cannot be cast foretells none."""
    whole = np.arange(9, dtype="<u1")
    brain = bfloat16(weights(0, 9))

    assert _prints({"a": whole}) == ()
    assert _prints({"a": weights(0, 9).astype("<f8")}) == ()
    assert _prints({"a": brain, "b": weights(0, 9).astype("<f2")}) == ()
    assert len(_prints({"a": brain, "b": whole, "c": weights(1, 9)})) == 1
    assert is_half(_prints({"a": brain, "b": whole}))
    assert not is_half(_prints({"a": weights(0, 9), "b": whole}))
