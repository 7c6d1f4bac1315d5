"""Builds the lineage of all versions of a vault, and of what is registered beside it.

    version --specializationOf--> artifact --wasDerivedFrom--> logged model --wasGeneratedBy--> run
                                     |                                                           |
                                     +--wasDerivedFrom--> version of a parent      used, ... <---+

What MLflow has registered is compared with what the vault holds by number and digest, as numbers
start again after a registered model was deleted.

Pure: no I/O.  `govern.graph` reads what it asks for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from mlflow_vault.decide.lineage.draft import Draft
from mlflow_vault.decide.lineage.elements import (
    PRESENT,
    SHORT,
    Edge,
    Kind,
    Known,
    Node,
    Verb,
    alias_id,
    files,
    person_id,
    registered_id,
    version_id,
)
from mlflow_vault.decide.lineage.telling import Made, tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlflow_vault.decide.lineage.ancestry import Shared
    from mlflow_vault.decide.lineage.graph import LineageGraph
    from mlflow_vault.format.version import Version


class Registered(Protocol):
    """A model version as MLflow has it; `govern.host.Held` is one."""

    @property
    def uri(self) -> str:
        """The reference."""

    @property
    def name(self) -> str:
        """The registered model."""

    @property
    def number(self) -> int:
        """Of the version."""

    @property
    def model_id(self) -> str:
        """The logged model; empty if there is none."""

    @property
    def run_id(self) -> str:
        """The run; empty if there is none."""

    @property
    def digest(self) -> str:
        """What the tag ``mlflow_vault.digest`` says; empty if there is none."""

    @property
    def created(self) -> int:
        """Milliseconds since 1970; 0 where MLflow does not say."""

    @property
    def author(self) -> str:
        """The user MLflow has; empty if it has none."""

    @property
    def aliases(self) -> tuple[str, ...]:
        """Of the model version."""


def build(
    versions: Iterable[Version],
    held: Iterable[Registered] = (),
    shared: Iterable[Shared] = (),
    told: Mapping[str, Mapping[str, Any]] | None = None,
) -> LineageGraph:
    """Return how everything came about.

    Args:
        versions: Of the vault.
        held: What MLflow has registered, in the vault or not.
        shared: What `ancestry.discover` found.
        told: Facts of what is registered outside the vault, by its URI.

    Returns:
        A graph that does not depend on the order of what it is made from.
    """
    draft = Draft()
    numbered: dict[tuple[str, int], list[Version]] = {}
    called: dict[tuple[object, ...], str] = {}
    ordered = sorted(versions, key=lambda version: (-version.created, version.id))
    for version in ordered:
        # What was committed again, with more told of it, is one version, called as it was last.
        digest = str(version.digest)
        name = called.setdefault(_identity(version), version_id(digest, version.id))
        draft.version(digest, version.created, version.name, name)
        numbered.setdefault((version.name, version.number), []).append(version)
    for version in ordered:
        _add(draft, version, called[_identity(version)])
    for one in sorted(held, key=lambda one: (one.name, one.number, one.uri)):
        same = _match(one, numbered.get((one.name, one.number), []))
        if same is not None:
            node = version_id(str(same.digest), same.id)
        else:
            node = _add_foreign(draft, one, numbered, (told or {}).get(one.uri, {}))
        _add_aliases(draft, one, node)
    for common in shared:
        _add_common(draft, common)
    return draft.graph()


def _identity(version: Version) -> tuple[object, ...]:
    if version.number:
        return version.name, version.number, version.digest
    return version.digest, version.id


def _add(draft: Draft, version: Version, name: str) -> None:
    digest, since = str(version.digest), version.created
    attributes = {
        "name": version.name,
        "number": version.number,
        "digest": digest,
        "author": version.author,
        "size": version.size,
        "uri": version.origin.uri,
    }
    label = version.label if version.number else digest[:SHORT]
    node = draft.node(Node(name, Kind.VERSION, label, since=since, attributes=attributes))
    content = draft.node(files(digest, since, held=True))
    draft.edge(Edge(node, Verb.SPECIALIZATION_OF, content, since=since))
    _add_author(draft, version.author, node, since)
    for parent in version.parents:
        if parent != version.digest:
            for cause in draft.files(str(parent), since, version.name):
                draft.edge(Edge(content, Verb.WAS_DERIVED_FROM, cause, Known.DECLARED, since))
    origin = version.origin
    tell(draft, version.facts, Made(content, origin.run_id, origin.model_id, since, held=True))


def _match(one: Registered, candidates: list[Version]) -> Version | None:
    """The version that *one* is, among *candidates*, newest first."""
    for version in candidates:
        if one.digest:
            if str(version.digest) == one.digest:
                return version
        elif (one.model_id, one.run_id) == (version.origin.model_id, version.origin.run_id):
            return version
    return None


def _add_foreign(
    draft: Draft,
    one: Registered,
    numbered: Mapping[tuple[str, int], list[Version]],
    facts: Mapping[str, Any],
) -> str:
    """Add what is registered but is no version of the vault."""
    attributes: dict[str, Any] = {
        "name": one.name,
        "number": one.number,
        "author": one.author,
        "uri": one.uri,
    }
    others = numbered.get((one.name, one.number), [])
    if one.digest:
        attributes["warning"] = (
            f"MLflow says that {one.name}/{one.number} is {one.digest}, the vault has "
            f"{', '.join(str(other.digest) for other in others) or 'nothing of that name'}; "
            "run `mlflow-vault sync` and compare"
        )
    node = draft.node(
        Node(
            registered_id(one.name, one.number),
            Kind.VERSION,
            f"{one.name}/{one.number}",
            held=False,
            since=one.created,
            attributes=attributes,
        )
    )
    _add_author(draft, one.author, node, one.created)
    tell(draft, facts, Made(node, one.run_id, one.model_id, one.created, held=False))
    return node


def _add_author(draft: Draft, author: str, node: str, since: int) -> None:
    if author:
        person = draft.node(Node(person_id(author), Kind.PERSON, author, since=since))
        draft.edge(Edge(node, Verb.WAS_ATTRIBUTED_TO, person, since=since))


def _add_aliases(draft: Draft, one: Registered, node: str) -> None:
    for alias in sorted(one.aliases):
        name = draft.node(
            Node(
                alias_id(one.name, alias),
                Kind.ALIAS,
                f"{one.name}@{alias}",
                held=False,
                since=PRESENT,
                attributes={"name": one.name, "alias": alias},
            )
        )
        draft.edge(Edge(name, Verb.WAS_DERIVED_FROM, node, since=PRESENT))


def _add_common(draft: Draft, common: Shared) -> None:
    effect = draft.node(files(common.effect, common.since, held=False))
    attributes = {"share": common.share, "coded": common.coded}
    for cause in draft.files(common.cause, common.since):
        draft.edge(
            Edge(effect, Verb.WAS_DERIVED_FROM, cause, Known.CONTENT, common.since, attributes)
        )
