"""What is asked of a lineage: which node is meant, where it came from, what happened when.

Pure: no I/O.  `impact` asks the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.lineage.elements import (
    PRESENT,
    Kind,
    Node,
    artifact_id,
    model_id,
    run_id,
    since_out,
)
from mlflow_vault.decide.lineage.outputs.text import plain, printed, table_of, time_text
from mlflow_vault.decide.lineage.walking import reach
from mlflow_vault.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.decide.lineage.graph import LineageGraph

_SHOWN: Final = 5  # candidates that an error names


@dataclass(frozen=True, slots=True)
class Origins:
    """What something was made from, near or far.

    Attributes:
        node: What.
        datasets: Sorted by time, as all that follow.
        code: Commits of code.
        environments: Software.
        runs: The runs that made it and what it was made from.
        models: The logged models and foreign versions that it was made from.
        people: Who started those runs and committed those versions.
        warnings: What makes this unsure, and what to do about it.
    """

    node: Node
    datasets: tuple[Node, ...]
    code: tuple[Node, ...]
    environments: tuple[Node, ...]
    runs: tuple[Node, ...]
    models: tuple[Node, ...]
    people: tuple[Node, ...]
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return (
            f"Origins({self.node.label!r}: {len(self.datasets)} datasets, "
            f"{len(self.runs)} runs, {len(self.code)} commits)"
        )

    def __str__(self) -> str:
        return printed(self.lines())

    def to_dict(self) -> dict[str, Any]:
        """These origins as plain values."""
        values: dict[str, Any] = {"node": self.node.to_dict()}
        for what, nodes in self._named():
            values[what] = [node.to_dict() for node in nodes]
        return {**values, "warnings": list(self.warnings)}

    def lines(self) -> list[str]:
        """These origins for a terminal."""
        lines = [f"{plain(self.node.label)} was made from"]
        lines += [
            f"  {what}: {', '.join(plain(node.label) for node in nodes)}"
            for what, nodes in self._named()
            if nodes
        ]
        if len(lines) == 1:
            lines.append("  nothing that is known")
        return [*lines, *(f"  warning: {plain(warning)}" for warning in self.warnings)]

    def _repr_html_(self) -> str:
        rows = [
            (what, node.label, "held" if node.held else "not held", node.id)
            for what, nodes in self._named()
            for node in nodes
        ]
        return table_of(repr(self), ("what", "name", "in the vault", "id"), rows)

    def _named(self) -> Iterator[tuple[str, tuple[Node, ...]]]:
        yield "datasets", self.datasets
        yield "code", self.code
        yield "environments", self.environments
        yield "runs", self.runs
        yield "models", self.models
        yield "people", self.people


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a registered model.

    Attributes:
        time: Milliseconds since 1970; None if nobody noted when: it holds now.
        what: ``run started``, ``run finished``, ``model logged``, ``version committed``,
            ``version registered``, ``evaluated``, ``alias``.
        node: What it happened to.
        version: The version that it belongs to.
    """

    time: int | None
    what: str
    node: Node
    version: Node

    def __str__(self) -> str:
        about = plain(self.version.label)
        name = plain(self.node.label)
        end = "" if self.node.id == self.version.id else f" {name}"
        return f"{time_text(self.time)}  {about}: {self.what}{end}"

    def to_dict(self) -> dict[str, Any]:
        """This event as plain values."""
        return {
            "time": self.time,
            "what": self.what,
            "node": self.node.to_dict(),
            "version": self.version.to_dict(),
        }


def find(graph: LineageGraph, reference: str, *kinds: Kind) -> Node:
    """Return the node that *reference* means, among *kinds* if any are given.

    Args:
        graph: Where to look.
        reference: The id of a node, ``b3:...`` of files or of a dataset, ``models:/name/3``,
            ``models:/name@alias``, ``models:/m-...``, ``runs:/<run>``, or a name that only one
            node has: of a dataset also its digest of MLflow's or ``name@digest``.
        kinds: Empty for all.

    Raises:
        NotFoundError: Nothing is called so.
        InvalidInputError: Several are; the message names them.
    """
    candidates = [name for name in _spelled(reference) if name in graph]
    nodes = [node for node in map(graph.node, candidates) if not kinds or node.kind in kinds]
    if not nodes:
        nodes = [
            node
            for node in graph.nodes
            if (not kinds or node.kind in kinds) and reference in _names(node)
        ]
    if not nodes:
        what = " or ".join(kinds) or "node"
        raise NotFoundError(f"no {what} of this lineage is called {reference!r}")
    if len(nodes) > 1:
        some = ", ".join(node.id for node in nodes[:_SHOWN])
        more = f" and {len(nodes) - _SHOWN} more" if len(nodes) > _SHOWN else ""
        raise InvalidInputError(f"{reference!r} may mean {some}{more}; give one of these ids")
    return nodes[0]


def origin(graph: LineageGraph, node: str) -> Origins:
    """Find all that the node with the id *node* was made from.

    Raises:
        NotFoundError: There is no such node.
    """
    start = graph.node(node)
    found = sorted(
        (graph.node(name) for name in reach([node], graph.up) if name != node),
        key=lambda cause: (cause.since, cause.id),
    )

    def of(*kinds: Kind) -> tuple[Node, ...]:
        return tuple(cause for cause in found if cause.kind in kinds)

    return Origins(
        node=start,
        datasets=of(Kind.DATASET),
        code=of(Kind.COMMIT),
        environments=of(Kind.ENVIRONMENT),
        runs=of(Kind.RUN),
        models=of(Kind.LOGGED_MODEL, Kind.VERSION),
        people=of(Kind.PERSON),
        warnings=tuple(
            str(cause.attributes["warning"])
            for cause in (start, *found)
            if "warning" in cause.attributes
        ),
    )


def timeline(graph: LineageGraph, name: str) -> tuple[Event, ...]:
    """Return what happened to the registered model *name*, in order.

    Raises:
        NotFoundError: There is no version of that name.
    """
    versions = [node for node in graph.of_kind(Kind.VERSION) if node.attributes.get("name") == name]
    if not versions:
        raise NotFoundError(f"this lineage has no version of {name!r}")
    events: dict[tuple[str, str, str], Event] = {}
    for version in versions:
        for event in _events(graph, version):
            events.setdefault((event.what, event.node.id, event.version.id), event)
    return tuple(
        sorted(
            events.values(),
            key=lambda event: (
                PRESENT if event.time is None else event.time,
                _ORDER[event.what],
                event.version.id,
                event.node.id,
            ),
        )
    )


_ORDER: Final = {
    "run started": 0,
    "model logged": 1,
    "evaluated": 2,
    "run finished": 3,
    "version committed": 4,
    "version registered": 5,
    "alias": 6,
}


def _events(graph: LineageGraph, version: Node) -> Iterator[Event]:
    """Yield what happened to *version*, in no order."""
    what = "version committed" if version.held else "version registered"
    yield Event(since_out(version.since), what, version, version)
    for alias in _near(graph.down(version.id), graph, Kind.ALIAS):
        yield Event(since_out(alias.since), "alias", alias, version)
    things = [version, *_near(graph.up(version.id), graph, Kind.ARTIFACT)]
    models = [
        model for thing in things for model in _near(graph.up(thing.id), graph, Kind.LOGGED_MODEL)
    ]
    for model in models:
        yield Event(since_out(model.since), "model logged", model, version)
    for thing in (*things, *models):
        for evaluation in _near(graph.down(thing.id), graph, Kind.EVALUATION):
            yield Event(since_out(evaluation.since), "evaluated", evaluation, version)
        for run in _near(graph.up(thing.id), graph, Kind.RUN):
            yield Event(since_out(run.since), "run started", run, version)
            end = run.attributes.get("end")
            if isinstance(end, int) and end > 0:
                yield Event(end, "run finished", run, version)


def _near(names: Iterator[str], graph: LineageGraph, kind: Kind) -> list[Node]:
    return [node for node in map(graph.node, names) if node.kind is kind]


def _spelled(reference: str) -> Iterator[str]:
    """Yield the ids that *reference* may spell."""
    yield reference
    if reference.startswith("b3:"):
        yield artifact_id(reference)
        yield f"dataset:{reference}"
    for scheme, spell in (("models:/", model_id), ("runs:/", run_id)):
        if reference.startswith(scheme):
            yield spell(reference.removeprefix(scheme).strip("/").partition("/")[0])


def _names(node: Node) -> set[str]:
    """What people may call *node* by."""
    values = node.attributes
    if node.kind is Kind.VERSION:
        label = f"{values.get('name')}/{values.get('number')}"
        return {label, f"models:/{label}", node.label}
    if node.kind is Kind.ALIAS:
        return {node.label, f"models:/{node.label}"}
    if node.kind is Kind.DATASET:
        name, digest = str(values.get("name")), str(values.get("digest"))
        return {name, f"{name}@{digest}", *([digest] if digest else [])}
    return {node.label}
