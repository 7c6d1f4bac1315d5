"""How loops are compiled: for the types that they are given, once, and kept on the disk.

Compiling one takes a second or so, and happens when a kind of number is met for the first time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba import types

if TYPE_CHECKING:
    from collections.abc import Callable


def compiled(*given: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function for the types *given*; keep it where numba finds a folder for it."""

    def compile_it(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            loop: Callable[..., Any] = numba.njit(given, nogil=True, cache=True)(function)
        except (RuntimeError, OSError, EOFError):  # nowhere to write, a full disk, half a file
            loop = numba.njit(given, nogil=True)(function)
        return loop

    return compile_it


def number(width: int) -> Any:
    """Return the type of an unsigned integer of *width* bytes."""
    return numba.from_dtype(np.dtype(f"u{width}"))


def known(kind: Any, dimensions: int = 1) -> Any:
    """Return the type of an array that is only read."""
    return types.Array(kind, dimensions, "C", readonly=True)


def filled(kind: Any, dimensions: int = 1) -> Any:
    """Return the type of an array that is written."""
    return types.Array(kind, dimensions, "C")
