"""How results look in a notebook: small tables of HTML, in which every text is escaped.

Names, paths and tags come from whoever logs to MLflow, so none of them is believed to be harmless.

Pure: text only.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def html_table(title: str, rows: Iterable[Sequence[object]], head: Sequence[str] = ()) -> str:
    """Lay out *rows* as a table of HTML.

    >>> html_table("fraud/3", [("lr", "<b>")])
    '<table><caption>fraud/3</caption><tr><td>lr</td><td>&lt;b&gt;</td></tr></table>'
    """
    lines = [f"<table><caption>{escape(title)}</caption>"]
    if head:
        lines.append("<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>")
    for row in rows:
        lines += ["<tr>", *(f"<td>{escape(str(cell))}</td>" for cell in row), "</tr>"]
    return "".join([*lines, "</table>"])
