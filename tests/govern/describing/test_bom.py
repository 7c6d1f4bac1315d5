"""A bill of materials is valid, whatever a record tells, and tells what it does."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from hypothesis import given, settings
from hypothesis import strategies as st
from packageurl import PackageURL

from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import File, Origin, Version, digest_of
from mlflow_vault.govern.describing.bom import bom

JUDGE: Final = JsonStrictValidator(SchemaVersion.V1_6)
FILES: Final = (
    File("MLmodel", 3, Digest.of(b"abc"), bytes(32)),
    File("model.safetensors", 9, Digest.of(b"weights"), b"\x01" * 32),
)
COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"
FACTS: Final = {
    "metrics": {"f1": 0.5, "loss": "NaN"},
    "params": {"lr": "0.1"},
    "signature": {
        "inputs": [
            {"type": "double", "name": "age", "required": True},
            {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}},
        ],
        "outputs": [{"type": "long"}],
        "params": None,
    },
    "flavors": {"transformers": {"task": "text-classification"}, "python_function": {}},
    "datasets": [{"name": "train", "digest": "ab", "b3": "b3:" + "0" * 64, "context": "training"}],
    "evaluations": [{"metrics": {"f1": 0.25}, "dataset": {"name": "holdout"}}],
    "environment": {
        "python": "3.11.7",
        "packages": {"numpy": "2.4.6", "odd": "", "scikit_learn": "1.5.0+cu12", "torch": ">=2,<3"},
    },
    "git": {"commit": COMMIT, "url": "https://example.com/fraud.git", "dirty": True},
    "inputs": [{"model_id": "m-1", "digest": str(Digest.of(b"base"))}],
    "run": {"experiment": "Fraud"},
}
VERSION: Final = Version(
    digest=digest_of(FILES),
    id="0c" * 16,
    name="fraud",
    number=3,
    created=1_700_000_000_000,
    author="ada",
    origin=Origin("runs:/1/model", "1/run/artifacts/model", "m-2", "run"),
    files=FILES,
    parents=(Digest.of(b"parent"),),
    metadata={"license": "apache-2.0", "description": "Finds fraud."},
    facts=FACTS,
    content="0c" * 16,
)


def dictionaries(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mappings with text for keys."""
    return st.dictionaries(st.text(max_size=9), inner, max_size=3)


anything: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=9,
)


def judged(version: Version) -> dict[str, Any]:
    """The bill of materials of *version*, which the official schema has found valid."""
    text = json.dumps(bom(version))
    errors = JUDGE.validate_str(text)
    assert errors is None, errors
    found: dict[str, Any] = json.loads(text)
    return found


def test_told() -> None:
    """What the record tells of the model stands where CycloneDX has a place for it."""
    found = judged(VERSION)

    model = found["metadata"]["component"]
    told = (model["type"], model["name"], model["version"])
    assert told == ("machine-learning-model", "fraud", "3")
    assert model["hashes"] == [{"alg": "BLAKE3", "content": VERSION.digest.raw.hex()}]
    assert model["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert [each["name"] for each in model["components"]] == ["MLmodel", "model.safetensors"]
    assert model["components"][1]["hashes"][0] == {"alg": "SHA-256", "content": "01" * 32}
    assert [each["name"] for each in model["pedigree"]["ancestors"]] == [
        str(Digest.of(b"parent")),
        "m-1",
    ]
    assert model["pedigree"]["commits"] == [{"uid": COMMIT, "url": "https://example.com/fraud.git"}]
    card = model["modelCard"]
    assert card["modelParameters"]["task"] == "text-classification"
    assert card["modelParameters"]["datasets"][0]["name"] == "train"
    assert card["modelParameters"]["inputs"] == [
        {"format": "age: double"},
        {"format": "float32[-1, 4]"},
    ]
    assert card["modelParameters"]["outputs"] == [{"format": "long"}]
    assert card["quantitativeAnalysis"]["performanceMetrics"] == [
        {"type": "f1", "value": "0.5"},
        {"type": "loss", "value": "NaN"},
        {"type": "f1", "value": "0.25", "slice": "holdout"},
    ]
    assert card["properties"] == [{"name": "mlflow:param:lr", "value": "0.1"}]


def test_packages() -> None:
    """Packages are named as their registry does, and their versions only where they are known."""
    found = judged(VERSION)

    urls = [each["purl"] for each in found["components"]]
    assert urls == [
        "pkg:pypi/numpy@2.4.6",
        "pkg:pypi/odd",
        "pkg:pypi/scikit-learn@1.5.0%2Bcu12",
        "pkg:pypi/torch",
        "pkg:generic/python@3.11.7",
    ]
    assert [PackageURL.from_string(url).to_string() for url in urls] == urls
    known = [each.get("version") for each in found["components"]]
    assert known == ["2.4.6", None, "1.5.0+cu12", None, "3.11.7"]
    assert found["dependencies"][0] == {"ref": "model", "dependsOn": urls}
    assert not any("licenses" in each for each in found["components"])


def test_the_same_again() -> None:
    """The same record makes the same document; another commit of the files makes another."""
    again = Version.from_bytes(VERSION.to_bytes(), "k")
    other = replace(VERSION, id="0d" * 16)

    assert json.dumps(bom(again)) == json.dumps(bom(VERSION))
    assert bom(other)["serialNumber"] != bom(VERSION)["serialNumber"]


def test_sources() -> None:
    """Where data came from is told; that of data made by code is the run's tags, and is not."""
    told = [
        {"name": "a", "source_type": "http", "source": "https://example.com/a.csv"},
        {"name": "b", "source_type": "code", "source": '{"tags": {"mlflow.user": "ada"}}'},
    ]

    found = judged(replace(VERSION, facts={"datasets": told}))

    text = json.dumps(found["metadata"]["component"]["modelCard"])
    assert "https://example.com/a.csv" in text
    assert "mlflow.user" not in text


def test_nothing_known() -> None:
    """A record that tells nothing makes a document that is short and valid."""
    version = Version(digest_of([]), "", "", 0, 10**400, "", Origin("", ""), ())

    found = judged(version)

    assert found["components"] == []
    assert "modelCard" not in found["metadata"]["component"]
    assert "timestamp" not in found["metadata"]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://a b", "https://[", "file:///etc/passwd", "", 7]
)
def test_addresses(url: object) -> None:
    """What is no plain address of a repository is not given as one."""
    version = replace(VERSION, facts={"git": {"commit": COMMIT, "url": url}})

    assert judged(version)["metadata"]["component"]["pedigree"]["commits"] == [{"uid": COMMIT}]


def test_names() -> None:
    """Files are told apart, whatever bytes their names are of."""
    same = (Digest.of(b""), bytes(32))
    files = tuple(File(path, 0, *same) for path in ("a\x01", "a\x02", "\udc80", "\udc81", "\u202e"))

    found = judged(replace(VERSION, files=files, digest=digest_of(files)))

    assert len({each["name"] for each in found["metadata"]["component"]["components"]}) == 5


@given(
    told=st.fixed_dictionaries({}, optional=dict.fromkeys(FACTS, anything)),
    metadata=st.dictionaries(st.sampled_from(["license", "licence", "description"]), anything),
    name=st.text(max_size=9),
)
@settings(max_examples=40)
def test_hostile(told: dict[str, Any], metadata: dict[str, Any], name: str) -> None:
    """Facts of any kind in any place make a valid document."""
    judged(replace(VERSION, facts=told, metadata=metadata, name=name, author=name, id=name))


@given(inner=anything, which=st.sampled_from(["name", "digest", "commit", "packages", "metrics"]))
@settings(max_examples=40)
def test_hostile_inside(inner: Any, which: str) -> None:
    """So do facts that are of the right kind outside and of any inside."""
    told: dict[str, Any] = {
        name: [{which: inner}, inner] for name in ("datasets", "evaluations", "inputs")
    }
    for name in ("environment", "git", "run", "signature"):
        told[name] = {which: inner, "inputs": [inner]}

    judged(replace(VERSION, facts=told))
