"""What the facts of a version or of a registered model tell: its run, data, code, and the rest.

Facts are plain JSON that a run could write what it liked into, so nothing is taken to have the
type that it should have.  What cannot be read tells nothing; what makes a lineage unsure is a
warning that says what to do.

Pure: no I/O.  What facts are is written down in docs/format.md, "Facts".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.lineage.elements import (
    Edge,
    Kind,
    Node,
    Verb,
    commit_id,
    dataset_id,
    is_full,
    mentioned_model,
    mentioned_run,
    model_id,
    person_id,
    run_id,
)
from mlflow_vault.format.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow_vault.decide.lineage.draft import Draft

_ADVICE: Final = "log it with mlflow_vault.log_input, or call mlflow_vault.autolog() first"
_SHORT: Final = 12  # digits of a commit that people read


@dataclass(frozen=True, slots=True)
class Made:
    """What facts are told of.

    Attributes:
        thing: Id of the node that was made.
        run: The run that made it, as its origin says; empty if that is not known.
        model: The logged model, likewise.
        since: When it was committed or registered.
        held: Whether the vault keeps these facts.
    """

    thing: str
    run: str
    model: str
    since: int
    held: bool


def tell(draft: Draft, facts: Mapping[str, Any], made: Made) -> None:
    """Add to *draft* what *facts* tell of how something was made."""
    run = _dict(facts.get("run"))
    model = _dict(facts.get("model"))
    run_name = _text(run.get("id")) or made.run
    model_name = _text(model.get("id")) or made.model
    started = _number(run.get("start")) or made.since
    maker = made.thing
    if model_name:
        maker = draft.node(_model(model_name, model, made))
        draft.edge(Edge(made.thing, Verb.WAS_DERIVED_FROM, maker, since=made.since))
    if run_name:
        node = draft.node(_run(run_name, run, facts, made))
        since = _number(model.get("created")) or made.since
        draft.edge(Edge(maker, Verb.WAS_GENERATED_BY, node, since=max(since, started)))
        _relatives(draft, run, node, started)
        maker = node
    for model in _dicts(facts.get("outputs")) if run_name else ():
        if name := _text(model.get("model_id")):
            output = draft.node(mentioned_model(name, _text(model.get("name")), started))
            draft.edge(Edge(output, Verb.WAS_GENERATED_BY, maker, since=started))
    datasets = list(_dicts(facts.get("datasets")))
    story = _Story(draft, maker, run_name, started, made.held)
    story.code(_dict(facts.get("git")))
    story.environment(_dict(facts.get("environment")))
    for dataset in datasets:
        story.uses(dataset, story.dataset(dataset))
    for taken in _dicts(facts.get("inputs")):
        story.model(taken)
    for one in _dicts(facts.get("evaluations")):
        story.evaluation(one, _same(_dict(one.get("dataset")), datasets), made)


@dataclass(frozen=True, slots=True)
class _Story:
    """What one maker - a run, or where there was none the thing that was made - started from."""

    draft: Draft
    maker: str
    run: str
    since: int
    held: bool

    def from_(self, cause: str, attributes: Mapping[str, Any]) -> None:
        verb = Verb.USED if self.run else Verb.WAS_DERIVED_FROM
        self.draft.edge(
            Edge(self.maker, verb, cause, since=self.since, attributes=dict(attributes))
        )

    def code(self, git: Mapping[str, Any]) -> None:
        if not (commit := _text(git.get("commit"))):
            return
        url = _text(git.get("url"))
        node = Node(
            commit_id(commit),
            Kind.COMMIT,
            commit[:_SHORT],
            self.held,
            self.since,
            {"commit": commit, "url": url},
        )
        told = {"branch": _text(git.get("branch")), "dirty": git.get("dirty") is True}
        self.from_(self.draft.node(node), told)

    def environment(self, environment: Mapping[str, Any]) -> None:
        if not environment:
            return
        software = {
            name: environment[name]
            for name in ("python", "packages", "platform")
            if name in environment
        }
        spelled = json.dumps(software, sort_keys=True, default=str)  # ASCII, whatever is in it
        packages = _dict(software.get("packages"))
        node = Node(
            f"environment:{Digest.of(spelled.encode())}",
            Kind.ENVIRONMENT,
            f"Python {_text(software.get('python')) or '?'}, {len(packages)} packages",
            self.held,
            self.since,
            software,
        )
        hardware = {
            name: environment[name] for name in ("cpu", "memory", "gpus") if name in environment
        }
        verb = Verb.WAS_ASSOCIATED_WITH if self.run else Verb.WAS_ATTRIBUTED_TO
        cause = self.draft.node(node)
        self.draft.edge(Edge(self.maker, verb, cause, since=self.since, attributes=hardware))

    def dataset(self, told: Mapping[str, Any]) -> str:
        """Add the dataset *told* of and return its id."""
        name, digest = _text(told.get("name")) or "dataset", _text(told.get("digest"))
        full = _text(told.get("b3"))
        run = _text(told.get("run_id")) or self.run or self.maker
        attributes = {
            "name": name,
            "digest": digest,
            "source_type": _text(told.get("source_type")),
            "source": _text(told.get("source")),
        }
        if is_full(full):
            attributes["b3"] = full
        elif digest:
            attributes["warning"] = (
                f"dataset {name!r} of run {run} has only MLflow's digest {digest!r}, which other "
                f"data may share; {_ADVICE}"
            )
        else:
            attributes["warning"] = (
                f"dataset {name!r} of run {run} has no digest, so no other use of it can be "
                f"found; {_ADVICE}"
            )
        node = Node(
            dataset_id(name, digest, full, run),
            Kind.DATASET,
            name,
            self.held,
            self.since,
            attributes,
        )
        return self.draft.node(node)

    def uses(self, told: Mapping[str, Any], cause: str) -> None:
        """Say that the run used *cause*, or the nested or outer run that is told of."""
        attributes = {"context": _text(told.get("context"))}
        run = _text(told.get("run_id")) or self.run
        if not run:
            self.from_(cause, attributes)
            return
        effect = self.draft.node(mentioned_run(run, self.since))
        edge = Edge(effect, Verb.USED, cause, since=self.since, attributes=attributes)
        self.draft.uses(effect, edge)

    def model(self, told: Mapping[str, Any]) -> None:
        """Add a model that was an input."""
        name, digest = _text(told.get("model_id")), _text(told.get("digest"))
        if name:
            model = mentioned_model(name, _text(told.get("name")), self.since)
            self.uses(told, self.draft.node(model))
        if is_full(digest):
            for files in self.draft.files(digest, self.since):
                self.uses(told, files)

    def evaluation(self, told: Mapping[str, Any], dataset: Mapping[str, Any], made: Made) -> None:
        """Add an evaluation; that its data is bad makes the evaluation bad, not the model."""
        run, evaluated = _text(told.get("run_id")), _text(told.get("model_id"))
        used = self.dataset(dataset) if dataset else ""
        node = self.draft.node(
            Node(
                f"evaluation:{json.dumps([run, evaluated or made.thing, used])}",
                Kind.EVALUATION,
                f"evaluation on {_text(dataset.get('name')) or 'no dataset'}",
                self.held,
                made.since,
                {"metrics": _dict(told.get("metrics")), "run_id": run},
            )
        )
        if used:
            self.draft.edge(Edge(node, Verb.USED, used, since=made.since))
        cause = made.thing
        if evaluated:
            cause = self.draft.node(mentioned_model(evaluated, "", made.since))
        self.draft.edge(Edge(node, Verb.USED, cause, since=made.since))
        if run:
            by = self.draft.node(mentioned_run(run, made.since))
            self.draft.edge(Edge(node, Verb.WAS_INFORMED_BY, by, since=made.since))


def _relatives(draft: Draft, run: Mapping[str, Any], node: str, since: int) -> None:
    if user := _text(run.get("user")):
        person = draft.node(Node(person_id(user), Kind.PERSON, user, since=since))
        draft.edge(Edge(node, Verb.WAS_ASSOCIATED_WITH, person, since=since))
    if above := _text(run.get("parent")):
        draft.nested(node, draft.node(mentioned_run(above, since)), since)
    children = run.get("children")
    for child in children if isinstance(children, list) else []:
        if _text(child):
            draft.nested(draft.node(mentioned_run(_text(child), since)), node, since)


def _run(name: str, run: Mapping[str, Any], facts: Mapping[str, Any], made: Made) -> Node:
    attributes = {
        key: run[key]
        for key in ("experiment", "experiment_id", "user", "start", "end", "status")
        if key in run
    }
    attributes |= {key: facts[key] for key in ("command", "source") if key in facts}
    if is_gone := attributes.get("status") == "gone":
        attributes["warning"] = (
            f"run {name}, which made {made.thing}, is gone from MLflow, so its data and code are "
            "not known; commit versions before their runs are deleted"
        )
    git = _dict(facts.get("git"))
    attributes |= {key: git[key] for key in ("commit", "branch", "dirty", "url") if key in git}
    return Node(
        run_id(name),
        Kind.RUN,
        _text(run.get("name")) or name,
        made.held and not is_gone,  # what was told before it went is worth more
        _number(run.get("start")) or made.since,
        attributes,
    )


def _model(name: str, model: Mapping[str, Any], made: Made) -> Node:
    return Node(
        model_id(name),
        Kind.LOGGED_MODEL,
        _text(model.get("name")) or name,
        made.held,
        _number(model.get("created")) or made.since,
        {key: model[key] for key in ("type", "status") if key in model} | {"model_id": name},
    )


def _same(told: dict[str, Any], datasets: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the dataset that the run itself calls as *told* does, if only one is called so."""
    same = [
        one
        for one in datasets
        if (one.get("name"), one.get("digest")) == (told.get("name"), told.get("digest"))
    ]
    is_one = bool(same) and all(one.get("b3") == same[0].get("b3") for one in same)
    return same[0] if told and is_one and not told.get("b3") else told


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> int:
    """Read a time, 0 where it is none."""
    return value if type(value) is int and value > 0 else 0


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    yield from (inner for inner in (value if isinstance(value, list) else ()) if _dict(inner))
