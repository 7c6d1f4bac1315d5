"""What is asked of a lineage: where from, where to, what happened when."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given

from mlflow_vault.decide.lineage.ancestry import Shared
from mlflow_vault.decide.lineage.build import build
from mlflow_vault.decide.lineage.elements import Edge, Kind, Node, Verb
from mlflow_vault.decide.lineage.graph import LineageGraph
from mlflow_vault.decide.lineage.impact import Impact, impact
from mlflow_vault.decide.lineage.queries import find, origin, timeline
from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.format.version import Origin
from mlflow_vault.govern.host import Held
from mlflow_vault.testing.histories import (
    DAY,
    HOSTILE,
    Committed,
    History,
    Run,
    content,
    dataset,
    histories,
    version,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.version import Version


def held(one: Version, *aliases: str) -> Held:
    """What MLflow says of *one*."""
    return Held(
        uri=f"models:/{one.name}/{one.number}",
        location="",
        name=one.name,
        number=one.number,
        digest=str(one.digest),
        aliases=aliases,
    )


def reached_by_hand(history: History, number: int) -> set[str]:
    """The labels of the versions that dataset *number* reached, from the history itself."""
    committed = {one.model for one in history.committed}
    told = {history.models[model] for model in committed}
    above = {
        run: made.above
        for run, made in enumerate(history.runs)
        if made.above not in (None, run) and (run in told or made.above in told)
    }

    def chain(run: int) -> Iterator[int]:
        seen: set[int] = set()
        while run not in seen:
            seen.add(run)
            if run in told:
                yield run
            parent = above.get(run)
            if parent is None:
                return
            run = parent

    runs: set[int] = set()
    models: set[int] = set()
    contents: set[int] = set()
    size = -1
    while size != len(runs) + len(models) + len(contents):  # until nothing more is found
        size = len(runs) + len(models) + len(contents)
        for run in range(len(history.runs)):
            used = [history.runs[one] for one in chain(run)]
            if any(number in one.datasets or one.models & models for one in used) or any(
                above.get(child) == run for child in runs
            ):
                runs.add(run)
        models |= {model for model in committed if history.models[model] in runs}
        contents |= models
        contents |= {one.model for one in history.committed if one.parents & contents}
    return {
        f"{one.name}/{index + 1}"
        for index, one in enumerate(history.committed)
        if one.model in contents
    }


@given(history=histories())
@example(
    history=History(
        (Run(frozenset({0}), above=1), Run(above=0), Run(frozenset({1}), above=0)),
        (0, 1, 2),
        tuple(Committed(model, "fraud", frozenset({2 - model})) for model in range(3)),
    ),
)
def test_impact(history: History) -> None:
    """A dataset reached exactly those versions that a walk through the history by hand finds."""
    versions = history.versions()
    graph = build(versions, [held(one, f"live {one.number}") for one in versions])
    for number in range(5):
        name = f"dataset:{dataset(number)['b3']}"
        if name not in graph:
            continue

        found = impact(graph, name)

        expected = reached_by_hand(history, number)
        assert {node.label for node in found.versions} == expected
        assert not found.suspected
        assert {node.label for node in found.aliases} == {
            f"{one.name}@live {one.number}" for one in versions if one.label in expected
        }
        check_ways(graph, found)
        assert {plan.name for plan in found.rollback} == {one.split("/")[0] for one in expected}
        for plan in found.rollback:
            free = [one for one in versions if one.name == plan.name and one.label not in expected]
            target = plan.target.label if plan.target else None
            assert target == (free[-1].label if free else None)
            assert plan.is_needed == (plan.current.label in expected)
            assert plan.alias in {"", f"live {plan.current.attributes['number']}"}


def check_ways(graph: LineageGraph, found: Impact) -> None:
    """Fail if what was reached has no way to the dataset."""
    for one in found.reached:
        assert one.is_certain
        way = found.way(one.node.id)
        assert (way[0], way[-1]) == (one.node.id, found.dataset.id)
        for effect, cause in pairwise(way):
            assert cause in set(graph.up(effect))


def test_rollback() -> None:
    """The plan names for each model and each alias the last version that is free of the data."""
    runs = (Run(frozenset({0})), Run(frozenset({1})), Run(models=frozenset({1})))
    committed = (
        Committed(0, "fraud"),
        Committed(1, "fraud"),
        Committed(2, "fraud"),
        Committed(1, "only"),
        Committed(0, "clean"),
    )
    versions = History(runs, (0, 1, 2), committed).versions()
    aliases = ((), ("champion",), ("canary",), ("live",), ("other",))
    graph = build(
        versions, [held(one, *names) for one, names in zip(versions, aliases, strict=True)]
    )

    found = impact(graph, f"dataset:{dataset(1)['b3']}")

    assert [node.label for node in found.versions] == ["fraud/2", "fraud/3", "only/4"]
    assert [str(plan) for plan in found.rollback] == [
        "fraud: fraud/3 -> fraud/1",
        "fraud@canary: fraud/3 -> fraud/1",
        "fraud@champion: fraud/2 -> fraud/1",
        "only: no version is free of it; withdraw only/4",
        "only@live: no version is free of it; withdraw only/4",
    ]
    assert str(found).count("roll back") == 5
    assert repr(found) == "Impact('data 1': 3 versions, 3 aliases, 0 deployments, 0 suspected)"
    assert found.to_dict()["rollback"][0]["target"]["label"] == "fraud/1"


def test_suspected() -> None:
    """What only shared bytes point to is suspected, and no target of a rollback."""
    versions = [
        version("fraud", n + 1, seed=n, created=n * DAY + 1, facts={"run": {"id": f"r{n}"}})
        for n in range(3)
    ]
    bad = replace(versions[1], facts={"run": {"id": "r1"}, "datasets": [dataset(1)]})
    shared = [Shared(str(content(2)), str(content(1)), 3 * DAY, 0.94, 0.01)]
    graph = build([versions[0], bad, versions[2]], [held(versions[2], "live")], shared)

    found = impact(graph, f"dataset:{dataset(1)['b3']}")

    assert [node.label for node in found.versions] == ["fraud/2"]
    assert [node.label for node in found.suspected] == ["fraud/3"]
    assert not found.aliases
    assert [str(plan) for plan in found.rollback] == [
        "fraud: fraud/3 -> fraud/1",
        "fraud@live: fraud/3 -> fraud/1",
    ]
    assert "suspected: fraud/3" in str(found)
    way = found.way(found.suspected[0].id)
    assert way[1:3] == (f"artifact:{content(2)}", f"version:{content(1)}/0002")
    assert way[-1] == found.dataset.id
    with pytest.raises(NotFoundError, match="person:ann"):
        found.way("person:ann")


def test_bad_test_data() -> None:
    """Bad data that a model was only judged by make the judgement bad, not the model."""
    evaluation = {"run_id": "r9", "model_id": "m-1", "dataset": dataset(7)}
    facts = {"run": {"id": "r1"}, "evaluations": [evaluation]}
    made_by = Origin("", "", "m-1", "r1")
    graph = build([version("a", 1, seed=1, created=DAY, origin=made_by, facts=facts)])

    found = impact(graph, f"dataset:{dataset(7)['b3']}")

    assert not found.versions
    assert [node.label for node in found.evaluations] == ["evaluation on data 7"]


def test_same_files_under_two_names() -> None:
    """A version with the very bytes of one that bad data reached is reached, whoever made it."""
    bad = version("a", 1, seed=1, created=DAY, facts={"run": {"id": "r"}, "datasets": [dataset(0)]})
    same = version("b", 2, seed=1, created=2 * DAY, facts={"run": {"id": "copied"}})

    found = impact(build([bad, same]), f"dataset:{dataset(0)['b3']}")

    assert [node.label for node in found.versions] == ["a/1", "b/2"]


def test_impact_then() -> None:
    """Asked of the past, an impact knows only what had happened."""
    history = History((Run(frozenset({0})),), (0,), (Committed(0, "a"), Committed(0, "a")))
    versions = history.versions()

    then = impact(build(versions).as_of(versions[0].created), f"dataset:{dataset(0)['b3']}")

    assert [node.label for node in then.versions] == ["a/1"]


def test_deployments() -> None:
    """Deployments that someone adds are reached as versions are."""
    graph = build(
        [version("a", 1, seed=1, created=DAY, facts={"run": {"id": "r"}, "datasets": [dataset(0)]})]
    )
    served = Node("deployment:eu", Kind.DEPLOYMENT, "eu")
    edge = Edge("deployment:eu", Verb.USED, f"version:{content(1)}/0001")
    wider = LineageGraph((*graph.nodes, served), (*graph.edges, edge))

    assert impact(wider, f"dataset:{dataset(0)['b3']}").deployments == (served,)


def test_origin() -> None:
    """Origins are all that a version was made from, however far back, and what is unsure."""
    runs = (Run(frozenset({0})), Run(frozenset({1}), models=frozenset({0})), Run(frozenset({2})))
    versions = History(
        runs, (0, 1, 2), tuple(Committed(model, "a") for model in range(3))
    ).versions()
    bare = {"name": "extra", "digest": "77"}
    facts = {**versions[1].facts, "git": {"commit": "ab"}, "environment": {"python": "3.12"}}
    versions[1] = replace(versions[1], facts={**facts, "datasets": [*facts["datasets"], bare]})
    graph = build(versions)

    found = origin(graph, f"version:{versions[1].digest}/0002")

    assert [node.label for node in found.datasets] == ["data 0", "data 1", "extra"]
    assert [node.label for node in found.runs] == ["run0", "run1"]
    assert [node.label for node in found.code] == ["ab"]
    assert [node.label for node in found.environments] == ["Python 3.12, 0 packages"]
    assert [node.label for node in found.models] == ["model 0", "model 1"]
    assert [node.label for node in found.people] == ["ann"]
    assert len(found.warnings) == 1
    assert "warning: dataset 'extra' of run run1" in str(found)
    assert found.to_dict()["code"][0]["id"] == "commit:ab"


@given(history=histories())
def test_origin_and_impact(history: History) -> None:
    """A dataset is an origin of exactly those versions that it reached."""
    graph = build(history.versions())

    for data in graph.of_kind(Kind.DATASET):
        reached = set(impact(graph, data.id).versions)
        for one in graph.of_kind(Kind.VERSION):
            assert (data in origin(graph, one.id).datasets) == (one in reached)


def test_timeline() -> None:
    """A timeline has what happened to a model in its order, aliases last."""
    facts = {
        "run": {"id": "r1", "name": "fit", "start": 1000, "end": 5000},
        "model": {"id": "m-1", "name": "clf", "created": 3000},
        "evaluations": [{"run_id": "r1", "model_id": "m-1", "dataset": dataset(0, "test")}],
    }
    made_by = Origin("", "", "m-1", "r1")
    one = version("fraud", 1, seed=1, created=6000, origin=made_by, facts=facts)
    two = version("fraud", 2, seed=2, created=7000)
    other = version("credit", 3, seed=3, created=6500)
    foreign = Held(uri="models:/fraud/9", location="", name="fraud", number=9, created=6600)
    graph = build([two, other, one], [held(one, "champion"), foreign])

    assert [str(event) for event in timeline(graph, "fraud")] == [
        "1970-01-01 00:00:01  fraud/1: run started fit",
        "1970-01-01 00:00:03  fraud/1: model logged clf",
        "1970-01-01 00:00:05  fraud/1: run finished fit",
        "1970-01-01 00:00:06  fraud/1: evaluated evaluation on test",
        "1970-01-01 00:00:06  fraud/1: version committed",
        "1970-01-01 00:00:06  fraud/9: version registered",
        "1970-01-01 00:00:07  fraud/2: version committed",
        "now  fraud/1: alias fraud@champion",
    ]
    with pytest.raises(NotFoundError, match="nobody"):
        timeline(graph, "nobody")


@pytest.mark.parametrize(
    ("reference", "node"),
    [
        ("run:r1", "run:r1"),
        ("runs:/r1/model", "run:r1"),
        ("models:/m-1", "model:m-1"),
        ("models:/a/1", f"version:{content(1)}/0001"),
        ("a/1", f"version:{content(1)}/0001"),
        ("models:/a@live", "alias:a@live"),
        (str(content(1)), f"artifact:{content(1)}"),
        (str(dataset(1)["b3"]), f"dataset:{dataset(1)['b3']}"),
        ("train", f"dataset:{dataset(1)['b3']}"),
        ("data@77", "dataset:data@77"),
        ("77", "dataset:data@77"),
    ],
)
def test_find(reference: str, node: str) -> None:
    """A node is found by every name that people and MLflow have for it."""
    facts = {
        "run": {"id": "r1"},
        "datasets": [dataset(1, "train"), {"name": "data", "digest": "77"}],
    }
    made_by = Origin("", "", "m-1", "r1")
    one = version("a", 1, seed=1, created=DAY, origin=made_by, facts=facts)

    assert find(build([one], [held(one, "live")]), reference).id == node


def test_find_what_is_not_one() -> None:
    """A name that nothing has, or several have, is refused with what it might be."""
    told = {"run": {"id": "r1"}, "datasets": [dataset(1, "train"), dataset(2, "train")]}
    graph = build([version("a", 1, seed=1, created=DAY, facts=told)])

    with pytest.raises(NotFoundError, match="dataset of this lineage is called 'none'"):
        find(graph, "none", Kind.DATASET)
    with pytest.raises(InvalidInputError) as refused:
        find(graph, "5fe3", Kind.DATASET)
    assert all(dataset(number)["b3"] in str(refused.value) for number in (1, 2))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(name: str) -> None:
    """No name reaches a terminal or a page unescaped."""
    told = {"run": {"id": "r", "name": name, "start": 1}, "datasets": [dataset(0, name)]}
    one = version(name or "a", 1, seed=1, created=DAY, facts=told)
    graph = build([one], [held(one, name or "a")])
    found = impact(graph, f"dataset:{dataset(0)['b3']}")
    origins = origin(graph, f"version:{one.digest}/0001")
    happened = "\n".join(map(str, timeline(graph, one.name)))

    for text in (str(found), str(origins), str(graph), happened):
        assert all(letter.isprintable() or letter == "\n" for letter in text)
        assert text.count("\n") < 30
    for page in (found._repr_html_(), origins._repr_html_(), graph._repr_html_()):
        assert "<script" not in page
        assert "<b>" not in page
        page.encode()
