# What source/planes.c makes.  Arrays lie in one piece; where sizes do not belong together every
# function raises ValueError.

from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]
REVISION: int

def pack(plane: _Array, packed: _Array, beyond: _Array, bits: int, /) -> int: ...
def caps(packed: _Array, bits: int, count: int, /) -> int: ...
def unpack(packed: _Array, beyond: _Array, plane: _Array, bits: int, /) -> None: ...
def tally(
    planes: _Array,
    width: int,
    counts: _Array,
    sample: int,
    counted: _Array,
    constant: _Array,
    /,
) -> None: ...
