"""Compiled: the steps between numbers, and numbers as byte planes; many numbers at a time.

numba widens every result, so each is cut back to the width of the number.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import types

from mlflow_vault.format.coding.kernels.typed import compiled, filled, known, number

if TYPE_CHECKING:
    from collections.abc import Callable


@cache
def subtracting(width: int, *, signed: bool) -> Callable[..., Any]:
    """Compile the zigzagged steps between numbers; *signed* ones are floats."""
    kind, item = np.dtype(f"u{width}").type, number(width)
    none, one, last, top = kind(0), kind(1), kind(8 * width - 1), kind(1 << (8 * width - 1))

    @compiled(known(item), known(item), filled(item))
    def subtract(values: Any, base: Any, steps: Any) -> None:
        for index in range(len(values)):
            value, parent = values[index], base[index]
            if signed:
                value = kind(value ^ kind(kind(none - kind(value >> last)) | top))
                parent = kind(parent ^ kind(kind(none - kind(parent >> last)) | top))
            step = kind(value - parent)
            steps[index] = kind(kind(step << one) ^ kind(none - kind(step >> last)))

    return subtract


@cache
def adding(width: int, *, signed: bool) -> Callable[..., Any]:
    """Compile undoing `subtracting`."""
    kind, item = np.dtype(f"u{width}").type, number(width)
    none, one, last, top = kind(0), kind(1), kind(8 * width - 1), kind(1 << (8 * width - 1))

    @compiled(known(item), known(item), filled(item))
    def add(steps: Any, base: Any, values: Any) -> None:
        for index in range(len(values)):
            step, parent = steps[index], base[index]
            if signed:
                parent = kind(parent ^ kind(kind(none - kind(parent >> last)) | top))
            value = kind(kind(kind(step >> one) ^ kind(none - kind(step & one))) + parent)
            if signed:
                value = kind(value ^ kind(kind(kind(value >> last) - one) | top))
            values[index] = value

    return add


@cache
def splitting(width: int, *, rotated: bool) -> Callable[..., Any]:
    """Compile cutting numbers into byte planes, the sign rotated away or not."""
    kind, item = np.dtype(f"u{width}").type, number(width)
    one, last = kind(1), kind(8 * width - 1)

    @compiled(known(item), filled(types.uint8, 2))
    def split(values: Any, planes: Any) -> None:
        for place in range(width):
            shift, plane = kind(8 * place), planes[place]
            for index in range(len(values)):
                value = values[index]
                if rotated:
                    value = kind(kind(value << one) | kind(value >> last))
                plane[index] = np.uint8(value >> shift)

    return split


@cache
def joining(width: int, *, rotated: bool) -> Callable[..., Any]:
    """Compile undoing `splitting`."""
    kind, item = np.dtype(f"u{width}").type, number(width)
    one, last = kind(1), kind(8 * width - 1)

    @compiled(known(types.uint8, 2), filled(item))
    def join(planes: Any, values: Any) -> None:
        for index in range(len(values)):
            value = kind(planes[0, index])
            for place in range(1, width):
                value = kind(value | kind(kind(planes[place, index]) << kind(8 * place)))
            if rotated:
                value = kind(kind(value >> one) | kind(value << last))
            values[index] = value

    return join
