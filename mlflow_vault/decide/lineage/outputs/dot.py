"""Lineages for Graphviz.

Nodes are called ``n0``, ``n1``, ...; their ids are tooltips.  In a quoted string of DOT only the
quotation mark ends it, and a backslash begins an escape: both are escaped, line ends are removed.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.lineage.elements import Kind
from mlflow_vault.decide.lineage.outputs.text import plain, share_text

if TYPE_CHECKING:
    from mlflow_vault.decide.lineage.graph import LineageGraph

_SHAPES: Final = {
    Kind.DATASET: "cylinder",
    Kind.RUN: "oval",
    Kind.EVALUATION: "oval",
    Kind.ALIAS: "hexagon",
    Kind.DEPLOYMENT: "hexagon",
    Kind.VERSION: "box3d",
    Kind.PERSON: "house",
}


def dot_of(graph: LineageGraph) -> str:
    """Spell *graph* for Graphviz; what the vault does not hold is drawn with dashes."""
    names = {node.id: f"n{index}" for index, node in enumerate(graph.nodes)}
    lines = ["digraph lineage {", "  rankdir=LR;"]
    for node in graph.nodes:
        kind = node.kind.value.replace("_", " ")
        style = "solid" if node.held else "dashed"
        lines.append(
            f"  {names[node.id]} [label={_quote(f'{kind}: {node.label}')}, "
            f"shape={_SHAPES.get(node.kind, 'box')}, style={style}, tooltip={_quote(node.id)}];"
        )
    lines += [
        f"  {names[edge.effect]} -> {names[edge.cause]} "
        f"[label={_quote(edge.verb.value + share_text(edge))}];"
        for edge in graph.edges
    ]
    return "\n".join([*lines, "}"]) + "\n"


def _quote(text: str) -> str:
    r"""Spell *text* as a quoted string.

    >>> _quote('a "b" \\N')
    '"a \\"b\\" \\\\N"'
    """
    escaped = plain(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
