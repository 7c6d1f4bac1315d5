"""A lineage says what facts say, once, and nothing else."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.decide.lineage.ancestry import Shared
from mlflow_vault.decide.lineage.build import build
from mlflow_vault.decide.lineage.elements import PRESENT, Edge, Kind, Known, Node, Verb
from mlflow_vault.decide.lineage.graph import LineageGraph
from mlflow_vault.decide.lineage.impact import impact
from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.format.version import Origin
from mlflow_vault.testing.histories import (
    DAY,
    Committed,
    History,
    Run,
    content,
    dataset,
    histories,
    version,
)


@dataclass(frozen=True)
class Registered:
    """A model version as MLflow has it."""

    name: str
    number: int
    digest: str = ""
    model_id: str = ""
    run_id: str = ""
    created: int = 0
    author: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def uri(self) -> str:
        """The reference."""
        return f"models:/{self.name}/{self.number}"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["id", "name", "digest", "b3", "run_id", "model_id", "parent", "commit", "python"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
some_facts = st.dictionaries(
    st.sampled_from(
        ["run", "model", "git", "environment", "datasets", "inputs", "outputs", "evaluations"]
    ),
    json_values,
)


def edges(graph: LineageGraph, verb: Verb) -> set[tuple[str, str]]:
    """The ends of all edges with *verb*."""
    return {(edge.effect, edge.cause) for edge in graph.edges if edge.verb is verb}


def test_one_version() -> None:
    """A version leads to its files, model, run, data, code, environment and people."""
    facts = {
        "run": {"id": "r1", "name": "bold", "user": "bob", "start": DAY, "status": "FINISHED"},
        "model": {"id": "m-1", "name": "clf", "created": DAY + 5},
        "git": {"commit": "ab" * 20, "branch": "main", "dirty": True, "url": "https://x/y"},
        "environment": {"python": "3.11.7", "packages": {"numpy": "2.4"}, "cpu": "c"},
        "datasets": [dataset(1, "train")],
        "inputs": [{"model_id": "m-0", "name": "base", "digest": str(content(9))}],
    }
    origin = Origin("models:/m-1", "1/models/m-1/artifacts", "m-1", "r1")
    one = version("fraud", 1, seed=1, created=2 * DAY, origin=origin, facts=facts)

    graph = build([one])

    files, full = f"artifact:{content(1)}", dataset(1)["b3"]
    assert edges(graph, Verb.SPECIALIZATION_OF) == {(f"version:{content(1)}/0001", files)}
    assert edges(graph, Verb.WAS_DERIVED_FROM) == {(files, "model:m-1")}
    assert edges(graph, Verb.WAS_GENERATED_BY) == {("model:m-1", "run:r1")}
    assert edges(graph, Verb.USED) == {
        ("run:r1", f"dataset:{full}"),
        ("run:r1", "model:m-0"),
        ("run:r1", f"artifact:{content(9)}"),
        ("run:r1", f"commit:{'ab' * 20}"),
    }
    assert edges(graph, Verb.WAS_ATTRIBUTED_TO) == {(f"version:{content(1)}/0001", "person:ann")}
    assert {node.id for node in graph.nodes if not node.held} == {
        "model:m-0",
        f"artifact:{content(9)}",
    }
    assert graph.node("model:m-0").label == "base"
    assert not graph.warnings
    told = {edge.cause: edge.attributes for edge in graph.causes("run:r1")}
    assert told[f"commit:{'ab' * 20}"] == {"branch": "main", "dirty": True}
    assert told[f"dataset:{full}"] == {"context": "training"}


def test_same_truncated_digest() -> None:
    """Data that share MLflow's digest are told apart by ours; without it one stands alone."""
    bare = {"name": "data", "digest": "5fe3", "b3": ""}
    nameless = {"name": "data"}
    told = [dataset(1, "data"), dataset(2, "data"), bare, nameless]
    versions = [
        version("a", n + 1, seed=n, created=DAY, facts={"run": {"id": f"r{n}"}, "datasets": [one]})
        for n, one in enumerate([*told, nameless])
    ]

    graph = build(versions)

    ids = {node.id for node in graph.of_kind(Kind.DATASET)}
    assert ids == {
        f"dataset:{dataset(1)['b3']}",
        f"dataset:{dataset(2)['b3']}",
        "dataset:data@5fe3",
        "dataset:data@/r3",
        "dataset:data@/r4",
    }
    assert len(graph.warnings) == 3
    for warning, run in zip(sorted(graph.warnings), ["r2", "r3", "r4"], strict=True):
        assert f"'data' of run {run}" in warning
        assert "log_input" in warning
        assert "autolog" in warning


def test_evaluation_of_known_data() -> None:
    """An evaluation's data, which MLflow tells no digest of ours of, is the run's if so called."""
    facts = {
        "run": {"id": "r1"},
        "datasets": [dataset(1, "test")],
        "evaluations": [
            {"run_id": "r1", "model_id": "m-1", "dataset": {"name": "test", "digest": "5fe3"}},
            {"run_id": "r2", "model_id": "m-1", "metrics": {"f1": 0.5}, "dataset": {}},
        ],
    }

    graph = build([version("a", 1, seed=1, created=DAY, facts=facts)])

    assert [node.id for node in graph.of_kind(Kind.DATASET)] == [f"dataset:{dataset(1)['b3']}"]
    evaluations = list(graph.of_kind(Kind.EVALUATION))
    assert len(evaluations) == 2
    causes = [cause for node in evaluations for cause in graph.up(node.id)]
    assert sorted(causes) == [f"dataset:{dataset(1)['b3']}", *["model:m-1"] * 2, "run:r1", "run:r2"]


def test_nested_runs() -> None:
    """Data reaches the runs below its own and those above it, not those beside it."""
    runs = (
        Run(datasets=frozenset({0})),
        Run(datasets=frozenset({1}), above=0),
        Run(datasets=frozenset({2}), above=0),
    )
    committed = tuple(Committed(model, "a") for model in range(3))

    graph = build(History(runs, (0, 1, 2), committed).versions())

    def reached(number: int) -> set[str]:
        traced = graph.trace(f"dataset:{dataset(number)['b3']}", "down")
        return {node.label for node in traced.of_kind(Kind.VERSION)}

    assert reached(0) == {"a/1", "a/2", "a/3"}
    assert reached(1) == {"a/1", "a/2"}
    assert reached(2) == {"a/1", "a/3"}


def test_runs_that_others_tell_of() -> None:
    """Facts may say of a dataset which other run used it."""
    facts = {"run": {"id": "r1", "parent": "r0"}, "datasets": [dataset(1) | {"run_id": "r0"}]}

    graph = build([version("a", 1, seed=1, created=DAY, facts=facts)])

    name = f"dataset:{dataset(1)['b3']}"
    assert edges(graph, Verb.USED) == {("run:r0", name), ("run:r1", name)}


def test_without_a_run() -> None:
    """What was made outside any run was derived from its data and code itself."""
    facts = {"datasets": [dataset(1)], "git": {"commit": "ab"}, "model": {"id": "m-1"}}

    graph = build([version("a", 1, seed=1, created=DAY, facts=facts)])

    assert edges(graph, Verb.WAS_DERIVED_FROM) == {
        (f"artifact:{content(1)}", "model:m-1"),
        ("model:m-1", f"dataset:{dataset(1)['b3']}"),
        ("model:m-1", "commit:ab"),
    }


def test_run_that_is_gone() -> None:
    """A run that MLflow no longer has is a warning that names it."""
    facts = {"run": {"id": "r1", "status": "gone"}}

    graph = build([version("a", 1, seed=1, created=DAY, facts=facts)])

    assert len(graph.warnings) == 1
    assert "run r1" in graph.warnings[0]


def test_committed_again() -> None:
    """A version that was committed again is one, with all that was told of it and its run."""
    facts = {"run": {"id": "r1", "name": "fit", "status": "FINISHED"}, "datasets": [dataset(1)]}
    first = version("a", 1, seed=1, created=DAY, facts=facts)
    gone = {"run": {"id": "r1", "status": "gone"}}
    again = replace(first, id="ff", created=9 * DAY, parents=(content(2),), facts=gone)

    graph = build([first, again], [Registered("a", 1, str(content(1)), aliases=("live",))])

    (one,) = graph.of_kind(Kind.VERSION)
    assert (one.id, one.since) == (f"version:{content(1)}/ff", DAY)
    assert list(graph.up("alias:a@live")) == [one.id]
    origins = {node.id for node in graph.trace(one.id).nodes}
    assert {f"dataset:{dataset(1)['b3']}", f"artifact:{content(2)}"} <= origins
    assert graph.node("run:r1").label == "fit"
    assert not graph.warnings


def test_parents() -> None:
    """A parent is the version that was meant: one that there was, of the same model before others.

    Files that no version had by then are the parent themselves, and nothing is its own.
    """
    one, copied = version("a", 1, seed=1, created=DAY), version("b", 2, seed=1, created=2 * DAY)
    late = version("a", 3, seed=2, created=9 * DAY)
    parents = (content(1), content(2), content(4))
    child = version("b", 4, seed=4, created=5 * DAY, parents=parents)
    told = {"run": {"id": "r"}, "inputs": [{"digest": str(content(1))}]}
    tuned = version("c", 5, seed=5, created=6 * DAY, facts=told)

    graph = build([one, copied, late, child, tuned])

    assert set(graph.up(f"artifact:{content(4)}")) == {
        f"version:{content(1)}/0002",
        f"artifact:{content(2)}",
    }
    assert set(graph.up("run:r")) == {f"version:{content(1)}/0001", f"version:{content(1)}/0002"}


def test_registered_elsewhere() -> None:
    """What MLflow has and the vault has not is there, not held, with its alias and its model."""
    ours = version("a", 1, seed=1, created=DAY, origin=Origin("", "", "m-1", "r1"))
    held = [
        Registered("a", 1, str(content(1)), aliases=("champion",)),
        Registered("a", 2, model_id="m-2", run_id="r2", created=5 * DAY, author="bob"),
        Registered("b", 1, model_id="m-1", aliases=("odd/@name",)),
    ]
    told = {"models:/a/2": {"run": {"id": "r2"}, "datasets": [dataset(1)]}}

    graph = build([ours], held, told=told)

    assert graph.node("version:models:/a/2").held is False
    assert graph.node("run:r2").held is False
    assert list(graph.up("alias:a@champion")) == [f"version:{content(1)}/0001"]
    assert list(graph.up("alias:b@odd%2F%40name")) == ["version:models:/b/1"]
    assert ("version:models:/b/1", "model:m-1") in edges(graph, Verb.WAS_DERIVED_FROM)
    assert f"dataset:{dataset(1)['b3']}" in graph.trace("version:models:/a/2")
    assert not graph.warnings


@pytest.mark.parametrize("digest", [str(content(2)), "b3:forged"])
def test_registry_that_disagrees(digest: str) -> None:
    """A registry that says that a version is something else is a warning that names both."""
    ours = version("a", 1, seed=1, created=DAY)

    graph = build([ours], [Registered("a", 1, digest, aliases=("champion",))])

    assert list(graph.up("alias:a@champion")) == ["version:models:/a/1"]
    assert digest in graph.warnings[0]
    assert str(content(1)) in graph.warnings[0]


def test_numbers_that_start_again() -> None:
    """After a registered model was deleted, its alias means the version of the same digest."""
    old, new = (
        version("a", 1, seed=seed, created=seed * DAY, origin=Origin("", "", f"m-{seed}", ""))
        for seed in (1, 2)
    )

    by_digest = build([old, new], [Registered("a", 1, str(content(1)), aliases=("x",))])
    by_model = build([old, new], [Registered("a", 1, model_id="m-2", aliases=("x",))])

    assert list(by_digest.up("alias:a@x")) == [f"version:{content(1)}/0001"]
    assert list(by_model.up("alias:a@x")) == [f"version:{content(2)}/0001"]


@given(history=histories(), seed=st.integers())
def test_order(history: History, seed: int) -> None:
    """A lineage does not depend on the order in which it is told."""
    versions = history.versions()
    shuffled = random.Random(seed).sample(versions, len(versions))  # noqa: S311 - no secret

    assert build(shuffled) == build(versions)


@given(facts=some_facts)
def test_any_facts(facts: dict[str, Any]) -> None:
    """Whatever facts say, there is a lineage, and it can be spelled and read again."""
    graph = build([version("a", 1, seed=1, created=DAY, facts=facts)])

    assert LineageGraph.from_dict(graph.to_dict()) == graph
    assert f"version:{content(1)}/0001" in graph


@given(history=histories(), times=st.tuples(st.integers(0, 18), st.integers(0, 18)))
def test_as_of(history: History, times: tuple[int, int]) -> None:
    """What was there stays there: an earlier graph is part of a later one, and that of all."""
    graph = build(history.versions())

    early, late = (graph.as_of(time * DAY) for time in sorted(times))

    for part, whole in ((early, late), (late, graph)):
        assert set(part.nodes) <= set(whole.nodes)
        assert set(part.edges) <= set(whole.edges)
    assert set(graph.as_of(PRESENT - 1).edges) == set(graph.edges)
    assert {node.label for node in early.of_kind(Kind.VERSION)} == {
        version.label for version in history.versions() if version.created <= min(times) * DAY
    }


def test_as_of_and_aliases() -> None:
    """MLflow keeps no history of aliases, so no past has any."""
    ours = version("a", 1, seed=1, created=DAY)

    graph = build([ours], [Registered("a", 1, str(content(1)), aliases=("champion",))])

    assert "alias:a@champion" in graph
    for time in (DAY, 1 << 62, PRESENT, PRESENT + 1):
        assert "alias:a@champion" not in graph.as_of(time)


def test_as_of_and_edges() -> None:
    """What was told later of two that were there already was not known before."""
    parent, child = (version("a", n, seed=n, created=n * DAY) for n in (1, 2))
    again = replace(child, id="ff", created=5 * DAY, parents=(content(1),))

    graph = build([parent, child, again])

    told = (f"artifact:{content(2)}", f"version:{content(1)}/0001")
    assert told in edges(graph.as_of(5 * DAY), Verb.WAS_DERIVED_FROM)
    assert told not in edges(graph.as_of(5 * DAY - 1), Verb.WAS_DERIVED_FROM)
    assert len(list(graph.as_of(5 * DAY - 1).of_kind(Kind.VERSION))) == 2


def test_trace_depth_and_kinds() -> None:
    """A trace goes as far as asked, and shows what lies behind what is hidden."""
    runs = (Run(datasets=frozenset({0})), Run(models=frozenset({0})))
    versions = History(runs, (0, 1), (Committed(0, "a"), Committed(1, "b"))).versions()
    graph = build(versions)
    start = f"version:{versions[1].digest}/0002"

    near = graph.trace(start, depth=1)
    shown = graph.trace(start, kinds=["version", "dataset", "run"])

    assert {node.kind for node in near.nodes} == {Kind.VERSION, Kind.ARTIFACT, Kind.PERSON}
    data = f"dataset:{dataset(0)['b3']}"
    assert {node.id for node in shown.nodes} == {start, data, "run:run0", "run:run1"}
    assert edges(shown, Verb.WAS_INFLUENCED_BY) == {(start, "run:run1"), ("run:run1", "run:run0")}
    assert edges(shown, Verb.USED) == {("run:run0", data)}


def test_hidden_and_known() -> None:
    """What lies behind hidden nodes is as sure as the least sure step of the surest way."""
    versions = [version("a", n, seed=n, created=n * DAY) for n in (1, 2, 3, 4)]
    versions[1] = replace(versions[1], parents=(content(1),))
    common = [
        Shared(str(content(later)), str(content(earlier)), DAY, 0.5, 0.0)
        for later, earlier in ((2, 1), (3, 1))
    ]

    shown = build(versions, shared=common).showing(["version"])

    known = {(edge.effect[-4:], edge.cause[-4:]): edge.known for edge in shown.edges}
    assert known == {("0002", "0001"): Known.DECLARED, ("0003", "0001"): Known.CONTENT}


@given(
    history=histories(),
    direction=st.sampled_from(["up", "down", "both"]),
    depth=st.none() | st.integers(0, 4),
    kinds=st.none() | st.sets(st.sampled_from(list(Kind))),
)
def test_any_trace(
    history: History, direction: str, depth: int | None, kinds: set[Kind] | None
) -> None:
    """A trace of anything ends, has its start, and shows only what was asked for."""
    graph = build(history.versions())

    for node in graph.nodes:
        traced = graph.trace(node.id, direction, depth, kinds)

        assert node.id in traced
        assert set(traced.nodes) <= set(graph.nodes)
        if kinds is not None:
            assert {other.kind for other in traced.nodes if other != node} <= kinds
        if depth == 0:
            assert traced.nodes == (node,)


@pytest.mark.parametrize(
    "asked",
    [{"direction": "sideways"}, {"depth": -1}, {"kinds": ["dataste"]}],
)
def test_wrong_questions(asked: dict[str, Any]) -> None:
    """What a trace cannot mean is refused."""
    graph = build([version("a", 1, seed=1, created=DAY)])

    with pytest.raises(InvalidInputError, match=r"dataste|sideways|-1"):
        graph.trace(graph.nodes[0].id, **asked)
    with pytest.raises(NotFoundError, match="version:none"):
        graph.trace("version:none")


def test_loose_edge() -> None:
    """An edge without its ends makes no graph."""
    node = Node("run:r1", Kind.RUN, "r1")
    loose = Edge("run:r1", Verb.USED, "dataset:x")

    with pytest.raises(InvalidInputError, match="dataset:x"):
        LineageGraph((node,), (loose,))


@pytest.mark.parametrize("values", [{}, {"nodes": [{}], "edges": []}, {"nodes": 3, "edges": []}])
def test_no_graph(values: dict[str, Any]) -> None:
    """What is no graph is refused."""
    with pytest.raises(InvalidInputError, match="no lineage"):
        LineageGraph.from_dict(values)


def test_large_and_deep() -> None:
    """A chain of 100,000 nodes that ends in a circle is walked in seconds."""
    size = 100_000
    nodes = tuple(Node(f"artifact:{n}", Kind.ARTIFACT, str(n), since=n + 1) for n in range(size))
    links = [
        Edge(f"artifact:{n + 1}", Verb.WAS_DERIVED_FROM, f"artifact:{n}", Known.DECLARED, n + 2)
        for n in range(size - 1)
    ]
    circle = Edge("artifact:0", Verb.WAS_DERIVED_FROM, "artifact:99", Known.DECLARED)
    started = perf_counter()

    graph = LineageGraph(nodes, (*links, circle))
    down = graph.trace("artifact:0", "down", kinds=["version"])
    past = graph.as_of(size // 2)
    reached = impact(graph, "artifact:0").reached

    assert len(reached) == size - 1
    assert down.nodes == (graph.node("artifact:0"),)
    assert len(past) == size // 2
    assert perf_counter() - started < 60  # 3 s alone; a square of the nodes would take hours
