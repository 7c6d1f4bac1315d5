"""Which texts a database may take for one: some compare without regard to case and accents.

MySQL and SQL Server find the alias ``production`` under ``PRODUCTION`` and ``próduction``, and
overwrite it there.  So whatever is protected is protected in each spelling that the loosest of
them finds it under, on every database alike.

Pure: no I/O.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LOOSE: Final = frozenset({"mysql", "mssql"})  # what MLflow calls databases that do
# Of a letter that has no simpler form its name tells one or two: SHARP S, OPEN E, AE.
_NAMED: Final = re.compile(r"LATIN (?:\w+ )*?(?:LETTER|LIGATURE) (?:\w+ )*?([A-Z]{1,2})(?: .*)?")
_OTHERS: Final = {
    **dict.fromkeys("\u00d0\u00f0", "d"),  # eth
    "\u00b7": "",  # the dot of a Catalan l
    **dict.fromkeys("\u0640\u0824\u0828\u1cf2\ufe73", ""),  # letters that MariaDB leaves out
}


def folded(text: str) -> str:
    r"""Return *text* as all spellings of it have it: small ASCII letters where there are such.

    >>> [folded(one) for one in (" Production", "pr\u00f3du\u010btion", "\uff50roduction")]
    ['production', 'production', 'production']
    """
    if text.isascii():
        return text.strip().lower()
    return "".join(map(_letter, unicodedata.normalize("NFKD", text))).strip()


def _letter(letter: str) -> str:
    if letter.isascii():
        return letter.lower()
    if letter.isdecimal():
        return str(unicodedata.digit(letter))
    if unicodedata.category(letter)[0] in "MC":  # marks on letters, and what nobody sees
        return ""
    named = _NAMED.fullmatch(unicodedata.name(letter, ""))
    return named[1].lower() if named else _OTHERS.get(letter, letter.casefold())
