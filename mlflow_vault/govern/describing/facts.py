"""Facts of a version, read believing nothing.

A record keeps what MLflow and a run told, and whoever could write to either could tell anything: a
list where a number belongs, text that turns a terminal's colours or a page's direction.  Who writes
documents from facts reads them through here.

Pure: no I/O.
"""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mlflow_vault.format.version import Version

LONGEST: Final = 2000  # characters of one text in a document
# Controls, halves of letters, ends of lines and paragraphs.
_UNSEEN: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_TURNS: Final = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_LICENCES: Final = {
    name.lower(): name
    for name in (
        *("Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Unlicense", "BSL-1.0"),
        *("GPL-2.0-only", "GPL-3.0-only", "LGPL-3.0-only", "AGPL-3.0-only", "MPL-2.0"),
        *("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0"),
    )
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def mapping(value: Any) -> dict[str, Any]:
    """*value* if it is one, else nothing; sorted, as it is after it was stored."""
    if not isinstance(value, dict):
        return {}
    return {str(name): value[name] for name in sorted(value, key=str)}


def rows(value: Any) -> list[dict[str, Any]]:
    """Those of the list *value* that are mappings."""
    return [mapping(each) for each in _list(value) if isinstance(each, dict)]


def text(value: Any) -> str:
    r"""*value* as one line of bounded length; empty if it is neither text nor a number.

    >>> text("a\nb\x1b[31m")
    'a b [31m'
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    whole = str(value)[:LONGEST]
    seen = (
        " " if unicodedata.category(letter) in _UNSEEN or letter in _TURNS else letter
        for letter in whole
    )
    return " ".join("".join(seen).split())


def number(value: Any) -> float | int | None:
    """*value* if it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None


def metrics(value: Any) -> dict[str, str]:
    """Metrics by name, as text: those that are no finite numbers, too."""
    told = {text(name): text(inner) for name, inner in mapping(value).items()}
    return {name: inner for name, inner in told.items() if name and inner}


def licence(version: Version) -> tuple[str, bool]:
    """The licence that was declared, and whether it is an identifier of SPDX's."""
    declared = mapping(version.metadata)
    told = text(declared.get("license")) or text(declared.get("licence"))
    known = _LICENCES.get(told.lower())
    return (known, True) if known else (told, False)


def columns(version: Version, part: str) -> list[str]:
    """What the signature's *part*, ``inputs`` or ``outputs``, consists of: ``name: type``."""
    found = []
    for column in rows(mapping(mapping(version.facts).get("signature")).get(part)):
        tensor = mapping(column.get("tensor-spec"))
        kind = text(column.get("type")) or "unknown"
        if tensor:
            sizes = ", ".join(map(text, _list(tensor.get("shape"))))
            kind = f"{text(tensor.get('dtype')) or 'tensor'}[{sizes}]"
        name = text(column.get("name"))
        found.append(f"{name}: {kind}" if name else kind)
    return found


def moment(milliseconds: int) -> str:
    """Spell a time as ISO 8601 has it; empty if there is no such time.

    >>> moment(1_700_000_000_000)
    '2023-11-14T22:13:20Z'
    """
    try:
        when = _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return ""
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
