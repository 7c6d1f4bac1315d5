"""LIKE and ILIKE, exactly as MLflow has them, in time that no pattern can blow up.

``%`` stands for any text within a line and ``_`` for one character of it.  A pattern that does not
end with ``%`` may leave one line break at the end of the text unsaid: so MLflow's regular
expressions have it.  Those try every way to share the text among the ``%``; here each piece
between two of them is found once and kept, which finds the same: what a later ``%`` can skip, an
earlier one need not.
"""

from __future__ import annotations

import re
from functools import lru_cache


def is_like(text: str, pattern: str, *, fold: bool) -> bool:
    """Whether *text* fits *pattern*; with *fold* without regard to case.

    >>> is_like("resnet-50", "res%_0", fold=False)
    True
    """
    return _compiled(pattern, re.IGNORECASE if fold else 0).match(text) is not None


@lru_cache(256)
def _compiled(pattern: str, flags: int) -> re.Pattern[str]:
    first, *others = (re.escape(piece).replace("_", ".") for piece in pattern.split("%"))
    if not others:
        return re.compile(f"{first}$", flags)
    *middle, last = others
    found = "".join(f"(?>.*?{piece})" for piece in middle if piece)
    return re.compile(first + found + (f".*{last}$" if last else ""), flags)
