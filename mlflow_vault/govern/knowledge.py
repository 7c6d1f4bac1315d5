"""The verbs of what is known of versions: how they differ, how they came about, which fit.

What is told stands in their records; which bytes they share is in the entries that they embed.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlflow_vault.errors import InvalidInputError, NotFoundError, StorageError, VaultError
from mlflow_vault.govern.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlflow_vault.decide.lineage.graph import LineageGraph
    from mlflow_vault.decide.lineage.impact import Impact
    from mlflow_vault.decide.lineage.queries import Event, Origins
    from mlflow_vault.format.version import Origin
    from mlflow_vault.govern.audit.drift import Drift
    from mlflow_vault.govern.diff import Diff, Effort
    from mlflow_vault.govern.graph import Ancestry
    from mlflow_vault.govern.host import Held
    from mlflow_vault.govern.references import Reference
    from mlflow_vault.govern.release.keeping.ledger import Ledger
    from mlflow_vault.govern.searching import Found, Search

Moment = datetime | str | int

_log = logging.getLogger(__name__)


class Knowledge(Versions):
    """What is known of the versions of one vault."""

    _search: Search | None = None
    _ancestry: Ancestry | None = None

    def diff(self, before: Reference, after: Reference, *, effort: Effort | None = None) -> Diff:
        """Say what differs between two versions: files, what is known of them, tensors.

        Only chunks that differ are read.

        Args:
            before: The first version.
            after: The second.
            effort: How closely tensors are looked at; None for the usual.

        Raises:
            NotFoundError: There is no such version.
            CorruptionError: A chunk is damaged.
        """
        from mlflow_vault.govern.diff import Effort, Side, compare  # noqa: PLC0415 - few ask

        sides = [Side(one, self.entries(one)) for one in map(self.version, (before, after))]
        return compare(sides[0], sides[1], self._reader, effort or Effort())

    def lineage(
        self,
        reference: Reference = "",
        *,
        direction: str = "both",
        depth: int | None = None,
        kinds: Iterable[str] | None = None,
        as_of: Moment | None = None,
    ) -> LineageGraph:
        """Return what a version came from and what came from it: data, runs, code, versions.

        Args:
            reference: A version, or a run, dataset or logged model by its name; all if empty.
            direction: ``up`` to causes, ``down`` to effects, ``both`` for each on its own.
            depth: Edges to go at most; None for no end.
            kinds: Which kinds of nodes to show, such as ``["dataset", "version"]``; None for all.
            as_of: What was known then: a datetime, its ISO text, or milliseconds since 1970.

        Raises:
            NotFoundError: Nothing is called so.
            InvalidInputError: Several are; the message names them.
        """
        graph = self._graph(as_of)
        if reference == "":
            return graph if kinds is None else graph.showing(kinds)
        return graph.trace(self._node(graph, reference), direction, depth, kinds)

    def origin(self, reference: Reference, *, as_of: Moment | None = None) -> Origins:
        """Say what a version was made from, near or far: data, code, environments, runs."""
        from mlflow_vault.decide.lineage.queries import origin  # noqa: PLC0415 - few ask

        graph = self._graph(as_of)
        return origin(graph, self._node(graph, reference))

    def impact(self, dataset: Reference, *, as_of: Moment | None = None) -> Impact:
        """Say what a dataset reached - versions, aliases - and what to roll back to.

        Args:
            dataset: Its ``b3:...``, its name, or ``name@digest``; or anything else in the lineage.
            as_of: What was known then.

        Raises:
            NotFoundError: Nothing is called so.
            InvalidInputError: Several are; the message names them.
        """
        from mlflow_vault.decide.lineage.impact import impact  # noqa: PLC0415 - few ask

        graph = self._graph(as_of)
        return impact(graph, self._node(graph, dataset))

    def timeline(self, name: str, *, as_of: Moment | None = None) -> tuple[Event, ...]:
        """Say what happened to the registered model *name*, in order."""
        from mlflow_vault.decide.lineage.queries import timeline  # noqa: PLC0415 - few ask

        return timeline(self._graph(as_of), name)

    def bom(self, reference: Reference) -> dict[str, Any]:
        """Return a version's CycloneDX 1.6 bill of materials: files, data, packages, metrics."""
        from mlflow_vault.govern.describing.bom import bom  # noqa: PLC0415 - few ask

        return bom(self.version(reference))

    def model_card(self, reference: Reference) -> str:
        """Return a version's model card, Markdown with YAML in front, as Hugging Face reads it."""
        from mlflow_vault.govern.describing.card import model_card  # noqa: PLC0415 - few ask

        return model_card(self.version(reference))

    def held(self, reference: str) -> Held | None:
        """What MLflow says of a reference now; None if it says nothing."""
        try:
            return self._host().resolve(reference)
        except NotFoundError:
            return None

    def search_versions(
        self,
        filter_string: str = "",
        *,
        order_by: Sequence[str] = (),
        max_results: int = 1000,
        page_token: str | None = None,
    ) -> Found:
        """Find versions by what is known of them, those that the vault does not hold included.

        Args:
            filter_string: MLflow's filter language and more: ``metrics.f1 > 0.9 AND (params.lr <
                0.01 OR tags.team = 'risk')``, ``NOT``, ``IN``, ``IS NULL``, ``metrics.a >
                metrics.b - 0.01``, ``created > now - 7d``, ``dataset.name``, ``alias``.
            order_by: ``["metrics.f1 DESC", "name ASC"]``; the newest first where that is equal.
            max_results: How many at most.
            page_token: `Found.token` of the page before.

        Raises:
            InvalidInputError: One of them is not what it should be; a filter's error points at
                the column.
        """
        if self._search is None:
            from mlflow_vault.govern.searching import Search  # noqa: PLC0415 - few ask

            vault = self.identity.id
            self._search = Search(self._records, self._host, vault, self._world.monotonic)
        return self._search.find(
            filter_string, order_by=order_by, max_results=max_results, page_token=page_token
        )

    def drift(self) -> tuple[Drift, ...]:
        """Say where MLflow's registry shows something else than was decided and logged.

        Raises:
            CorruptionError: The log or a decision is damaged.
            StorageError: The store failed, or the registry does not answer.
        """
        from mlflow_vault.govern.audit.drift import drift  # noqa: PLC0415 - few ask
        from mlflow_vault.govern.release.keeping.ledger import Ledger  # noqa: PLC0415

        now = self.audit.at(datetime.max.replace(tzinfo=UTC))

        def ledger(model: str) -> Ledger:
            return Ledger(self.store, self._world, self.identity, model)

        return drift(self._host(), now, ledger, self._world.readers)

    def _graph(self, as_of: Moment | None) -> LineageGraph:
        from mlflow_vault.govern.graph import Ancestry, lineage_of  # noqa: PLC0415 - few ask

        if self._ancestry is None:
            self._ancestry = Ancestry(self.entries)
        versions = list(self._records.all())
        held = list(self._registered())
        here = {_made(version.name, version.number, version.origin) for version in versions}
        told = {
            one.uri: self._told(one) for one in held if _made(one.name, one.number, one) not in here
        }
        graph = lineage_of(versions, held, told, ancestry=self._ancestry)
        return graph if as_of is None else graph.as_of(milliseconds(as_of))

    def _registered(self) -> Iterator[Held]:
        """Yield what MLflow has, or nothing and a warning: the records tell the most."""
        try:
            yield from self._host().registered()
        except VaultError as cause:
            _log.warning(
                "aliases, and what lies outside this vault, are missing here, as MLflow does not "
                "tell them: %s",
                cause,
            )

    def _told(self, held: Held) -> dict[str, Any]:
        """What MLflow knows of what lies outside this vault."""
        try:
            host = self._host()
            located = host.located(held)
            return {} if self._is_here(located) else host.facts(located, _nothing)
        except VaultError as cause:
            _log.warning("what %s was made from is missing here: %s", held.uri, cause)
            return {}

    def _is_here(self, held: Held) -> bool:
        try:
            self.place(held.location)
        except InvalidInputError:
            return False
        return True

    def _node(self, graph: LineageGraph, reference: Reference) -> str:
        """The node that is meant: a version if one is called so, else what else is."""
        from mlflow_vault.decide.lineage.elements import Kind, version_id  # noqa: PLC0415 - few ask
        from mlflow_vault.decide.lineage.queries import find  # noqa: PLC0415

        try:
            version = self.version(reference)
        except (NotFoundError, InvalidInputError, StorageError):
            return find(graph, str(reference)).id
        name = version_id(str(version.digest), version.id)
        if name in graph:
            return name
        # Of commits of one number and digest the graph has one, in which the others are.
        names = {"name": version.name, "number": version.number, "digest": str(version.digest)}
        for node in graph.of_kind(Kind.VERSION):
            if names.items() <= node.attributes.items():
                return node.id
        return find(graph, version.label).id


def milliseconds(moment: Moment) -> int:
    """Return milliseconds since 1970 of a time; one without a zone is UTC.

    >>> milliseconds("1970-01-01T00:00:01")
    1000

    Raises:
        InvalidInputError: It is no time.
    """
    if isinstance(moment, int):
        return moment
    try:
        when = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    except ValueError as cause:
        raise InvalidInputError(f"{moment!r} is no time: give one as 2026-03-01T12:00Z") from cause
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return int(when.timestamp() * 1000)


def _made(name: str, number: int, by: Origin | Held) -> tuple[str, int, str, str]:
    return name, number, by.model_id, by.run_id


def _nothing(_: str) -> None:
    """Read no artifact: what lies outside a vault is not opened."""
