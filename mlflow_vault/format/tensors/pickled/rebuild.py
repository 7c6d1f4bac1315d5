"""How numpy and joblib put arrays into pickles.

    numpy, protocol 2 to 4   _reconstruct(ndarray, (0,), b"b"), then its state:
                             (1, shape, dtype, fortran, <bytes>)
    numpy, protocol 5        _frombuffer(<bytes>, dtype, shape, order)
    joblib                   a NumpyArrayWrapper whose state holds shape and dtype; behind it,
                             between two opcodes: one byte, so many bytes of padding, the array

Bytes are always spans of the file.  Protocol 2 knows no bytes, only text, which is no array.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors import npy
from mlflow_vault.format.tensors.arrays import (
    MAX_ARRAYS,
    MalformedError,
    TooMuchError,
    check,
    count,
    read_exactly,
)
from mlflow_vault.format.tensors.dtypes import TORCH, Dtype
from mlflow_vault.format.tensors.pickled.deeds import run
from mlflow_vault.format.tensors.pickled.machine import Bag, Extent, Global, Machine, shape_of

if TYPE_CHECKING:
    from mlflow_vault.format.tensors.pickled.opcodes import Opcodes

_TYPE: Final = "numpy.dtype"
_RECONSTRUCT: Final = frozenset(
    {"numpy._core.multiarray._reconstruct", "numpy.core.multiarray._reconstruct"}
)
_FROM_BUFFER: Final = frozenset(
    {"numpy._core.numeric._frombuffer", "numpy.core.numeric._frombuffer"}
)
_WRAPPER: Final = "joblib.numpy_pickle.NumpyArrayWrapper"
_ALIGNMENT: Final = "numpy_array_alignment_bytes"  # missing before joblib 1.2
_HAS_OBJECTS: Final = 1 << 0  # of a dtype's flags: NPY_ITEM_REFCOUNT
_MAX_NESTED: Final = 4  # arrays of objects around arrays of objects


@dataclass(slots=True, eq=False)
class NumpyType:
    """A numpy.dtype: its letters, such as ``f8``, and what its state adds."""

    letters: str
    order: str = "|"
    objects: bool = False


@dataclass(slots=True, eq=False)
class NumpyArray:
    """An array; of one without bytes in the file ``start`` and ``stop`` are equal."""

    start: int = 0
    stop: int = 0
    kind: object = None
    shape: tuple[int, ...] | None = None


class Wrapper(Bag):
    """Joblib's note that the bytes of an array follow."""


class NumpyLibrary:
    """What numpy and joblib would do.

    Attributes:
        found: The arrays whose bytes were seen, in the order of the file.
        wrapped: Whether joblib made this.
    """

    def __init__(self, opcodes: Opcodes) -> None:
        self.found: list[NumpyArray] = []
        self.wrapped = False
        self._opcodes = opcodes
        self._nested = 0

    def call(self, function: object, arguments: object) -> object:
        """Return a type or array that *function* would make, None for anything else."""
        name = function.name if isinstance(function, Global) else ""
        match arguments:
            case (str(letters), *_) if name == _TYPE:
                return NumpyType(letters)
            case (Global(letters), *_) if name == _TYPE:  # of ml_dtypes
                return NumpyType(letters.rpartition(".")[2])
            case (extent, kind, shape, *_) if name in _FROM_BUFFER:
                return self._fill(NumpyArray(), extent, kind, shape)
        if name == _WRAPPER:
            self.wrapped = True
            return Wrapper()
        return NumpyArray() if name in _RECONSTRUCT else None

    def resolve(self, identifier: object) -> object:
        """Know no persistent identifier."""

    def build(self, target: object, state: object) -> None:
        """Complete a type or an array by its *state*."""
        match target, state:
            case NumpyType(), (_, str(order), _, _, _, _, _, int(flags), *_):
                target.order = order
                target.objects = bool(flags & _HAS_OBJECTS)
            case NumpyArray(), (_, shape, kind, _, extent):
                self._fill(target, extent, kind, shape)
            case Wrapper(), Bag():
                self._unwrap(target, state)

    def _fill(self, array: NumpyArray, extent: object, kind: object, shape: object) -> NumpyArray:
        if isinstance(extent, Extent) and array.start == array.stop:
            array.start, array.stop = extent.start, extent.stop
            array.kind, array.shape = kind, shape_of(shape)
            self.found.append(array)
            if len(self.found) > MAX_ARRAYS:
                raise TooMuchError("too many arrays")
        return array

    def _unwrap(self, wrapper: Wrapper, state: Bag) -> None:
        """Leap over the bytes that follow; what pickle reads next lies behind them."""
        facts = {key: value for key, value in state.items if isinstance(key, str)}
        kind, shape = facts.get("dtype"), shape_of(facts.get("shape"))
        if isinstance(kind, NumpyType) and kind.objects:
            self._nest()
            return
        dtype, start = dtype_of(kind), self._opcodes.at
        if dtype is None or shape is None:
            raise MalformedError("a wrapper without type and shape")
        if facts.get(_ALIGNMENT) is not None:
            padding = read_exactly(self._opcodes.source, start, start + 1)
            start += 1 + padding[0]
        stop = start + count(shape) * dtype.bits // 8
        check(stop <= self._opcodes.source.size, "an array behind the end")
        self._opcodes.at = stop
        array = self._fill(NumpyArray(), Extent(start, stop), kind, shape)
        wrapper.items[:] = [("", array)]

    def _nest(self) -> None:
        """Read the pickle in the pickle that holds an array of objects."""
        check(self._nested < _MAX_NESTED, "pickles in pickles in pickles")
        self._nested += 1
        run(Machine(self), self._opcodes)
        self._nested -= 1


def dtype_of(kind: object) -> Dtype | None:
    """Return of what numbers an array of this *kind* is made, None if that is not known."""
    if not isinstance(kind, NumpyType):
        return None
    return TORCH.get(kind.letters) or npy.read_number(kind.order + kind.letters)
