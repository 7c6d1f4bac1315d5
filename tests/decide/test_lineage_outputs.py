"""Every form of a lineage can be read again by the tools that it is for, whatever names are."""

from __future__ import annotations

import json
import re
import sys
import uuid
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import jsonschema  # type: ignore[import-untyped]
import networkx as nx  # type: ignore[import-untyped]
import pydot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_vault.decide.lineage.ancestry import Shared
from mlflow_vault.decide.lineage.build import build
from mlflow_vault.decide.lineage.elements import PRESENT, Edge, Kind, Known, Node, Verb
from mlflow_vault.decide.lineage.graph import LineageGraph
from mlflow_vault.decide.lineage.outputs.text import encodable
from mlflow_vault.errors import UnsupportedError
from mlflow_vault.format.version import Origin
from mlflow_vault.govern.host import Held
from mlflow_vault.testing.histories import (
    DAY,
    HOSTILE,
    History,
    content,
    dataset,
    histories,
    version,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA: Final = json.loads(
    (Path(__file__).parents[1] / "golden" / "openlineage" / "run-event-2-0-2.json").read_text()
)
checked = jsonschema.Draft202012Validator(SCHEMA)
PLAIN_LABEL: Final = re.compile(r"(?:[^\W]|[ _\-./:@,()+=�]|#[0-9]+;)*")
NODE: Final = re.compile(r'    (n[0-9]+)[\[({]+"([^"]*)"[\])}]+(:::foreign)?')
EDGE: Final = re.compile(r'    (n[0-9]+) -->\|"([^"]*)"\| (n[0-9]+)')
# pydot speaks to pyparsing in words that the newest one has other ones for.
reads_dot = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
names = st.sampled_from(HOSTILE) | st.text(max_size=12)


@st.composite
def graphs(draw: st.DrawFn) -> LineageGraph:
    """Graphs of all kinds of nodes and verbs, with hostile names."""
    kinds = draw(st.lists(st.sampled_from(list(Kind)), min_size=1, max_size=6))
    nodes = [
        Node(
            f"{kind.value}:{number}{draw(names)}",
            kind,
            draw(names),
            draw(st.booleans()),
            draw(st.sampled_from([0, 1, DAY, PRESENT, 10**17])),
            {"experiment": draw(names), "url": draw(names), "commit": draw(names), "end": 5},
        )
        for number, kind in enumerate(kinds)
    ]
    ends = st.sampled_from([node.id for node in nodes])
    edges = draw(
        st.lists(
            st.builds(Edge, ends, st.sampled_from(list(Verb)), ends, st.sampled_from(list(Known))),
            max_size=8,
        )
    )
    return LineageGraph(tuple(nodes), tuple(edges))


def told() -> LineageGraph:
    """A lineage with something of everything."""
    facts = {
        "run": {
            "id": "0af7" * 8,
            "name": "fit",
            "experiment": "churn",
            "start": DAY,
            "end": 2 * DAY,
            "status": "FINISHED",
            "parent": "ffff" * 8,
            "user": "bob",
        },
        "model": {"id": "m-1", "name": "clf", "created": DAY + 9},
        "git": {"commit": "ab12", "branch": "main", "url": "git@example.org:team/churn.git"},
        "datasets": [dataset(1, "train")],
        "evaluations": [{"run_id": "0af7" * 8, "model_id": "m-1", "dataset": dataset(2, "test")}],
    }
    made_by = Origin("", "", "m-1", "0af7" * 8)
    one = version("fraud", 1, seed=1, created=3 * DAY, origin=made_by, facts=facts)
    two = version("fraud", 2, seed=2, created=4 * DAY, parents=(content(1),))
    held = Held("models:/fraud/1", "", "fraud", 1, digest=str(content(1)), aliases=("champion",))
    shared = Shared(str(content(2)), str(content(1)), 4 * DAY, 0.94, 0.02)
    return build([one, two], [held], [shared])


def check_event(event: dict[str, Any]) -> None:
    """Fail if *event* is no run event: its shape, and the formats that a shape does not check."""
    checked.validate(event)
    uuid.UUID(event["run"]["runId"])
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    for uri in uris(event):
        assert urlsplit(uri).scheme
        assert uri.isascii()
        assert " " not in uri
    json.dumps(event, ensure_ascii=False).encode()


def uris(value: Any) -> Iterator[str]:
    """Yield whatever a schema calls a URI."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in {"producer", "schemaURL", "_producer", "_schemaURL", "url"}:
                yield inner
            else:
                yield from uris(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from uris(inner)


@given(graph=graphs())
def test_plain_values(graph: LineageGraph) -> None:
    """A graph comes back from JSON as it was."""
    spelled = json.dumps(graph.to_dict())

    assert LineageGraph.from_dict(json.loads(spelled)) == graph


@given(graph=graphs())
def test_networkx(graph: LineageGraph) -> None:
    """In networkx there are the same nodes and edges, with all that is known of them."""
    made = graph.to_networkx()

    back = LineageGraph.from_dict(
        {
            "nodes": [{"id": name, **values} for name, values in made.nodes(data=True)],
            "edges": [
                {"effect": effect, "cause": cause, **values}
                for effect, cause, values in made.edges(data=True)
            ],
        }
    )
    assert back == graph
    for node in graph.nodes:
        up = {other.id for other in graph.trace(node.id, "up").nodes}
        assert nx.descendants(made, node.id) | {node.id} == up


@settings(max_examples=30)
@given(graph=graphs())
def test_pandas(graph: LineageGraph) -> None:
    """Frames have a row for each node and edge, and times where there are any."""
    frames = graph.to_pandas()

    assert list(frames.nodes["id"]) == [encodable(node.id) for node in graph.nodes]
    assert list(frames.edges["cause"]) == [encodable(edge.cause) for edge in graph.edges]
    assert str(frames.nodes["since"].dtype).startswith("datetime64")
    known = {encodable(node.id) for node in graph.nodes if node.since in {1, DAY}}
    assert set(frames.nodes.dropna(subset=["since"])["id"]) == known


@reads_dot
def test_empty() -> None:
    """Nothing has every form too."""
    graph = LineageGraph()

    assert list(graph.to_pandas().edges.columns) == [
        "effect",
        "verb",
        "cause",
        "known",
        "since",
        "attributes",
    ]
    assert graph.to_openlineage() == []
    assert graph.to_networkx().number_of_nodes() == 0
    assert graph.to_mermaid().startswith("flowchart LR\n")
    assert pydot.graph_from_dot_data(graph.to_dot())


@reads_dot
@settings(max_examples=50)
@given(graph=graphs())
def test_dot(graph: LineageGraph) -> None:
    """A parser of DOT finds the same nodes and edges, and labels that say the names."""
    (parsed,) = pydot.graph_from_dot_data(graph.to_dot()) or [pydot.Dot()]

    index = {node.id: f"n{number}" for number, node in enumerate(graph.nodes)}
    assert {node.get_name() for node in parsed.get_nodes()} == set(index.values())
    found = [(edge.get_source(), edge.get_destination()) for edge in parsed.get_edges()]
    assert sorted(found) == sorted((index[edge.effect], index[edge.cause]) for edge in graph.edges)
    labels = {node.get_name(): str(node.get("label")) for node in parsed.get_nodes()}
    for node in graph.nodes:
        read = re.sub(r"\\(.)", r"\1", labels[index[node.id]][1:-1])
        shown = "".join(one if one.isprintable() else "�" for one in node.label)
        assert read == f"{node.kind.value.replace('_', ' ')}: {shown}"


@given(graph=graphs())
def test_mermaid(graph: LineageGraph) -> None:
    """Every line of a flowchart is a node or an edge, and no label has a sign that means anything.

    Ids are unique, and every edge is between two of them.
    """
    first, style, *lines = graph.to_mermaid().removesuffix("\n").split("\n")

    assert (first, style.split()[:2]) == ("flowchart LR", ["classDef", "foreign"])
    nodes = [NODE.fullmatch(line) for line in lines[: len(graph.nodes)]]
    edges = [EDGE.fullmatch(line) for line in lines[len(graph.nodes) :]]
    ids = [found[1] for found in nodes if found]
    assert len(ids) == len(set(ids)) == len(graph.nodes)
    ends = [(found[1], found[3]) for found in edges if found]
    assert len(ends) == len(graph.edges)
    assert {end for pair in ends for end in pair} <= set(ids)
    for found in (*nodes, *edges):
        assert found
        assert PLAIN_LABEL.fullmatch(found[2])


@settings(max_examples=50)
@given(graph=graphs() | histories().map(History.versions).map(build), namespace=names)
def test_openlineage(graph: LineageGraph, namespace: str) -> None:
    """Every event is valid, and the order is that of time, starts first."""
    events = graph.to_openlineage(namespace)

    for event in events:
        check_event(event)
    order = [(event["eventTime"], event["eventType"] != "START") for event in events]
    assert order == sorted(order)


def test_openlineage_story() -> None:
    """Runs, evaluations and derivations are runs there; data, models and versions are datasets."""
    events = told().to_openlineage("https://mlflow.example.org")

    story = [
        (
            event["eventType"],
            event["job"]["name"],
            [one["facets"]["mlflowVault"]["label"] for one in event["inputs"]],
            [one["facets"]["mlflowVault"]["label"] for one in event["outputs"]],
        )
        for event in events
    ]
    files = {number: str(content(number))[:15] for number in (1, 2)}
    assert ("START", "churn", ["train"], []) in story
    assert ("COMPLETE", "churn", ["train"], ["clf"]) in story
    assert ("COMPLETE", "vault artifact", ["clf"], [files[1]]) in story
    assert ("COMPLETE", "vault version", [files[1]], ["fraud/1"]) in story
    assert ("COMPLETE", "vault artifact", ["fraud/1"], [files[2]]) in story
    assert ("COMPLETE", "vault alias", ["fraud/1"], ["fraud@champion"]) in story
    assert ("COMPLETE", "evaluation", ["test", "clf"], []) in story
    run = next(event for event in events if event["job"]["name"] == "churn")
    assert run["run"]["runId"] == str(uuid.UUID("0af7" * 8))
    assert run["run"]["facets"]["parent"]["run"]["runId"] == str(uuid.UUID("ffff" * 8))
    location = run["job"]["facets"]["sourceCodeLocation"]
    assert location["url"] == "ssh://git@example.org/team/churn.git"
    assert location["version"] == "ab12"
    (train,) = run["inputs"]
    assert train["facets"]["version"]["datasetVersion"] == dataset(1)["b3"]
    for event in events:
        check_event(event)


def test_schema_refuses() -> None:
    """The schema that events are checked against refuses what OpenLineage's own refuses."""
    good = told().to_openlineage()[0]
    checked.validate(good)

    for broken in (
        {name: value for name, value in good.items() if name != "run"},
        good | {"eventType": "DONE"},
        good | {"job": {"name": "x"}},
        good | {"inputs": [{"namespace": "n", "name": "x", "facets": {"f": {}}}]},
        good | {"run": {"runId": good["run"]["runId"], "facets": {"parent": {}}}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            checked.validate(broken)


def test_terminal_and_notebook() -> None:
    """Lines and tables say who came from whom, and how that is known."""
    graph = told()

    files = str(content(2))[:15]
    assert f"{files} wasDerivedFrom version fraud/1 [declared]" in graph.lines()
    known = f"{files} wasDerivedFrom version fraud/1 [content 94%, 2% changed a little]"
    assert known in str(graph)
    assert "<td>fraud/1</td>" in graph._repr_html_()
    assert repr(graph) == f"LineageGraph({len(graph.nodes)} nodes, {len(graph.edges)} edges)"


def test_very_many_lines() -> None:
    """Of a graph that nobody can read to its end, a terminal and a notebook get the beginning."""
    many = LineageGraph(tuple(Node(f"run:{n}", Kind.RUN, str(n)) for n in range(1000)))

    assert str(many).endswith("\n... and 800 more lines")
    assert len(many.lines()) == 1000
    assert len(many._repr_html_()) < 50_000


@pytest.mark.parametrize(
    ("package", "method"), [("pandas", "to_pandas"), ("networkx", "to_networkx")]
)
def test_without_packages(package: str, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs a package that is not installed says which."""
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(UnsupportedError, match=package):
        getattr(told(), method)()
