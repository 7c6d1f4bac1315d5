"""What a command answers, and how figures and names are spelled for people.

Pure: `main` prints.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000  # decimal, as disks are sold and progress bars count


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found out or did.

    Attributes:
        values: The JSON object.
        lines: The same for people.
        is_good: False if damage was found; the exit code is then 1.
        code: Another exit code, where one says more.
    """

    values: dict[str, Any]
    lines: list[str] = field(default_factory=list)
    is_good: bool = True
    code: int | None = None


def size_text(size: float) -> str:
    """Spell a number of bytes.

    >>> size_text(999), size_text(12_345_678)
    ('999 B', '12.3 MB')
    """
    unit = 0
    while abs(size) >= _STEP and unit < len(_UNITS) - 1:
        size /= _STEP
        unit += 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size:.0f} {_UNITS[0]}"


def count_text(count: int, noun: str) -> str:
    """Spell how many there are.

    >>> count_text(1, "file"), count_text(1200, "file")
    ('1 file', '1,200 files')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def share_text(part: float, whole: float) -> str:
    """Spell *part* as a share of *whole*.

    >>> share_text(1, 3)
    '33.3 %'
    """
    return f"{100 * part / whole:.1f} %" if whole else "-"


def shown(name: str) -> str:
    r"""Spell a name so that it stays on its line and cannot steer a terminal.

    >>> shown("model\x1b[2J.pkl")
    'model\\x1b[2J.pkl'
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out *rows* below *head*; the first column to the left, figures to the right.

    >>> table(("name", "size"), [("a", "12.3 MB")])
    ['name     size', 'a     12.3 MB']
    """
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in (head, *rows)
    ]
