"""Errors in filters: the line, a caret below the column, and what was meant perhaps."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

_BEFORE: Final = 60  # characters of a long line that are shown before the column
_AFTER: Final = 40


def complaint(text: str, at: int, message: str) -> InvalidInputError:
    r"""Say what is wrong with *text* at the offset *at*.

    >>> print(complaint("metrics.f1 >", 12, "a number is missing"))
    a number is missing, at column 13
        metrics.f1 >
                    ^
    """
    begin = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    start, stop = max(begin, at - _BEFORE), min(end, at + _AFTER)
    shown = "".join(letter if letter.isprintable() else " " for letter in text[start:stop])
    left, right = "..." if start > begin else "", "..." if stop < end else ""
    caret = " " * (len(left) + at - start) + "^"
    line = f"line {text.count(chr(10), 0, at) + 1}, " if "\n" in text else ""
    return InvalidInputError(
        f"{message}, at {line}column {at - begin + 1}\n    {left}{shown}{right}\n    {caret}"
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """Say which of the *known* names was meant perhaps, or which there are.

    >>> nearest("metrcs", ["metrics", "params", "tags"])
    'did you mean metrics?'
    >>> nearest("colour", ["metrics", "params"])
    'known are metrics, params'
    """
    names = sorted(set(known))
    lowered = {name.lower(): name for name in names}
    close = get_close_matches(word.lower()[:100], lowered, n=1)
    if close:
        return f"did you mean {lowered[close[0]]}?"
    return f"known are {', '.join(names)}"
