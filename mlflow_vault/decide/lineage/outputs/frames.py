"""Lineages for pandas and networkx, which are imported when they are asked for.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mlflow_vault.decide.lineage.outputs.text import encodable, moment_of
from mlflow_vault.errors import UnsupportedError

if TYPE_CHECKING:
    import pandas as pd

    from mlflow_vault.decide.lineage.graph import LineageGraph


class Frames(NamedTuple):
    """A lineage as two data frames.

    Attributes:
        nodes: ``id, kind, label, held, since, attributes``.
        edges: ``effect, verb, cause, known, since, attributes``.
    """

    nodes: pd.DataFrame
    edges: pd.DataFrame


def frames_of(graph: LineageGraph) -> Frames:
    """Return *graph* as data frames; times are UTC, `NaT` where unknown or the present.

    Raises:
        UnsupportedError: pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - optional: comes with mlflow, not with mlflow-skinny
    except ImportError as cause:
        raise UnsupportedError("to_pandas needs pandas: install it, or use to_dict") from cause

    def frame(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
        made = pd.DataFrame([_encodable(row) for row in rows], columns=columns)
        moments = [moment_of(row["since"] or 0) for row in rows]
        made["since"] = pd.to_datetime(pd.Series(moments, dtype=object), utc=True, errors="coerce")
        return made

    return Frames(
        frame(
            [node.to_dict() for node in graph.nodes],
            ["id", "kind", "label", "held", "since", "attributes"],
        ),
        frame(
            [edge.to_dict() for edge in graph.edges],
            ["effect", "verb", "cause", "known", "since", "attributes"],
        ),
    )


def _encodable(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: encodable(value) if isinstance(value, str) else value for name, value in row.items()
    }


def networkx_of(graph: LineageGraph) -> Any:
    """Return *graph* as a ``networkx.MultiDiGraph``, each edge keyed by its verb and source.

    Raises:
        UnsupportedError: networkx is not installed.
    """
    try:
        import networkx as nx  # type: ignore[import-untyped] # noqa: PLC0415 - extra: networkx
    except ImportError as cause:
        raise UnsupportedError(
            "to_networkx needs networkx: pip install 'mlflow-vault[networkx]'"
        ) from cause
    made = nx.MultiDiGraph()
    for node in graph.nodes:
        values = node.to_dict()
        made.add_node(values.pop("id"), **values)
    for edge in graph.edges:
        values = edge.to_dict()
        ends = values.pop("effect"), values.pop("cause")
        made.add_edge(*ends, key=f"{edge.verb.value}/{edge.known.value}", **values)
    return made
