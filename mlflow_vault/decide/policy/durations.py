"""Durations as policies have them: ``7d``, ``72h``, ``90s``; the units are the filter language's.

Inside they are whole milliseconds.  Equal durations have one spelling, so that ``24h`` and ``1d``
make one and the same policy.

Pure: no I/O.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, PlainSerializer

from mlflow_vault.decide.expression.tokens import UNITS

PATTERN: Final = r"^[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d|w)$"
LONGEST: Final = 100 * 365 * UNITS["d"]


class Milliseconds(int):
    """A duration that was read; a number alone says nothing of its unit."""


def parse(text: object) -> Milliseconds:
    """Read a duration, as milliseconds.

    >>> parse("1.5h")
    5400000

    Raises:
        ValueError: It is none.
    """
    if isinstance(text, Milliseconds):
        return text
    if not isinstance(text, str) or re.fullmatch(PATTERN.strip("^$"), text) is None:
        raise ValueError(
            f"expected a duration such as 7d, 72h or 90s; units are {', '.join(UNITS)}"
        )
    unit = text.lstrip("0123456789.")
    found = round(float(text.removesuffix(unit)) * UNITS[unit])
    if found > LONGEST:
        raise ValueError("a duration is at most 100 years")
    return Milliseconds(found)


def spell(milliseconds: int) -> str:
    """Undo `parse`, in the largest unit that leaves no rest.

    >>> spell(5400000), spell(86400000), spell(0)
    ('90m', '1d', '0s')
    """
    if milliseconds == 0:
        return "0s"
    unit = max((unit for unit in UNITS if milliseconds % UNITS[unit] == 0), key=UNITS.__getitem__)
    return f"{milliseconds // UNITS[unit]}{unit}"


def rough(milliseconds: int) -> str:
    """Spell a duration for people: its two largest units.

    >>> rough(90_061_000)
    '1d 1h'
    """
    if milliseconds < UNITS["s"]:
        return f"{milliseconds}ms"
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, milliseconds = divmod(milliseconds, UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def moment(milliseconds: int) -> str:
    """Spell a time as ISO 8601 has it; as a number if there is no such time.

    >>> moment(1_700_000_000_000)
    '2023-11-14T22:13:20Z'
    """
    try:
        found = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return str(milliseconds)
    return found.isoformat(timespec="seconds").replace("+00:00", "Z")


Duration = Annotated[
    int,
    BeforeValidator(parse),
    PlainSerializer(spell, return_type=str),
    Field(json_schema_extra={"type": "string", "pattern": PATTERN, "examples": ["7d", "72h"]}),
]
