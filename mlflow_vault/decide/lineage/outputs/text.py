"""Lineages as lines for a terminal and as tables for a notebook.

Pure: no I/O.
"""

from __future__ import annotations

import html
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.lineage.elements import Known, since_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_vault.decide.lineage.elements import Edge
    from mlflow_vault.decide.lineage.graph import LineageGraph

_ROWS: Final = 200  # of a table in a notebook, or printed in a terminal; more are a flood
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def lines_of(graph: LineageGraph) -> list[str]:
    """Spell *graph* for a terminal: a line for each edge, and for each node that has none."""
    lines = [
        f"{plain(graph.node(edge.effect).label)} {edge.verb.value} "
        f"{edge.cause.partition(':')[0]} {plain(graph.node(edge.cause).label)}{_remark(edge)}"
        for edge in graph.edges
    ]
    lines += [
        f"{node.kind.value} {plain(node.label)}"
        for node in graph.nodes
        if not graph.causes(node.id) and not graph.effects(node.id)
    ]
    return [*lines, *(f"warning: {plain(warning)}" for warning in graph.warnings)]


def printed(lines: Sequence[str]) -> str:
    """Join *lines* for printing; of very many only the first."""
    more = len(lines) - _ROWS
    end = [f"... and {more} more lines"] if more > 0 else []
    return "\n".join([*lines[:_ROWS], *end])


def html_of(graph: LineageGraph) -> str:
    """Spell *graph* for a notebook."""
    rows = [
        (
            graph.node(edge.effect).label,
            edge.verb.value,
            graph.node(edge.cause).label,
            edge.known.value + share_text(edge),
            edge.effect,
            edge.cause,
        )
        for edge in graph.edges[:_ROWS]
    ]
    more = len(graph.edges) - len(rows)
    title = repr(graph) + (f", {more} edges are not shown" if more else "")
    titles = ("effect", "verb", "cause", "known from", "id of effect", "id of cause")
    warnings = "".join(
        f"<p>{html.escape(plain(warning))}</p>" for warning in graph.warnings[:_ROWS]
    )
    return table_of(title, titles, rows) + warnings


def table_of(title: str, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Spell a table in HTML, escaping everything; of a long one only the first rows."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in titles)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(plain(cell))}</td>" for cell in row) + "</tr>"
        for row in rows[:_ROWS]
    )
    return f"<table><caption>{html.escape(plain(title))}</caption><tr>{head}</tr>{body}</table>"


def plain(text: str) -> str:
    r"""Return *text* without what moves a cursor, ends a line or cannot be encoded.

    >>> plain("a\x1b[2Jb\nc")
    'a�[2Jb�c'
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def encodable(text: str) -> str:
    r"""Return *text* so that any tool can encode it: half a surrogate pair is no letter.

    >>> encodable("a\ud800")
    'a\\ud800'
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def share_text(edge: Edge) -> str:
    """Spell how much of its bytes an effect has from its cause; empty if that is not known.

    >>> from mlflow_vault.decide.lineage.elements import Edge, Verb
    >>> share_text(Edge("artifact:a", Verb.WAS_DERIVED_FROM, "artifact:b"))
    ''
    """
    share = edge.attributes.get("share")
    if not isinstance(share, float):
        return ""
    coded = edge.attributes.get("coded")
    text = f" {share:.0%}"
    return f"{text}, {coded:.0%} changed a little" if isinstance(coded, float) and coded else text


def time_text(time: int | None) -> str:
    """Spell a time for people.

    >>> time_text(1_700_000_000_000), time_text(None), time_text(0)
    ('2023-11-14 22:13:20', 'now', 'unknown')
    """
    if time is None:
        return "now"
    moment = moment_of(time)
    return moment.strftime("%Y-%m-%d %H:%M:%S") if moment else "unknown"


def moment_of(time: int) -> datetime | None:
    """Read milliseconds since 1970; None if that is unknown, the present or no date."""
    if not time or since_out(time) is None:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=time)
    except OverflowError:
        return None


def _remark(edge: Edge) -> str:
    if edge.known is Known.MLFLOW:
        return ""
    return f" [{edge.known.value}{share_text(edge)}]"
