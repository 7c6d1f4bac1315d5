"""The commands that say how versions came about, and what differs between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.cli.answer import Answer
from mlflow_vault.cli.versions import vault_for

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from mlflow_vault.decide.lineage.graph import LineageGraph


def diff(arguments: Namespace) -> Answer:
    """Say what differs between two versions."""
    found = vault_for(arguments).diff(arguments.reference, arguments.after)
    return Answer(found.to_dict(), found.lines())


def lineage(arguments: Namespace) -> Answer:
    """Show what something came from and what came from it."""
    found = vault_for(arguments).lineage(
        arguments.reference,
        direction=arguments.direction,
        depth=arguments.depth,
        kinds=arguments.kinds,
        as_of=arguments.as_of,
    )
    return Answer(found.to_dict(), _FORMATS[arguments.format](found))


def origin(arguments: Namespace) -> Answer:
    """Say what something was made from, near or far."""
    found = vault_for(arguments).origin(arguments.reference, as_of=arguments.as_of)
    return Answer(found.to_dict(), found.lines())


def impact(arguments: Namespace) -> Answer:
    """Say what a dataset reached, and what to roll back to."""
    found = vault_for(arguments).impact(arguments.reference, as_of=arguments.as_of)
    return Answer(found.to_dict(), found.lines())


def timeline(arguments: Namespace) -> Answer:
    """Say what happened to a registered model, in order."""
    vault = vault_for(arguments, f"models:/{arguments.name}/latest")
    found = vault.timeline(arguments.name, as_of=arguments.as_of)
    values = {"name": arguments.name, "events": [event.to_dict() for event in found]}
    return Answer(values, [str(event) for event in found])


def _text(graph: LineageGraph) -> list[str]:
    return graph.lines()


def _mermaid(graph: LineageGraph) -> list[str]:
    return graph.to_mermaid().splitlines()


def _dot(graph: LineageGraph) -> list[str]:
    return graph.to_dot().splitlines()


_FORMATS: Final[dict[str, Callable[[LineageGraph], list[str]]]] = {
    "text": _text,
    "mermaid": _mermaid,
    "dot": _dot,
}
