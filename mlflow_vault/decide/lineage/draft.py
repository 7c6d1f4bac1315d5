"""A lineage while it is gathered: the same thing may be told of many times, and in any order.

Of each node the earliest time counts, a name before none, and what is held before what is merely
mentioned.  What nested runs hand down is settled at the end, when all of it is known.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.lineage.elements import Edge, Verb, files
from mlflow_vault.decide.lineage.graph import LineageGraph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.decide.lineage.elements import Node

# Runs above a nested one whose data it is taken to have used.  MLflow's searches nest two or three
# deep; a forged chain would make a square of edges.
NESTED: Final = 32


class Draft:
    """Nodes and edges, gathered."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._edges: dict[tuple[str, str, str, str], Edge] = {}
        self._above: dict[str, str] = {}
        self._uses: dict[str, dict[str, Edge]] = {}
        self._versions: dict[str, list[tuple[int, str, str]]] = {}

    def node(self, node: Node) -> str:
        """Add *node*, or what it adds to the one of its id; return that id."""
        held = self._nodes.get(node.id)
        if held is not None:
            first, second = (node, held) if node.held and not held.held else (held, node)
            since = _earliest(first.since, second.since)
            attributes = first.attributes
            if first.held == second.held and not second.attributes.keys() <= attributes.keys():
                attributes = {**second.attributes, **attributes}
            if first is held and since == held.since and attributes is held.attributes:
                return node.id  # nothing new: as it mostly is
            node = replace(first, since=since, attributes=attributes)
        self._nodes[node.id] = node
        return node.id

    def edge(self, edge: Edge) -> None:
        """Add *edge*, or what it adds to the same one."""
        held = self._edges.get(edge.key)
        if held is not None:
            edge = replace(
                held,
                since=_earliest(held.since, edge.since),
                attributes={**edge.attributes, **held.attributes},
            )
        self._edges[edge.key] = edge

    def uses(self, run: str, edge: Edge) -> None:
        """Add *edge*, an input of *run* that its nested runs are taken to have used too."""
        self.edge(edge)
        self._uses.setdefault(run, {})[edge.cause] = edge

    def version(self, digest: str, since: int, name: str, node: str) -> None:
        """Note that *node* will be the version of the model *name* with the files *digest*."""
        self._versions.setdefault(digest, []).append((since, name, node))

    def files(self, digest: str, since: int, name: str = "") -> list[str]:
        """Return what something made of the files *digest* was made from.

        That is the versions with these files which there were at the time *since*, those of the
        model *name* before others; where there were none, the files themselves.
        """
        earlier = [one for one in self._versions.get(digest, ()) if one[0] <= since]
        same = [one for one in earlier if one[1] == name] or earlier
        found = sorted({node for _, _, node in same})
        return found or [self.node(files(digest, since, held=False))]

    def nested(self, run: str, above: str, since: int) -> None:
        """Note that *run* is nested in *above*: whose outcome then depends on it."""
        if run != above:
            self._above.setdefault(run, above)
            self.edge(Edge(above, Verb.WAS_INFORMED_BY, run, since=since))

    def graph(self) -> LineageGraph:
        """Return what was gathered."""
        for run in self._above:
            for above in self._over(run):
                for edge in self._uses.get(above, {}).values():
                    attributes = {**edge.attributes, "inherited": above}
                    handed = replace(edge, effect=run, attributes=attributes)
                    self._edges.setdefault(handed.key, handed)
        return LineageGraph(tuple(self._nodes.values()), tuple(self._edges.values()))

    def _over(self, run: str) -> Iterator[str]:
        """Yield the runs that *run* is nested in, nearest first."""
        seen = {run}
        while (above := self._above.get(run)) is not None:
            if above in seen or len(seen) > NESTED:
                return
            seen.add(above)
            yield above
            run = above


def _earliest(first: int, second: int) -> int:
    return min(first, second) if first and second else first or second
