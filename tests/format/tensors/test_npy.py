"""The array of an .npy is found, whatever it is made of."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mlflow_vault.format.elements import Element
from mlflow_vault.format.tensors import UNKNOWN, Array, Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    Look = Callable[..., Layout]

Numbers = np.ndarray[Any, Any]


def write(array: Numbers, version: tuple[int, int] | None = None) -> bytes:
    """Write *array* as numpy does."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def write_header(header: bytes, body: int = 0) -> bytes:
    """Write a file of a *header* and *body* zero bytes."""
    return b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header + bytes(body)


@given(
    array=npst.arrays(
        st.one_of(npst.scalar_dtypes(), npst.array_dtypes(), npst.byte_string_dtypes()),
        npst.array_shapes(min_dims=0, min_side=0),
    ),
    fortran=st.booleans(),
)
def test_library(look: Look, array: Numbers, *, fortran: bool) -> None:
    """Whatever numpy wrote is found, to the byte, down to arrays of records."""
    array = np.asfortranarray(array) if fortran and array.ndim else array
    plain = write(array, (3, 0))  # numpy warns of 3.0 when it chooses it for the names of fields

    layout = look(plain)

    assert layout.parser == "npy"
    stored = array.tobytes("F" if array.flags.f_contiguous else "C")
    assert [plain[found.start : found.stop] for found in layout.arrays] == [stored] * bool(stored)


@pytest.mark.parametrize(
    ("dtype", "element", "shape"),
    [
        ("<f2", Element.F16, (2, 3)),
        ("<f4", Element.F32, (2, 3)),
        ("<f8", Element.F64, (2, 3)),
        (">f4", None, (2, 3)),
        (">i1", Element.U8, (2, 3)),
        ("?", Element.U8, (2, 3)),
        ("<u2", Element.U16, (2, 3)),
        ("<i4", Element.U32, (2, 3)),
        ("<i8", Element.U64, (2, 3)),
        ("<M8[ns]", Element.U64, (2, 3)),
        ("<c8", Element.F32, (2, 3, 2)),
        ("<c16", Element.F64, (2, 3, 2)),
        ("<U5", None, (2, 3)),
        ("S3", None, (2, 3)),
        ([("a", "<i8"), ("b", [("c", ">f4", (2,))])], None, (2, 3)),
    ],
)
def test_elements(look: Look, dtype: Any, element: Element | None, shape: tuple[int, ...]) -> None:
    """An element is given where the vault has one: little-endian numbers of fixed width."""
    layout = look(write(np.zeros((2, 3), dtype)))

    assert [(array.element, array.shape) for array in layout.arrays] == [(element, shape)]


def test_bfloat16(look: Look) -> None:
    """Bfloat16 is written as a void that has a byte order, and known by that."""
    header = b"{'descr': '<V2', 'fortran_order': False, 'shape': (3,), }\n"

    layout = look(write_header(header, 6))

    assert layout.arrays == (Array(12 + len(header), 18 + len(header), Element.BF16, "", (3,)),)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_versions(look: Look, version: tuple[int, int]) -> None:
    """All three versions of the header are read."""
    plain = write(np.arange(5.0), version)

    (array,) = look(plain).arrays

    assert plain[array.start : array.stop] == np.arange(5.0).tobytes()


def test_objects(look: Look) -> None:
    """Python objects are stored as a pickle, which is no array."""
    file = io.BytesIO()
    np.save(file, np.array([1, "two", None], dtype=object), allow_pickle=True)

    assert look(file.getvalue()) == Layout("npy", ())


def test_python_2(look: Look) -> None:
    """Long integers as Python 2 wrote them are integers."""
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2L, 3L), }"

    assert [array.shape for array in look(write_header(header, 24)).arrays] == [(2, 3)]


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"{'shape': (1,), 'fortran_order': False, 'descr': '<f4'}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1 2,)}",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} + 1",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"1," * 9_000 + b"), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (" + b"9" * 9_000 + b",), }",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}" + b" " * (1 << 16),
        b", 'fortran_order': False, 'shape': (" * 1_700,
    ],
)
def test_lies(look: Look, header: bytes) -> None:
    """A header that is no header makes an unknown file."""
    assert look(write_header(header, 12)) == UNKNOWN


@pytest.mark.parametrize(
    ("descr", "shape"),
    [
        (b"'<f4'", b"9"),
        (b"'<f4'", b"9223372036854775807, 9223372036854775807"),
        (b"'<f4'", b"9223372036854775808, 0"),
        (b"'<f999999999'", b"1, 1"),
        (b"'rubbish'", b"1,"),
        (b"'<f4", b"1,"),
        (b"'<f4' '<f4'", b"1,"),
        (b"7", b"1,"),
        (b"('a', '<f4')", b"1,"),
        (b"['<f4']", b"1,"),
        (b"[('a',)]", b"1,"),
        (b"[('a' '<f4')]", b"1,"),
        (b"[('a', '<f4', (-1,))]", b"1,"),
        (b"[('a', '<f4', 2)]", b"1,"),
        (b"[('a', '<f4', (4,))]", b"1,"),
        (b"[('a', '<f4')", b"1,"),
        (b"]", b"1,"),
        (b"[" * 60_000, b"1,"),
        (b"[('a', " * 5_000, b"1,"),
        (b"-" * 60_000 + b"1", b"1,"),
        (b"'" * 60_000, b"1,"),
    ],
)
def test_lying_types(look: Look, descr: bytes, shape: bytes) -> None:
    """A type that is none, or needs more bytes than there are, makes an unknown file."""
    header = b"{'descr': %s, 'fortran_order': False, 'shape': (%s), }" % (descr, shape)

    assert look(write_header(header, 12)) == UNKNOWN


def test_unknown_version(look: Look) -> None:
    """A version from the future is an unknown file."""
    assert look(b"\x93NUMPY\x09\x00" + bytes(100)) == UNKNOWN
