"""Which inner loops run: the compiled ones, or numpy's where installing found no compiler.

Both make the same bytes, so nothing else notices.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlflow_vault.format.coding.kernels import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.coding.kernels.protocol import Kernels


def fastest() -> Kernels:
    """Return the fastest loops that were installed."""
    try:
        from mlflow_vault.format.coding.kernels import compiled  # noqa: PLC0415 - there may be none
    except ImportError:
        return plain
    return compiled


_chosen = [fastest()]


def kernels() -> Kernels:
    """Return the inner loops to use."""
    return _chosen[0]


@contextmanager
def using(loops: Kernels) -> Iterator[None]:
    """Code with *loops*, in all threads: to compare one with the other."""
    before, _chosen[:] = list(_chosen), [loops]
    try:
        yield
    finally:
        _chosen[:] = before
