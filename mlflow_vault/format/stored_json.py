"""JSON in stored objects: read believing nothing.

Python's reader takes a key that appears twice, numbers beyond range for infinity, and a few
megabytes of ``[],[],...`` for hundreds.  No writer of ours makes any of them, and each would
come up again where nobody expects it.

Pure: no I/O.  Written down in docs/format.md, "Objects".
"""

from __future__ import annotations

import json
import math
from typing import Any, Final, NoReturn

# Brackets and commas, those in names too; more than any entry has (`format.tensors.arrays`).
_MAX_VALUES: Final = 3_000_000


def read_json(text: bytes) -> Any:
    """Return the value that *text* holds.

    Raises:
        ValueError: It is no JSON, too much, too deep, ambiguous, or has numbers beyond range.
    """
    if sum(map(text.count, (b"{", b"[", b","))) > _MAX_VALUES:
        raise ValueError("too many values in JSON")
    try:
        return json.loads(
            text, object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse
        )
    except RecursionError as cause:
        raise ValueError("JSON that is nested too deeply") from cause


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} is no number")
