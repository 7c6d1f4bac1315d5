"""What parsers tell of a file fits into an entry that its readers take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.format.digest import Digest
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.rows import Tensor
from mlflow_vault.format.tensors import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.format.tensors import Layout


def _file(tensors: int, name: str, shape: list[int], dtype: str = "U8") -> bytes:
    header = {
        f"{index}{name}": {"dtype": dtype, "shape": shape, "data_offsets": [index, index + 1]}
        for index in range(tensors)
    }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return len(text).to_bytes(8, "little") + text + bytes(tensors)


@pytest.mark.parametrize(
    ("tensors", "name", "shape"),
    [
        (3_000, "\N{GRINNING FACE}" * 600, [1]),
        (3_000, "," * 1_000, [1]),
        (3_000, "\x01" * 400, [1]),
        (20_000, "", [1] * 40),
        (40_000, ".layers.17.mlp.experts.211.down_proj.weight_scale", [1]),
    ],
)
def test_fits(look: Callable[..., Layout], tensors: int, name: str, shape: list[int]) -> None:
    """However long names and shapes are, an entry of the arrays that were told can be read."""
    layout = look(_file(tensors, name, shape))

    told = tuple(
        Tensor(one.name, one.element, one.shape, one.start, one.stop, one.element, 9, 10**15)
        for one in layout.arrays
    )
    size = max((one.stop for one in told), default=0)
    entry = Entry("a", size, Digest.of(b""), bytes(32), inline=bytes(size), tensors=told)
    assert Entry.from_bytes(entry.to_bytes(), "k") == entry


def test_too_long(look: Callable[..., Layout]) -> None:
    """A file whose names and shapes would fill its entry is cut by content."""
    assert look(_file(6_000, "\N{GRINNING FACE}" * 300, [1])) == UNKNOWN
    assert look(_file(3_000, "," * 1_000, [1])) == UNKNOWN
