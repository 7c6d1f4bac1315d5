"""What the tests of the parsers share: looking into bytes, and real files."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.format.tensors import UNKNOWN, Layout, find_arrays

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = Path(__file__).parents[2] / "golden" / "files"


@dataclass(frozen=True, slots=True)
class Content:
    """A file in memory that refuses to be read beside its end."""

    plain: bytes

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.plain)

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes ``[start, stop)``."""
        assert 0 <= start <= stop <= self.size
        return self.plain[start:stop]


def _look(plain: bytes, name: str = "") -> Layout:
    layout = find_arrays(Content(plain), name=name)
    spans = [(array.start, array.stop) for array in layout.arrays]
    assert all(0 <= start < stop <= len(plain) for start, stop in spans)
    assert all(stop <= start for (_, stop), (start, _) in pairwise(spans))
    for array in layout.arrays:
        array.name.encode()
        if array.element is not None:
            assert math.prod(array.shape) * array.element.width == array.stop - array.start
    assert layout.parser or layout == UNKNOWN
    return layout


@pytest.fixture(scope="session")
def look() -> Callable[..., Layout]:
    """Find the arrays in bytes, and check what is true of every layout."""
    return _look


def _golden(expected: str) -> dict[str, bytes]:
    names = json.loads((FILES / expected).read_text(encoding="utf-8"))
    return {name: (FILES / name).read_bytes() for name in names}


@pytest.fixture(scope="session")
def golden() -> dict[str, bytes]:
    """Return the content of every golden file of torch and skops, by its name."""
    return _golden("expected.json")


@pytest.fixture(scope="session")
def more_golden() -> dict[str, bytes]:
    """Return the content of every golden file of HDF5, Keras, ONNX and GGUF, by its name."""
    return _golden("expected_more.json")
