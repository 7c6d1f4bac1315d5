"""JSON from strangers: read whole, but only where reading it is cheap.

A few megabytes of ``[[],[],...`` become hundreds as Python objects, so values are counted by
their brackets and commas before any is made.

Pure: no I/O.
"""

from __future__ import annotations

import json
from typing import Final

from mlflow_vault.format.tensors.arrays import MalformedError, check

# The specification of safetensors allows headers of 100 MB; those would take seconds and gigabytes
# to read.  50,000 tensors have a header of 5 MB and 500,000 values.
MAX_TEXT: Final = 8 << 20  # bytes
MAX_VALUES: Final = 1_000_000


def read_json(text: bytes) -> dict[str, object]:
    """Return the object that *text* holds.

    Raises:
        ValueError: It is no JSON, no object, too large, or has a key twice.
        RecursionError: It is nested too deeply.
    """
    check(len(text) <= MAX_TEXT, "too much JSON")
    check(sum(map(text.count, (b"{", b"[", b","))) <= MAX_VALUES, "too many values in JSON")
    found = json.loads(text.decode(), object_pairs_hook=_unique)
    if isinstance(found, dict):
        return found
    raise MalformedError("expected a JSON object")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    check(len(found) == len(pairs), "a key appears twice")
    return found
