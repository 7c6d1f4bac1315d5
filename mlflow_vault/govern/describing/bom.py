"""A version as a CycloneDX 1.6 machine-learning bill of materials.

    metadata.component    the model: its files, ancestors, and a card of what it takes and scores
    components            the packages it was made to run with
    dependencies          which of these the model needs

`cyclonedx-python-lib` has no model cards (11.12), so the document is put together here, of what the
version's record tells; the official schema judges it in the tests.  It is the same for the same
record, and names nothing that nobody told: no licences of packages, for one.

Pure: no I/O.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.digest import Digest
from mlflow_vault.govern.describing import facts
from mlflow_vault.govern.describing.facts import mapping, rows, text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.format.version import Version

_SCHEMA: Final = "http://cyclonedx.org/schema/bom-1.6.schema.json"
_MODEL: Final = "model"  # what the rest of the document calls the model
_KIND: Final = "machine-learning-model"
# Letters of an IRI that need no escape; anything else in a URL is told as text instead.
_URL: Final = re.compile(r"(https?|ssh|git)://[A-Za-z0-9._~/?#@!$&'()*+,;=:-]+")
_EXACT: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+!_-]*")
_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")


def bom(version: Version) -> dict[str, Any]:
    """Return the bill of materials of *version*, to be written as JSON."""
    packages = _packages(version)
    told: dict[str, Any] = {
        "$schema": _SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, _identity(version))}",
        "version": 1,
        "metadata": {
            "tools": {"components": [{"type": "application", "name": "mlflow-vault"}]},
            "component": _model(version),
        },
        "components": packages,
        "dependencies": [
            {"ref": _MODEL, "dependsOn": [each["bom-ref"] for each in packages]},
            *({"ref": each["bom-ref"]} for each in packages),
        ],
    }
    if when := facts.moment(version.created):
        told["metadata"]["timestamp"] = when
    return told


def _identity(version: Version) -> str:
    """What of *version* no other has: its files, and the commit that tells of them."""
    return f"{version.digest}/{text(version.id)}"


def _model(version: Version) -> dict[str, Any]:
    run = mapping(mapping(version.facts).get("run"))
    told = _without_nothing(
        {
            "authors": [{"name": author}] if (author := text(version.author)) else [],
            "version": str(version.number) if version.number else str(version.digest),
            "description": text(mapping(version.metadata).get("description")),
            "licenses": _licences(version),
            "pedigree": _pedigree(version),
            "components": _files(version),
            "modelCard": _card(version),
            "properties": _properties(
                ("mlflow_vault:digest", str(version.digest)),
                ("mlflow_vault:commit", version.id),
                ("mlflow:model_id", version.origin.model_id),
                ("mlflow:run_id", version.origin.run_id),
                ("mlflow:experiment", run.get("experiment")),
            ),
        }
    )
    return {
        "type": _KIND,
        "bom-ref": _MODEL,
        "name": text(version.name) or "model",
        "hashes": _hashes(version.digest),
        **told,
    }


def _files(version: Version) -> list[dict[str, Any]]:
    r"""Every file, each name once: bytes in it that are no UTF-8 are told as ``\udc80``."""
    named = {file.path.encode("utf-8", "backslashreplace").decode(): file for file in version.files}
    return [
        {
            "type": "file",
            "name": name,
            "hashes": [{"alg": "SHA-256", "content": file.sha256.hex()}, *_hashes(file.digest)],
        }
        for name, file in named.items()
    ]


def _hashes(digest: Digest) -> list[dict[str, str]]:
    return [{"alg": "BLAKE3", "content": digest.raw.hex()}]


def _licences(version: Version) -> list[dict[str, Any]]:
    name, known = facts.licence(version)
    return [{"license": {"id" if known else "name": name}}] if name else []


def _pedigree(version: Version) -> dict[str, Any]:
    """What the model was made from: versions, models that the run took in, and code."""
    above = [
        {"type": _KIND, "name": str(parent), "hashes": _hashes(parent)}
        for parent in version.parents
    ]
    for taken in rows(version.facts.get("inputs")):
        if name := text(taken.get("name")) or text(taken.get("model_id")):
            digest = _digest(taken.get("digest"))
            above.append(
                {"type": _KIND, "name": name, **({"hashes": _hashes(digest)} if digest else {})}
            )
    git = mapping(version.facts.get("git"))
    commit = text(git.get("commit"))
    told = {"uid": commit} if _COMMIT.fullmatch(commit) else {}
    if told and _URL.fullmatch(url := text(git.get("url"))):
        told["url"] = url
    dirty = "with changes that were not committed" if git.get("dirty") is True else ""
    return _without_nothing(
        {"ancestors": above, "commits": [told] if told else [], "notes": dirty if told else ""}
    )


def _card(version: Version) -> dict[str, Any]:
    measured: list[tuple[dict[str, Any], Any]] = [({}, version.facts.get("metrics"))]
    measured += [
        (mapping(each.get("dataset")), each.get("metrics"))
        for each in rows(version.facts.get("evaluations"))
    ]
    scores = [
        _without_nothing({"type": name, "value": value, "slice": text(dataset.get("name"))})
        for dataset, metrics in measured
        for name, value in facts.metrics(metrics).items()
    ]
    transformer = mapping(mapping(version.facts.get("flavors")).get("transformers"))
    parameters = {
        "task": text(transformer.get("task")),
        "modelArchitecture": text(transformer.get("pipeline_model_type")),
        "datasets": [_dataset(each) for each in rows(version.facts.get("datasets"))],
        "inputs": [{"format": each} for each in facts.columns(version, "inputs")],
        "outputs": [{"format": each} for each in facts.columns(version, "outputs")],
    }
    return _without_nothing(
        {
            "modelParameters": _without_nothing(parameters),
            "quantitativeAnalysis": {"performanceMetrics": scores} if scores else {},
            "properties": _properties(
                *(
                    (f"mlflow:param:{text(name)}", value)
                    for name, value in mapping(version.facts.get("params")).items()
                )
            ),
        }
    )


def _dataset(told: dict[str, Any]) -> dict[str, Any]:
    # Of data made by code MLflow tells the run's tags: who, on which machine, by which command.
    source = "" if told.get("source_type") == "code" else told.get("source")
    properties = _properties(
        ("mlflow:digest", told.get("digest")),
        ("mlflow_vault:digest", told.get("b3")),
        ("mlflow:context", told.get("context")),
        ("mlflow:source_type", told.get("source_type")),
        ("mlflow:source", source),
    )
    contents = {"contents": {"properties": properties}} if properties else {}
    return {"type": "dataset", "name": text(told.get("name")) or "dataset", **contents}


def _packages(version: Version) -> list[dict[str, Any]]:
    """The packages of the environment and its Python, each once."""
    environment = mapping(version.facts.get("environment"))
    asked = mapping(environment.get("packages")).items()
    found = [_library(text(name), text(wanted)) for name, wanted in asked if text(name)]
    if python := text(environment.get("python")):
        url = f"pkg:generic/python@{_escaped(python)}"
        found.append(
            {
                "type": "platform",
                "bom-ref": url,
                "name": "python",
                "version": python,
                "purl": url,
            }
        )
    return list({each["bom-ref"]: each for each in found}.values())


def _library(name: str, wanted: str) -> dict[str, Any]:
    """One package; a demand such as ``>=1.5`` names no version, so it is told as what it is."""
    url = f"pkg:pypi/{_escaped(re.sub('[-_.]+', '-', name).lower())}"
    library: dict[str, Any] = {"type": "library", "name": name}
    if _EXACT.fullmatch(wanted):
        url = f"{url}@{_escaped(wanted)}"
        library["version"] = wanted
    elif wanted:
        library["properties"] = _properties(("mlflow_vault:wanted", wanted))
    return {**library, "bom-ref": url, "purl": url}


def _escaped(part: str) -> str:
    return quote(part, safe="")


def _digest(told: Any) -> Digest | None:
    try:
        return Digest.parse(text(told))
    except InvalidInputError:
        return None


def _properties(*told: tuple[str, Any]) -> list[dict[str, str]]:
    pairs: Iterable[tuple[str, str]] = ((name, text(value)) for name, value in told)
    return [{"name": name, "value": value} for name, value in pairs if value]


def _without_nothing(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value not in ("", [], {})}
