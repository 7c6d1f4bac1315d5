"""What a bad dataset reached, and what to go back to.

What was told - by MLflow, or by whoever declared parents - is certain.  What only shared bytes
point to is suspected: two models fine-tuned from a third share as much as one made from the other.
A rollback goes back to what is neither.

An evaluation that used the data is reached, the model that it judged is not: its bytes are good,
only what is said of them is in doubt.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.lineage.elements import Kind, Known, Node
from mlflow_vault.decide.lineage.outputs.text import plain, printed, table_of
from mlflow_vault.decide.lineage.walking import reach
from mlflow_vault.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mlflow_vault.decide.lineage.graph import LineageGraph

_TOLD: Final = (Known.MLFLOW, Known.DECLARED)


@dataclass(frozen=True, slots=True)
class Reached:
    """Something that a dataset reached.

    Attributes:
        node: What.
        through: Id of the next node on a shortest way to the dataset.
        is_certain: Whether every step of a way was told; if not, shared bytes are a sign of it.
    """

    node: Node
    through: str
    is_certain: bool

    def to_dict(self) -> dict[str, Any]:
        """This as plain values."""
        return {
            "node": self.node.to_dict(),
            "through": self.through,
            "is_certain": self.is_certain,
        }


@dataclass(frozen=True, slots=True)
class Rollback:
    """What a name or an alias should go back to.

    Attributes:
        name: The registered model.
        alias: Its alias; empty for the registered model itself.
        current: What it stands for now: for a model its last version.
        target: The last version that the dataset did not reach, one that the vault holds before
            one that it does not; None if it reached all.
        is_needed: Whether it reached *current*.
    """

    name: str
    alias: str
    current: Node
    target: Node | None
    is_needed: bool

    def __str__(self) -> str:
        what = plain(f"{self.name}@{self.alias}" if self.alias else self.name)
        if not self.is_needed:
            return f"{what}: {plain(self.current.label)} is free of it"
        if self.target is None:
            return f"{what}: no version is free of it; withdraw {plain(self.current.label)}"
        return f"{what}: {plain(self.current.label)} -> {plain(self.target.label)}"

    def to_dict(self) -> dict[str, Any]:
        """This rollback as plain values."""
        return {
            "name": self.name,
            "alias": self.alias,
            "current": self.current.to_dict(),
            "target": self.target.to_dict() if self.target else None,
            "is_needed": self.is_needed,
        }


@dataclass(frozen=True, slots=True)
class Impact:
    """Everything that a dataset reached.

    Attributes:
        dataset: Which.
        reached: Nearest first; certain before suspected.
        rollback: One for each registered model and each alias that it reached, by name.
    """

    dataset: Node
    reached: tuple[Reached, ...]
    rollback: tuple[Rollback, ...]

    def __repr__(self) -> str:
        return (
            f"Impact({self.dataset.label!r}: {len(self.versions)} versions, "
            f"{len(self.aliases)} aliases, {len(self.deployments)} deployments, "
            f"{len(self.suspected)} suspected)"
        )

    def __str__(self) -> str:
        return printed(self.lines())

    @property
    def versions(self) -> tuple[Node, ...]:
        """The versions that it certainly reached, oldest first."""
        return self._certain(Kind.VERSION)

    @property
    def aliases(self) -> tuple[Node, ...]:
        """The aliases that it certainly reached."""
        return self._certain(Kind.ALIAS)

    @property
    def deployments(self) -> tuple[Node, ...]:
        """The deployments that it certainly reached."""
        return self._certain(Kind.DEPLOYMENT)

    @property
    def evaluations(self) -> tuple[Node, ...]:
        """The evaluations that used it, or something that it reached."""
        return self._certain(Kind.EVALUATION)

    @property
    def suspected(self) -> tuple[Node, ...]:
        """The versions that only shared bytes point to, oldest first."""
        return _sorted(
            one.node for one in self.reached if one.node.kind is Kind.VERSION and not one.is_certain
        )

    def way(self, node: str) -> tuple[str, ...]:
        """Return a shortest way from what has the id *node* to the dataset, both included.

        Raises:
            NotFoundError: The dataset did not reach it.
        """
        through = {one.node.id: one.through for one in self.reached}
        way = [node]
        while way[-1] != self.dataset.id:
            if way[-1] not in through:
                raise NotFoundError(f"{self.dataset.id} did not reach {node!r}")
            way.append(through[way[-1]])
        return tuple(way)

    def to_dict(self) -> dict[str, Any]:
        """This impact as plain values."""
        return {
            "dataset": self.dataset.to_dict(),
            "versions": [node.to_dict() for node in self.versions],
            "aliases": [node.to_dict() for node in self.aliases],
            "deployments": [node.to_dict() for node in self.deployments],
            "evaluations": [node.to_dict() for node in self.evaluations],
            "suspected": [node.to_dict() for node in self.suspected],
            "reached": [one.to_dict() for one in self.reached],
            "rollback": [one.to_dict() for one in self.rollback],
        }

    def lines(self) -> list[str]:
        """This impact for a terminal."""
        lines = [f"{plain(self.dataset.label)} ({self.dataset.id}) reached"]
        named = {
            "versions": self.versions,
            "aliases": self.aliases,
            "deployments": self.deployments,
            "evaluations": self.evaluations,
            "suspected": self.suspected,
        }
        lines += [
            f"  {what}: {', '.join(plain(node.label) for node in nodes)}"
            for what, nodes in named.items()
            if nodes
        ]
        if len(lines) == 1:
            lines.append("  nothing that is known")
        lines += [f"  roll back {one}" for one in self.rollback if one.is_needed]
        warning = self.dataset.attributes.get("warning")
        return [*lines, *([f"  warning: {plain(str(warning))}"] if warning else [])]

    def _repr_html_(self) -> str:
        rows = [
            (
                one.node.kind.value,
                one.node.label,
                "certain" if one.is_certain else "suspected",
                "held" if one.node.held else "not held",
                one.through,
            )
            for one in self.reached
        ]
        titles = ("kind", "name", "how sure", "in the vault", "through")
        plan = [(str(one),) for one in self.rollback]
        return table_of(repr(self), titles, rows) + table_of("", ("roll back",), plan)

    def _certain(self, kind: Kind) -> tuple[Node, ...]:
        return _sorted(one.node for one in self.reached if one.node.kind is kind and one.is_certain)


def impact(graph: LineageGraph, dataset: str) -> Impact:
    """Find what the dataset with the id *dataset* reached; any other node may be asked for too.

    Raises:
        NotFoundError: There is no such node.
    """
    start = graph.node(dataset)

    def told(node: str) -> Iterator[str]:
        return (edge.effect for edge in graph.effects(node) if edge.known in _TOLD)

    certain = reach([dataset], told)
    anyhow = reach([dataset], graph.down)
    reached = [
        Reached(graph.node(name), through, is_certain=True)
        for name, through in certain.items()
        if name != dataset
    ]
    reached += [
        Reached(graph.node(name), through, is_certain=False)
        for name, through in anyhow.items()
        if name not in certain
    ]
    return Impact(start, tuple(reached), tuple(_plan(graph, anyhow)))


def _plan(graph: LineageGraph, reached: Mapping[str, str]) -> Iterable[Rollback]:
    names = _by_name(graph.of_kind(Kind.VERSION))
    aliases = _by_name(node for node in graph.of_kind(Kind.ALIAS) if node.id in reached)
    plans = []
    for name, versions in names.items():
        if not name or not any(node.id in reached for node in versions):
            continue
        ordered = sorted(versions, key=_age)
        clean = [node for node in ordered if node.id not in reached]
        target = next((node for node in reversed(clean) if node.held), clean[-1] if clean else None)
        last = ordered[-1]
        plans.append(Rollback(name, "", last, target, last.id in reached))
        for alias in aliases.get(name, ()):
            current = graph.node(next(one for one in graph.up(alias.id) if one in reached))
            called = str(alias.attributes.get("alias", ""))
            plans.append(Rollback(name, called, current, target, is_needed=True))
    return sorted(plans, key=lambda plan: (plan.name, plan.alias))


def _by_name(nodes: Iterable[Node]) -> dict[str, list[Node]]:
    """Sort *nodes* by the registered model that they are of."""
    named: dict[str, list[Node]] = {}
    for node in nodes:
        named.setdefault(str(node.attributes.get("name", "")), []).append(node)
    return named


def _age(node: Node) -> tuple[int, int, str]:
    number = node.attributes.get("number")
    return node.since, number if isinstance(number, int) else 0, node.id


def _sorted(nodes: Iterable[Node]) -> tuple[Node, ...]:
    return tuple(sorted(nodes, key=_age))
