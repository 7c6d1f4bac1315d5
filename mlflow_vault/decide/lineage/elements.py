"""Nodes and edges of a lineage, in the words of W3C PROV, and what nodes are called.

An edge points from effect to cause, as PROV's verbs do:

    fraud@champion --wasDerivedFrom--> fraud/3 --specializationOf--> the files b3:6f1e...
        --wasDerivedFrom--> m-7c2d... --wasGeneratedBy--> run 91ab... --used--> dataset b3:20f5...

A version is a specialization of its files: the same files under two names are one artifact, so
whatever is known of one of them holds for both.

Ids are made of what never changes.  Where a part is free text, the characters that part it from
the next one are escaped, so no name can pretend to be another node.

Pure: no I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

# When something holds now, but nobody noted since when: MLflow's aliases.  Later than any time.
PRESENT: Final = (1 << 63) - 1
SHORT: Final = 15  # characters of a digest that people read
_FULL: Final = re.compile(r"b3:[0-9a-f]{64}")
_PARTS: Final = str.maketrans({"%": "%25", "@": "%40", "/": "%2F"})


class Kind(StrEnum):
    """What a node is."""

    DATASET = "dataset"
    RUN = "run"
    LOGGED_MODEL = "logged_model"
    VERSION = "version"
    ARTIFACT = "artifact"  # a set of files, named by its digest
    COMMIT = "commit"  # of code
    ENVIRONMENT = "environment"
    EVALUATION = "evaluation"
    PERSON = "person"
    ALIAS = "alias"
    POLICY = "policy"
    APPROVAL = "approval"
    DEPLOYMENT = "deployment"


class Verb(StrEnum):
    """What an effect has to do with its cause; PROV's relations, with their meaning there."""

    USED = "used"
    WAS_GENERATED_BY = "wasGeneratedBy"
    WAS_DERIVED_FROM = "wasDerivedFrom"
    WAS_INFORMED_BY = "wasInformedBy"
    WAS_ASSOCIATED_WITH = "wasAssociatedWith"
    WAS_ATTRIBUTED_TO = "wasAttributedTo"
    HAD_MEMBER = "hadMember"
    SPECIALIZATION_OF = "specializationOf"
    WAS_INFLUENCED_BY = "wasInfluencedBy"  # through nodes that are not shown


class Known(StrEnum):
    """Where an edge is known from."""

    MLFLOW = "mlflow"
    DECLARED = "declared"
    CONTENT = "content"  # bytes that two have in common: likely, but nobody said so


@dataclass(frozen=True, slots=True)
class Node:
    """One thing in a lineage.

    Attributes:
        id: Its name in every graph that it is in.
        kind: What it is.
        label: What people call it.
        held: Whether the vault itself knows it; if not, only MLflow or a mention does.
        since: Milliseconds since 1970 when it came to be; 0 if unknown, `PRESENT` if it holds
            now and nobody noted since when.
        attributes: Plain values; ``warning`` says what is wrong with it and what to do.
    """

    id: str
    kind: Kind
    label: str
    held: bool = True
    since: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Node({self.id!r})"

    def __hash__(self) -> int:
        return hash(self.id)

    def to_dict(self) -> dict[str, Any]:
        """This node as plain values."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "label": self.label,
            "held": self.held,
            "since": since_out(self.since),
            "attributes": self.attributes,
        }


@dataclass(frozen=True, slots=True)
class Edge:
    """What one node has to do with another.

    Attributes:
        effect: Id of the node that the edge starts from.
        verb: What it has to do with the cause.
        cause: Id of the node that the edge points to.
        known: Where this is known from.
        since: As a node's.
        attributes: Plain values: ``context`` of a dataset, ``share`` of common bytes.
    """

    effect: str
    verb: Verb
    cause: str
    known: Known = Known.MLFLOW
    since: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Edge({self.effect!r} {self.verb} {self.cause!r})"

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells this edge from every other of a graph."""
        return self.effect, self.verb, self.cause, self.known

    def to_dict(self) -> dict[str, Any]:
        """This edge as plain values."""
        return {
            "effect": self.effect,
            "verb": self.verb.value,
            "cause": self.cause,
            "known": self.known.value,
            "since": since_out(self.since),
            "attributes": self.attributes,
        }


def since_out(since: int) -> int | None:
    """Spell a time for people and other tools: None where it is the present."""
    return None if since >= PRESENT else since


def is_full(digest: str) -> bool:
    """Whether *digest* is a full one of ours."""
    return _FULL.fullmatch(digest) is not None


def version_id(digest: str, commit: str) -> str:
    """The id of the version with the files *digest* that the commit *commit* made."""
    return f"version:{digest}/{commit}"


def registered_id(name: str, number: int) -> str:
    """The id of a model version that the vault does not hold.

    >>> registered_id("fraud", 3)
    'version:models:/fraud/3'
    """
    return f"version:models:/{_part(name)}/{number}"


def artifact_id(digest: str) -> str:
    """The id of the files *digest*."""
    return f"artifact:{digest}"


def files(digest: str, since: int, *, held: bool) -> Node:
    """The node of the files *digest*."""
    attributes = {"digest": digest}
    return Node(artifact_id(digest), Kind.ARTIFACT, digest[:SHORT], held, since, attributes)


def model_id(model: str) -> str:
    """The id of MLflow's logged model ``m-...``."""
    return f"model:{model}"


def mentioned_model(model: str, label: str, since: int) -> Node:
    """The node of a logged model that nothing more is known of yet."""
    return Node(model_id(model), Kind.LOGGED_MODEL, label or model, held=False, since=since)


def run_id(run: str) -> str:
    """The id of a run."""
    return f"run:{run}"


def mentioned_run(run: str, since: int) -> Node:
    """The node of a run that nothing more is known of yet."""
    return Node(run_id(run), Kind.RUN, run, held=False, since=since)


def alias_id(name: str, alias: str) -> str:
    """The id of an alias of a registered model."""
    return f"alias:{_part(name)}@{_part(alias)}"


def commit_id(commit: str) -> str:
    """The id of a commit of code."""
    return f"commit:{commit}"


def person_id(name: str) -> str:
    """The id of somebody."""
    return f"person:{name}"


def dataset_id(name: str, digest: str, full: str, run: str) -> str:
    """The id of a dataset, by the best that is known of it.

    Args:
        name: What its run calls it.
        digest: MLflow's, which is truncated: different data may share it.
        full: Ours; empty if it is not known.
        run: The run that used it, which tells it from others where nothing else does.

    >>> dataset_id("train", "5fe3", "", "91ab")
    'dataset:train@5fe3'
    """
    if is_full(full):
        return f"dataset:{full}"
    if digest:
        return f"dataset:{_part(name)}@{_part(digest)}"
    return f"dataset:{_part(name)}@/{_part(run)}"


def _part(text: str) -> str:
    """Spell free text without the characters that part it from what follows."""
    return text.translate(_PARTS)
