# What source/numbers.c makes.  Arrays lie in one piece; where sizes do not belong together every
# function raises ValueError.

from typing import Any, TypeAlias

from numpy.typing import NDArray

_Array: TypeAlias = NDArray[Any]
REVISION: int

def split(values: _Array, planes: _Array, width: int, rotated: bool, /) -> None: ...
def join(planes: _Array, values: _Array, width: int, rotated: bool, /) -> None: ...
def subtract(values: _Array, base: _Array, planes: _Array, width: int, floats: bool, /) -> None: ...
def add(planes: _Array, base: _Array, values: _Array, width: int, floats: bool, /) -> None: ...
def place(
    base: _Array, places: _Array, width: int, bits: tuple[int, int], ends: tuple[int, int], /
) -> None: ...
def subtract_grouped(
    values: _Array,
    base: _Array,
    places: _Array,
    room: _Array,
    planes: _Array,
    width: int,
    bits: tuple[int, int],
    ends: tuple[int, int],
    /,
) -> None: ...
def add_grouped(
    planes: _Array,
    base: _Array,
    places: _Array,
    room: _Array,
    values: _Array,
    width: int,
    bits: tuple[int, int],
    ends: tuple[int, int],
    /,
) -> None: ...
