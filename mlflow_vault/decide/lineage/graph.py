"""Lineage graphs: nodes, edges, walks along them, and every form they are given out in.

A graph never changes; what `trace`, `as_of` and `known_from` give is another graph.

Pure: no I/O.  What a graph is made from says `build`; what is asked of it, `queries` and `impact`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.lineage.elements import PRESENT, Edge, Kind, Known, Node, Verb
from mlflow_vault.decide.lineage.outputs.dot import dot_of
from mlflow_vault.decide.lineage.outputs.frames import frames_of, networkx_of
from mlflow_vault.decide.lineage.outputs.mermaid import mermaid_of
from mlflow_vault.decide.lineage.outputs.openlineage import events_of
from mlflow_vault.decide.lineage.outputs.text import html_of, lines_of, printed
from mlflow_vault.decide.lineage.walking import contract, reach
from mlflow_vault.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from mlflow_vault.decide.lineage.outputs.frames import Frames

_DIRECTIONS = ("up", "down", "both")
_SURE = (Known.MLFLOW, Known.DECLARED, Known.CONTENT)  # the surest first


@dataclass(frozen=True, slots=True)
class LineageGraph:
    """What came from what.

    Attributes:
        nodes: Sorted by id.
        edges: From effect to cause, sorted; both ends are nodes.
    """

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    _index: dict[str, Node] = field(init=False, repr=False, compare=False)
    _causes: dict[str, list[Edge]] = field(init=False, repr=False, compare=False)
    _effects: dict[str, list[Edge]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index = {node.id: node for node in self.nodes}
        known = {edge.key: edge for edge in self.edges}
        causes, effects = defaultdict[str, list[Edge]](list), defaultdict[str, list[Edge]](list)
        edges = [known[key] for key in sorted(known)]
        for edge in edges:
            if edge.effect not in index or edge.cause not in index:
                raise InvalidInputError(f"{edge!r} has an end that is no node of the graph")
            causes[edge.effect].append(edge)
            effects[edge.cause].append(edge)
        # Frozen for everyone else; plain dicts, so that asking for a node adds nothing.
        object.__setattr__(self, "nodes", tuple(index[name] for name in sorted(index)))
        object.__setattr__(self, "edges", tuple(edges))
        object.__setattr__(self, "_index", index)
        object.__setattr__(self, "_causes", dict(causes))
        object.__setattr__(self, "_effects", dict(effects))

    def __repr__(self) -> str:
        return f"LineageGraph({len(self.nodes)} nodes, {len(self.edges)} edges)"

    def __str__(self) -> str:
        return printed(self.lines())

    def __contains__(self, node: object) -> bool:
        return node in self._index

    def __len__(self) -> int:
        return len(self.nodes)

    def node(self, name: str) -> Node:
        """Return the node with the id *name*.

        Raises:
            NotFoundError: There is none.
        """
        try:
            return self._index[name]
        except KeyError:
            raise NotFoundError(f"there is no {name!r} in this lineage") from None

    def of_kind(self, *kinds: Kind) -> Iterator[Node]:
        """Yield the nodes of some kinds."""
        return (node for node in self.nodes if node.kind in kinds)

    def causes(self, node: str) -> list[Edge]:
        """The edges from *node* to its causes."""
        return self._causes.get(node, [])

    def effects(self, node: str) -> list[Edge]:
        """The edges to *node* from its effects."""
        return self._effects.get(node, [])

    def up(self, node: str) -> Iterator[str]:
        """Yield the causes of *node*, one step away."""
        return map(attrgetter("cause"), self._causes.get(node, ()))

    def down(self, node: str) -> Iterator[str]:
        """Yield the effects of *node*, one step away."""
        return map(attrgetter("effect"), self._effects.get(node, ()))

    @property
    def warnings(self) -> list[str]:
        """What is wrong with nodes, and what to do about it."""
        return [str(node.attributes["warning"]) for node in self.nodes if _warns(node)]

    def trace(
        self,
        node: str,
        direction: str = "up",
        depth: int | None = None,
        kinds: Iterable[str] | None = None,
    ) -> LineageGraph:
        """Return what *node* came from, what came from it, or both.

        Args:
            node: Its id.
            direction: ``up`` to causes, ``down`` to effects, ``both`` for each on its own.
            depth: Edges to go at most, those of hidden kinds included; None for no end.
            kinds: Which kinds to show, None for all.  *node* is shown whatever it is.  Where one
                shown node lies behind another through hidden ones alone, an edge
                ``wasInfluencedBy`` says so.

        Raises:
            NotFoundError: There is no such node.
            InvalidInputError: There is no such direction, kind or depth.
        """
        if direction not in _DIRECTIONS:
            raise InvalidInputError(f"direction is {direction!r}; give one of {_DIRECTIONS}")
        if depth is not None and depth < 0:
            raise InvalidInputError(f"depth is {depth}; give 0 or more, or None for no end")
        self.node(node)
        found: set[str] = set()
        if direction != "down":
            found.update(reach([node], self.up, depth))
        if direction != "up":
            found.update(reach([node], self.down, depth))
        traced = self.subgraph(found)
        return traced if kinds is None else traced.showing(kinds, node)

    def subgraph(self, names: Collection[str]) -> LineageGraph:
        """Return the nodes *names* with the edges between them."""
        return LineageGraph(
            tuple(self._index[name] for name in names),
            tuple(
                edge for name in names for edge in self._causes.get(name, ()) if edge.cause in names
            ),
        )

    def showing(self, kinds: Iterable[str], *always: str) -> LineageGraph:
        """Return the nodes of *kinds* and those called *always*; see `trace`.

        Raises:
            InvalidInputError: There is no such kind.
        """
        try:
            shown = {Kind(kind) for kind in kinds}
        except ValueError as cause:
            known = ", ".join(Kind)
            raise InvalidInputError(f"{cause}; kinds are {known}") from cause
        kept = {node.id for node in self.nodes if node.kind in shown} | set(always)
        inner = self.subgraph(kept)
        behind: dict[tuple[str, str], Edge] = {}
        for known in _SURE:
            for ends in self._behind(kept, known):
                since = max(self._index[end].since for end in ends)
                edge = Edge(ends[0], Verb.WAS_INFLUENCED_BY, ends[1], known, since)
                behind.setdefault(ends, edge)
        return LineageGraph(inner.nodes, (*inner.edges, *behind.values()))

    def _behind(self, kept: Collection[str], known: Known) -> Iterator[tuple[str, str]]:
        """Find what lies behind what, along edges that are at least as sure as *known*."""
        sure = _SURE[: _SURE.index(known) + 1]

        def causes(node: str) -> Iterator[str]:
            return (edge.cause for edge in self._causes.get(node, ()) if edge.known in sure)

        def effects(node: str) -> Iterator[str]:
            return (edge.effect for edge in self._effects.get(node, ()) if edge.known in sure)

        return contract(kept, causes, effects)

    def as_of(self, time: int) -> LineageGraph:
        """Return the graph as it was *time* milliseconds after 1970.

        What nobody noted a time of is taken to have been there always; aliases, of which MLflow
        keeps only the present, are left out.
        """
        time = min(time, PRESENT - 1)
        kept = {node.id for node in self.nodes if node.since <= time}
        edges = (edge for edge in self.edges if edge.since <= time)
        return LineageGraph(
            tuple(self._index[name] for name in kept),
            tuple(edge for edge in edges if edge.effect in kept and edge.cause in kept),
        )

    def known_from(self, *known: Known) -> LineageGraph:
        """Return the graph with only those edges that are known from somewhere in *known*."""
        return LineageGraph(self.nodes, tuple(edge for edge in self.edges if edge.known in known))

    def to_dict(self) -> dict[str, Any]:
        """This graph as plain values."""
        return {
            "nodes": [node.to_dict() for node in self.nodes],
            "edges": [edge.to_dict() for edge in self.edges],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LineageGraph:
        """Undo `to_dict`.

        Raises:
            InvalidInputError: *values* are no graph.
        """
        try:
            return cls(
                tuple(_node_of(node) for node in values["nodes"]),
                tuple(_edge_of(edge) for edge in values["edges"]),
            )
        except (AttributeError, LookupError, TypeError, ValueError) as cause:
            raise InvalidInputError(f"this is no lineage: {cause}") from cause

    def lines(self) -> list[str]:
        """This graph for a terminal."""
        return lines_of(self)

    def _repr_html_(self) -> str:
        return html_of(self)

    def to_pandas(self) -> Frames:
        """Return the data frames ``nodes`` and ``edges``.  Needs pandas."""
        return frames_of(self)

    def to_networkx(self) -> Any:
        """Return a ``networkx.MultiDiGraph``.  Needs the extra ``networkx``."""
        return networkx_of(self)

    def to_mermaid(self) -> str:
        """Return a flowchart of Mermaid, which GitHub and notebooks draw."""
        return mermaid_of(self)

    def to_dot(self) -> str:
        """Return a graph for Graphviz."""
        return dot_of(self)

    def to_openlineage(self, namespace: str = "mlflow") -> list[dict[str, Any]]:
        """Return run events of OpenLineage 2-0-2, oldest first.

        Args:
            namespace: Of jobs and datasets, such as the URI of the tracking server.
        """
        return events_of(self, namespace)


def _warns(node: Node) -> bool:
    return "warning" in node.attributes


def _node_of(values: Mapping[str, Any]) -> Node:
    return Node(
        id=str(values["id"]),
        kind=Kind(values["kind"]),
        label=str(values["label"]),
        held=bool(values["held"]),
        since=_since_in(values["since"]),
        attributes=dict(values["attributes"]),
    )


def _edge_of(values: Mapping[str, Any]) -> Edge:
    return Edge(
        effect=str(values["effect"]),
        verb=Verb(values["verb"]),
        cause=str(values["cause"]),
        known=Known(values["known"]),
        since=_since_in(values["since"]),
        attributes=dict(values["attributes"]),
    )


def _since_in(value: int | None) -> int:
    return PRESENT if value is None else int(value)
