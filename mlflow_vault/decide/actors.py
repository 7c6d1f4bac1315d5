"""Whose names are one person's.

Whoever counts approvals, or looks for people who approve their own work, counts persons; spellings
would let one of them count twice.

Pure: decides only.
"""

from __future__ import annotations

import unicodedata


def same(actor: str) -> str:
    """Return what is equal for two spellings of one person: case and Unicode's forms are ignored.

    >>> same("Ann@Acme.example ") == same("ann@acme.example")
    True
    """
    return unicodedata.normalize("NFKC", actor).strip().casefold()
