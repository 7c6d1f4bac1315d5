"""Which files are likely relatives, from the names, shapes and types of their tensors.

A fine-tuned model with a new head has nearly the tensors of the model it came from, so an exact
fingerprint of the layout would miss it.  MinHash (Broder, 1997) does not: two sets that share a
share *s* of their members have the same minimum under a random order with probability *s*.
A few orders, a bucket each.

Pure: decides only.  `engine.hints` keeps the buckets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from blake3 import blake3

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.format.entry import Tensor

_ORDERS: Final = 3  # at a share of 0.5, seven of eight relatives meet in some bucket


def family_buckets(tensors: Iterable[Tensor]) -> list[str]:
    """Name the buckets of a file with these *tensors*; relatives share most of them.

    Only the last component of a name counts: frameworks wrap models and prefix their names.

    Returns:
        One name per order; empty for a file without tensors.
    """
    features = {_feature(tensor).encode("utf-8", "surrogateescape") for tensor in tensors}
    if not features:
        return []
    return [
        f"{order}|{min(blake3(bytes([order]) + feature).hexdigest() for feature in features)}"
        for order in range(_ORDERS)
    ]


def series_bucket(series: str) -> str:
    """Name the bucket of all versions of one file: see `format.layout.series_of`."""
    return f"series|{series}"


def _feature(tensor: Tensor) -> str:
    """What relatives have in common; a float of any width, for a half-precision copy is one."""
    name = tensor.name.rsplit(".", 1)[-1]
    shape = "x".join(map(str, tensor.shape))
    element = tensor.element
    kind = "float" if element and element.exponent_bits else element.name.lower() if element else ""
    return f"{name}|{shape}|{kind}"
