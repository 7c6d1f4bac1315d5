"""The types of number that libraries name, in the vault's elements.

A library has more types than the vault has elements: a signed integer becomes the unsigned one of
its width, a complex number two floats, an eight-bit float a byte.  That is enough for a codec.

Pure: tables only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from mlflow_vault.format.elements import Element
from mlflow_vault.format.tensors.arrays import Array, count

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow_vault.format.tensors.arrays import Window


class Dtype(NamedTuple):
    """One type of number as some library stores it.

    Attributes:
        element: Of what it is made; None where the vault has no such element.
        parts: Elements in one number: two in a complex one.
        bits: Bits of one number as stored.
    """

    element: Element | None
    parts: int
    bits: int

    def array(self, start: int, stop: int, name: str, shape: tuple[int, ...]) -> Array:
        """Return the array of these numbers at ``[start, stop)``."""
        full = (*shape, self.parts) if self.parts > 1 else shape
        return Array(start, stop, self.element, name, full)


def fit(window: Window, name: str, dtype: Dtype | None, shape: tuple[int, ...] | None) -> Array:
    """Return the array that fills *window*, believing *dtype* and *shape* as far as they fit."""
    bits = 8 * window.size
    if dtype is None or dtype.element is None or bits % dtype.bits:
        return Array(window.start, window.stop, None, name, (window.size,))
    numbers = bits // dtype.bits
    if shape is None or count(shape) != numbers:
        shape = (numbers,)
    return dtype.array(window.start, window.stop, name, shape)


def opaque(bits: int) -> Dtype:
    """Return a type of which only the width is known."""
    return Dtype(None, 1, bits)


_BYTE: Final = Dtype(Element.U8, 1, 8)
_U16: Final = Dtype(Element.U16, 1, 16)
_U32: Final = Dtype(Element.U32, 1, 32)
_U64: Final = Dtype(Element.U64, 1, 64)
_F16: Final = Dtype(Element.F16, 1, 16)
_BF16: Final = Dtype(Element.BF16, 1, 16)
_F32: Final = Dtype(Element.F32, 1, 32)
_F64: Final = Dtype(Element.F64, 1, 64)
_C32: Final = Dtype(Element.F16, 2, 32)
_C64: Final = Dtype(Element.F32, 2, 64)
_C128: Final = Dtype(Element.F64, 2, 128)


def _by_name(names: Mapping[Dtype, str]) -> Mapping[str, Dtype]:
    return {name: dtype for dtype, some in names.items() for name in some.split()}


SAFETENSORS: Final = _by_name(
    {
        _BYTE: "BOOL U8 I8 F8_E5M2 F8_E4M3 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ",
        _U16: "I16 U16",
        _U32: "I32 U32",
        _U64: "I64 U64",
        _F16: "F16",
        _BF16: "BF16",
        _F32: "F32",
        _F64: "F64",
        _C64: "C64",
        opaque(4): "F4",
        opaque(6): "F6_E2M3 F6_E3M2",
    }
)

# By the letter and the bytes in an .npy's type; M8 and m8 are dates and the time between them, f1
# and V1 the eight-bit floats of ml_dtypes.
NUMPY: Final = _by_name(
    {
        _BYTE: "b1 i1 u1 f1 V1",
        _U16: "i2 u2",
        _U32: "i4 u4",
        _U64: "i8 u8 m8 M8",
        _F16: "f2",
        _F32: "f4",
        _F64: "f8",
        _C64: "c8",
        _C128: "c16",
    }
)
# ml_dtypes has no letter for bfloat16 and writes it as a void that has a byte order.
NUMPY_BFLOAT16: Final = "<V2"

# By the name of a torch.dtype, and by that of a storage's class, as pickles have them.
TORCH: Final = _by_name(
    {
        _BYTE: "bool uint8 int8 quint8 qint8 quint4x2 quint2x4 float4_e2m1fn_x2 "
        "float8_e4m3fn float8_e5m2 float8_e8m0fnu float8_e4m3fnuz float8_e5m2fnuz "
        "ByteStorage CharStorage BoolStorage UntypedStorage "
        "QUInt8Storage QInt8Storage QUInt4x2Storage QUInt2x4Storage",
        _U16: "int16 uint16 ShortStorage",
        _U32: "int32 uint32 qint32 IntStorage QInt32Storage",
        _U64: "int64 uint64 LongStorage",
        _F16: "float16 HalfStorage",
        _BF16: "bfloat16 BFloat16Storage",
        _F32: "float32 FloatStorage",
        _F64: "float64 DoubleStorage",
        _C32: "complex32",
        _C64: "complex64 ComplexFloatStorage",
        _C128: "complex128 ComplexDoubleStorage",
    }
)

# By ScalarType in the JSON of torch.export; 29 to 33 are the eight-bit floats.
TORCH_EXPORT: Final[Mapping[int, Dtype]] = {
    **dict.fromkeys((1, 2, 12, 29, 30, 31, 32, 33), _BYTE),
    3: _U16,
    4: _U32,
    5: _U64,
    28: _U16,
    34: _U32,
    35: _U64,
    6: _F16,
    7: _F32,
    8: _F64,
    9: _C32,
    10: _C64,
    11: _C128,
    13: _BF16,
}

# By TensorProto.DataType of ONNX; 17 to 20 and 24 are the eight-bit floats, 8 is text.
ONNX: Final[Mapping[int, Dtype]] = {
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), _BYTE),
    4: _U16,
    5: _U16,
    6: _U32,
    12: _U32,
    7: _U64,
    13: _U64,
    10: _F16,
    16: _BF16,
    1: _F32,
    11: _F64,
    14: _C64,
    15: _C128,
}

# HDF5 describes its types: fixed-point numbers by bytes, floats by bytes and bits of exponent and
# mantissa.
HDF5_INTEGERS: Final = {1: _BYTE, 2: _U16, 4: _U32, 8: _U64}
HDF5_FLOATS: Final = {(2, 5, 10): _F16, (2, 8, 7): _BF16, (4, 8, 23): _F32, (8, 11, 52): _F64}
