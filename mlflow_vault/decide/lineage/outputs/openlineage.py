"""Lineages as run events of OpenLineage 2-0-2.

OpenLineage knows runs, of jobs, that take datasets and make datasets.  So everything that is no
activity is a dataset there: data, models, files, versions, aliases.  A run of MLflow is a run; so
is an evaluation; and where one thing was derived from another without a run - a version from its
files, an alias from its version - a run of the job ``vault`` did that.

    run of MLflow   START, then COMPLETE, FAIL or ABORT     inputs: used    outputs: generated
    all others      COMPLETE                                inputs: causes  outputs: effect

Events carry what a lineage knows, so sending them twice changes nothing.  Where nobody noted a
time, the event has the latest that the graph knows.

Pure: no I/O.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.lineage.elements import Kind, Verb
from mlflow_vault.decide.lineage.outputs.text import encodable, moment_of, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow_vault.decide.lineage.elements import Node
    from mlflow_vault.decide.lineage.graph import LineageGraph

_SCHEMA: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs"
_PRODUCER: Final = "urn:mlflow-vault:lineage"
_NAMES: Final = uuid.UUID("8b7a0f38-3f0e-5d2c-9c5e-0d8f7a3b6e11")  # of what has no UUID of its own
_ENTITIES: Final = frozenset(
    {Kind.DATASET, Kind.LOGGED_MODEL, Kind.ARTIFACT, Kind.VERSION, Kind.ALIAS, Kind.DEPLOYMENT}
)
_DERIVED: Final = (Verb.WAS_DERIVED_FROM, Verb.SPECIALIZATION_OF, Verb.WAS_INFLUENCED_BY)
_ENDS: Final = {"FINISHED": "COMPLETE", "FAILED": "FAIL", "KILLED": "ABORT"}
_RUN: Final = re.compile(r"[0-9a-f]{32}")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-\[\]_a-z~]+")
_SCP: Final = re.compile(r"([\w.-]+@)([\w.-]+):([\w./-]+)")  # git@host:path


def events_of(graph: LineageGraph, namespace: str) -> list[dict[str, Any]]:
    """Return *graph* as events, oldest first."""
    written = _Events(graph, encodable(namespace))
    events = [event for node in graph.nodes for event in written.of(node)]
    return sorted(events, key=lambda event: (event["eventTime"], event["eventType"] != "START"))


class _Events:
    """Writes the events of one graph."""

    def __init__(self, graph: LineageGraph, namespace: str) -> None:
        self._graph = graph
        self._namespace = namespace
        times = (node.since for node in graph.nodes if moment_of(node.since))
        self._latest = max(times, default=1)

    def of(self, node: Node) -> Iterator[dict[str, Any]]:
        """Yield the events that *node* is told by."""
        if node.kind is Kind.RUN:
            yield from self._run(node)
        elif node.kind is Kind.EVALUATION:
            inputs = self._datasets(self._causes(node, Verb.USED))
            yield self._event("COMPLETE", node.since, node, inputs, [])
        elif node.kind in _ENTITIES:
            causes = self._causes(node, *_DERIVED)
            if causes:
                yield self._event(
                    "COMPLETE", node.since, node, self._datasets(causes), self._datasets([node])
                )

    def _run(self, node: Node) -> Iterator[dict[str, Any]]:
        inputs = self._datasets(self._causes(node, Verb.USED))
        outputs = self._datasets(
            self._graph.node(edge.effect)
            for edge in self._graph.effects(node.id)
            if edge.verb is Verb.WAS_GENERATED_BY
        )
        yield self._event("START", node.since, node, inputs, [])
        end = node.attributes.get("end")
        status = _ENDS.get(str(node.attributes.get("status")))
        if status or (isinstance(end, int) and end > 0):
            time = end if isinstance(end, int) else node.since
            yield self._event(status or "COMPLETE", time, node, inputs, outputs)
        elif outputs:
            yield self._event("OTHER", node.since, node, inputs, outputs)

    def _event(
        self,
        what: str,
        time: int,
        node: Node,
        inputs: list[dict[str, Any]],
        outputs: list[dict[str, Any]],
    ) -> dict[str, Any]:
        moment = moment_of(time) or moment_of(self._latest)
        return {
            "eventType": what,
            "eventTime": moment.isoformat(timespec="milliseconds") if moment else "",
            "producer": _PRODUCER,
            "schemaURL": f"{_SCHEMA}/RunEvent",
            "run": {"runId": _uuid(node), "facets": self._run_facets(node)},
            "job": self._job(node, code=True),
            "inputs": inputs,
            "outputs": outputs,
        }

    def _job(self, node: Node, *, code: bool = False) -> dict[str, Any]:
        values = node.attributes
        if node.kind is Kind.RUN:
            experiment = values.get("experiment") or values.get("experiment_id") or "runs"
            name = encodable(str(experiment))
        else:
            name = "evaluation" if node.kind is Kind.EVALUATION else f"vault {node.kind.value}"
        job: dict[str, Any] = {"namespace": self._namespace, "name": name}
        if code:
            job["facets"] = self._job_facets(node)
        return job

    def _run_facets(self, node: Node) -> dict[str, Any]:
        facets: dict[str, Any] = {
            "mlflowVault": _facet(
                f"{_SCHEMA}/RunFacet",
                {"id": encodable(node.id), "label": plain(node.label), "held": node.held},
            )
        }
        for edge in self._graph.effects(node.id):
            above = self._graph.node(edge.effect)
            if edge.verb is Verb.WAS_INFORMED_BY and above.kind is node.kind is Kind.RUN:
                facets["parent"] = _facet(
                    _schema("1-2-0", "ParentRunFacet"),
                    {"run": {"runId": _uuid(above)}, "job": self._job(above)},
                )
                break
        return facets

    def _job_facets(self, node: Node) -> dict[str, Any]:
        url = str(node.attributes.get("url") or "") if node.kind is Kind.RUN else ""
        scp = _SCP.fullmatch(url)
        url = f"ssh://{scp[1]}{scp[2]}/{scp[3]}" if scp else url
        if not _URI.fullmatch(url):
            return {}
        told = {"type": "git", "url": url, "repoUrl": url}
        for facet, name in (("version", "commit"), ("branch", "branch")):
            value = node.attributes.get(name)
            if isinstance(value, str) and value:
                told[facet] = plain(value)
        schema = _schema("1-1-0", "SourceCodeLocationJobFacet")
        return {"sourceCodeLocation": _facet(schema, told)}

    def _causes(self, node: Node, *verbs: Verb) -> list[Node]:
        causes = (
            self._graph.node(edge.cause)
            for edge in self._graph.causes(node.id)
            if edge.verb in verbs
        )
        return list({cause.id: cause for cause in causes if cause.kind in _ENTITIES}.values())

    def _datasets(self, nodes: Iterable[Node]) -> list[dict[str, Any]]:
        return [
            {
                "namespace": self._namespace,
                "name": encodable(node.id),
                "facets": _dataset_facets(node),
            }
            for node in nodes
        ]


def _dataset_facets(node: Node) -> dict[str, Any]:
    values = node.attributes
    facets = {
        "mlflowVault": _facet(
            f"{_SCHEMA}/DatasetFacet",
            {"kind": node.kind.value, "label": plain(node.label), "held": node.held},
        )
    }
    version = values.get("b3") if node.kind is Kind.DATASET else values.get("digest")
    if isinstance(version, str) and version:
        schema = _schema("1-0-1", "DatasetVersionDatasetFacet")
        facets["version"] = _facet(schema, {"datasetVersion": plain(version)})
    return facets


def _schema(version: str, facet: str) -> str:
    return f"https://openlineage.io/spec/facets/{version}/{facet}.json#/$defs/{facet}"


def _facet(schema: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"_producer": _PRODUCER, "_schemaURL": schema, **values}


def _uuid(node: Node) -> str:
    """The UUID of *node*: of a run MLflow's own, which is one without its hyphens."""
    name = node.id.partition(":")[2]
    if node.kind is Kind.RUN and _RUN.fullmatch(name):
        return str(uuid.UUID(name))
    return str(uuid.uuid5(_NAMES, encodable(node.id)))
