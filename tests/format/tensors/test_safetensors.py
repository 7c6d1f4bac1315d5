"""Arrays in safetensors are found where the library wrote them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors.numpy import save

from mlflow_vault.format.elements import Element
from mlflow_vault.format.tensors import UNKNOWN, Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    Look = Callable[..., Layout]

ELEMENTS = {
    "bool": Element.U8,
    "int8": Element.U8,
    "uint16": Element.U16,
    "int32": Element.U32,
    "int64": Element.U64,
    "float16": Element.F16,
    "float32": Element.F32,
    "float64": Element.F64,
}
arrays = npst.arrays(
    st.sampled_from(sorted(ELEMENTS)), npst.array_shapes(min_dims=0, max_dims=3, min_side=0)
)


def write(header: dict[str, Any] | str, body: int = 0) -> bytes:
    """Write a file of *header* and *body* zero bytes."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return len(text).to_bytes(8, "little") + text + bytes(body)


def tensor(dtype: str, shape: list[Any], start: object, stop: object) -> dict[str, Any]:
    """Describe one tensor as a header does."""
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


@given(tensors=st.dictionaries(st.text(max_size=9), arrays, max_size=5))
def test_library(look: Look, tensors: dict[str, np.ndarray[Any, Any]]) -> None:
    """Whatever the library wrote is found again: bytes, element, name and shape."""
    tensors.pop("__metadata__", None)
    plain = save(tensors, metadata={"made": "here"})

    layout = look(plain)

    assert layout.parser == "safetensors"
    found = {array.name: array for array in layout.arrays}
    assert found.keys() == {name for name, array in tensors.items() if array.size}
    for name, array in found.items():
        assert plain[array.start : array.stop] == tensors[name].tobytes()
        assert array.element is ELEMENTS[tensors[name].dtype.name]
        assert array.shape == tensors[name].shape


@pytest.mark.parametrize(
    ("dtype", "size", "element", "shape"),
    [
        ("BF16", 12, Element.BF16, (2, 3)),
        ("F8_E4M3", 6, Element.U8, (2, 3)),
        ("C64", 48, Element.F32, (2, 3, 2)),
        ("F4", 3, None, (2, 3)),
        ("F99_FUTURE", 5, None, (2, 3)),
    ],
)
def test_other_types(
    look: Look, dtype: str, size: int, element: Element | None, shape: tuple[int, ...]
) -> None:
    """Types that numpy has not are arrays too, also those younger than this release."""
    layout = look(write({"a": tensor(dtype, [2, 3], 0, size)}, size))

    assert [(array.element, array.shape) for array in layout.arrays] == [(element, shape)]


@pytest.mark.parametrize(
    "header",
    [
        {"a": tensor("F32", [2], 0, 9)},
        {"a": tensor("F32", [3], 4, 16)},
        {"a": tensor("F32", [2], 8, 0)},
        {"a": tensor("F32", [-2], 0, 8)},
        {"a": tensor("F32", [2], -8, 0)},
        {"a": tensor("F32", [True, 2], 0, 8)},
        {"a": tensor("F32", [2.0], 0, 8)},
        {"a": tensor("F32", [2], "0", 8)},
        {"a": tensor("F32", [1] * 99, 0, 4)},
        {"a": tensor("F32", [2**63, 0], 0, 0)},
        {"a": tensor("F32", [2], 0, 8), "b": tensor("U8", [8], 4, 12)},
        {"a": {"dtype": "F32", "shape": [2]}},
        {"a": 7},
        '{"a": %s, "a": %s}' % ((json.dumps(tensor("F32", [2], 0, 8)),) * 2),
        '{"a": ' + "[" * 100_000,
        '{"a": ' + "9" * 5000 + "}",
        "{",
        '{"a": "\xff',
    ],
)
def test_lies(look: Look, header: dict[str, Any] | str) -> None:
    """A header that cannot be true makes an unknown file."""
    assert look(write(header, 12)) == UNKNOWN


def test_gaps(look: Look) -> None:
    """Bytes that no tensor claims are no lie: they are cut by content."""
    layout = look(write({"a": tensor("F32", [2], 4, 12)}, 20))

    assert len(layout.arrays) == 1


def test_names(look: Look) -> None:
    """A name that is no Unicode, or endless, is kept as far as it can be stored."""
    header = {"\ud800": tensor("U8", [1], 0, 1), "n" * 5000: tensor("U8", [1], 1, 2)}

    layout = look(write(header, 2))

    assert [array.name for array in layout.arrays] == ["?", "n" * 1024]
