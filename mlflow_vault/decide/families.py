"""Which files are likely relatives, from the names, shapes and types of their tensors.

A fine-tuned model with a new head has nearly the tensors of the model it came from, so an exact
fingerprint of the layout would miss it.  MinHash (Broder, 1997) does not: two sets that share a
share *s* of their members have the same minimum under a random order with probability *s*.
A few orders, a bucket each.

Pure: decides only.  `engine.hints` keeps the buckets.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

from blake3 import blake3

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.format.rows import Tensor

_ORDERS: Final = 3  # at a share of 0.5, seven of eight relatives meet in some bucket
_RUN: Final = re.compile(r"(?:models/m-|traces/tr-|)[0-9a-f]{32}$")


def series_of(path: str) -> str:
    """Name the series of versions that *path* is one of: the same file of another run.

    MLflow's paths contain the run, so the run is taken out and the rest is kept:

    >>> series_of("7/models/m-0123456789abcdef0123456789abcdef/artifacts/model.pkl")
    '7|model.pkl'
    """
    head, found, tail = path.partition("/artifacts/")
    run = _RUN.search(head)
    if found and run:
        return f"{head[: run.start()].rstrip('/')}|{tail}"
    first, _, rest = path.partition("/")
    return f"{first}|{rest}"


def family_buckets(tensors: Iterable[Tensor]) -> list[str]:
    """Name the buckets of a file with these *tensors*; relatives share most of them.

    Only the last component of a name counts: frameworks wrap models and prefix their names.
    Equal features are told apart by counting them, so that twelve equal layers weigh twelve times
    what one new head does.

    Returns:
        One name per order; empty for a file without tensors.
    """
    seen: Counter[str] = Counter()
    features = []
    for feature in map(_feature, tensors):
        seen[feature] += 1
        features.append(f"{feature}|{seen[feature]}".encode("utf-8", "surrogateescape"))
    if not features:
        return []
    return [
        f"{order}|{min(blake3(bytes([order]) + feature).hexdigest() for feature in features)}"
        for order in range(_ORDERS)
    ]


def series_buckets(path: str) -> list[str]:
    """Name the buckets of the versions of the file at *path*, the likelier one first.

    The first is its series, see `series_of`; the second takes numbers for one
    another, so that ``epoch_2.ckpt`` finds ``epoch_1.ckpt``.

    >>> series_buckets("7/0123456789abcdef0123456789abcdef/artifacts/step-20/w.npy")
    ['series|7|step-20/w.npy', 'numbered|7|step-#/w.npy']
    """
    series = series_of(path)
    scope, _, name = series.partition("|")
    numbered = re.sub(r"[0-9]+", "#", name)
    return [f"series|{series}", *([f"numbered|{scope}|{numbered}"] if numbered != name else [])]


def _feature(tensor: Tensor) -> str:
    """What relatives have in common; a float of any width, for a half-precision copy is one."""
    name = tensor.name.rsplit(".", 1)[-1]
    shape = "x".join(map(str, tensor.shape))
    element = tensor.element
    kind = "float" if element and element.exponent_bits else element.name.lower() if element else ""
    return f"{name}|{shape}|{kind}"
