"""Lineages as flowcharts of Mermaid.

Nodes are called ``n0``, ``n1``, ...; labels keep letters, digits and a few signs as they are, and
spell all else as Mermaid's entities (``#34;`` is a quotation mark).  So no name can end a label,
begin a directive or become HTML.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.lineage.elements import Kind
from mlflow_vault.decide.lineage.outputs.text import plain, share_text

if TYPE_CHECKING:
    from mlflow_vault.decide.lineage.graph import LineageGraph

_SIGNS: Final = frozenset(" _-./:@,()+=")
_BOX: Final = ("[", "]")
_SHAPES: Final = {
    Kind.DATASET: ("[(", ")]"),
    Kind.RUN: ("([", "])"),
    Kind.EVALUATION: ("([", "])"),
    Kind.ALIAS: ("{{", "}}"),
    Kind.DEPLOYMENT: ("{{", "}}"),
    Kind.VERSION: ("[[", "]]"),
    Kind.PERSON: ("((", "))"),
}


def mermaid_of(graph: LineageGraph) -> str:
    """Spell *graph* for Mermaid; what the vault does not hold is drawn with dashes."""
    names = {node.id: f"n{index}" for index, node in enumerate(graph.nodes)}
    lines = ["flowchart LR", "    classDef foreign stroke-dasharray: 5 5"]
    for node in graph.nodes:
        start, stop = _SHAPES.get(node.kind, _BOX)
        label = _escape(f"{node.kind.value.replace('_', ' ')}: {node.label}")
        end = "" if node.held else ":::foreign"
        lines.append(f'    {names[node.id]}{start}"{label}"{stop}{end}')
    for edge in graph.edges:
        label = _escape(edge.verb.value + share_text(edge))
        lines.append(f'    {names[edge.effect]} -->|"{label}"| {names[edge.cause]}')
    return "\n".join(lines) + "\n"


def _escape(text: str) -> str:
    r"""Spell *text* inside the quotation marks of a label.

    >>> _escape('a "b" #1')
    'a #34;b#34; #35;1'
    """
    return "".join(
        letter if letter.isalnum() or letter in _SIGNS else f"#{ord(letter)};"
        for letter in plain(text)
    )
