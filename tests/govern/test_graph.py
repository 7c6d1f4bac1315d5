"""The lineage of a real vault: what was told, and what entries of real files show."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.decide.lineage.elements import Known
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import File, Origin, Version, digest_of
from mlflow_vault.govern.graph import Ancestry, lineage_of
from mlflow_vault.govern.host import Held
from mlflow_vault.testing.models import safetensors, trained, weights
from mlflow_vault.testing.vaults import entry_of, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow_vault.format.entry import Entry

_LAYERS = 5


class History:
    """Versions of models in a vault, and how often their entries were read."""

    def __init__(self, name: str) -> None:
        self.vault = Vault.init(f"vault-memory://{name}")
        self.versions: list[Version] = []
        self.read: list[str] = []

    def commit(self, layers: list[int], drift: int = 0) -> Version:
        """Write a model whose layers come from seeds, trained *drift* steps; commit it."""
        number = len(self.versions) + 1
        tensors = {f"layer{index}": weights(seed, 300, 300) for index, seed in enumerate(layers)}
        for step in range(drift):
            tensors = {name: trained(array, step) for name, array in tensors.items()}
        path = f"1/run{number}/artifacts"
        files = {"model.safetensors": safetensors(tensors), "requirements.txt": b"numpy\n"}
        found = []
        for name, plain in files.items():
            write(self.vault, f"{path}/{name}", plain)
            found.append(File(name, len(plain), Digest.of(plain), bytes(32)))
        version = Version(
            digest=digest_of(found),
            id=f"{number:04x}",
            name="bert",
            number=number,
            created=number * 1000,
            author="ann",
            origin=Origin("", path, f"m-{number}", f"run{number}"),
            files=tuple(found),
        )
        self.versions.append(version)
        return version

    def entries(self, version: Version) -> Mapping[str, Entry]:
        """The entries of *version*."""
        self.read.append(version.label)
        if version.number > 90:
            raise CorruptionError("versions/content/x", "it is no entry")
        return {
            file.path: entry_of(self.vault.store, f"{version.origin.path}/{file.path}")
            for file in version.files
        }


@pytest.fixture
def history(request: pytest.FixtureRequest) -> History:
    """A vault of its own."""
    return History(request.node.name)


def test_discovered(history: History) -> None:
    """A new head leaves most bytes, training changes all a little, another model has neither."""
    first = history.commit([1, 2, 3, 4, 5])
    head = history.commit([1, 2, 3, 4, 9])
    tuned = history.commit([1, 2, 3, 4, 5], drift=1)
    other = history.commit([11, 12, 13, 14, 15])

    graph = lineage_of(history.versions, ancestry=Ancestry(history.entries))

    found = {
        (edge.effect, edge.cause): edge.attributes
        for edge in graph.edges
        if edge.known is Known.CONTENT
    }
    start = f"version:{first.digest}/{first.id}"
    by_content, by_coding = (f"artifact:{head.digest}", start), (f"artifact:{tuned.digest}", start)
    assert found[by_content]["share"] == pytest.approx(0.8, abs=0.01)
    assert found[by_coding]["coded"] > 0.75  # its last layer was written beside the new head
    assert found[by_coding]["share"] < 0.01
    assert not any(str(other.digest) in end for pair in found for end in pair)
    for direction, of, others in (
        ("down", first, {"bert/1", "bert/2", "bert/3"}),
        ("up", head, {"bert/1", "bert/2"}),
        ("both", other, {"bert/4"}),
    ):
        traced = graph.trace(f"version:{of.digest}/{of.id}", direction, kinds=["version"])
        assert {node.label for node in traced.nodes} == others


def test_read_once(history: History) -> None:
    """The entries of a version are read once, however often its lineage is asked for."""
    history.commit([1, 2])
    ancestry = Ancestry(history.entries)
    lineage_of(history.versions, ancestry=ancestry)
    history.commit([1, 3])

    graph = lineage_of(history.versions, ancestry=ancestry)

    assert history.read == ["bert/1", "bert/2"]
    assert graph == lineage_of(history.versions, ancestry=Ancestry(history.entries))


def test_without_content(history: History) -> None:
    """Where only what was told is asked for, no entry is read."""
    version = history.commit([1])
    held = Held(
        uri="models:/bert/1", location="", name="bert", number=1, digest=str(version.digest)
    )

    graph = lineage_of(history.versions, [held])

    assert f"version:{version.digest}/{version.id}" in graph
    assert not history.read


def test_damage(history: History, caplog: pytest.LogCaptureFixture) -> None:
    """A version whose entries are damaged is there, without ancestry by content, and said so."""
    history.commit([1, 2])
    history.commit([1, 3])
    damaged = Version(
        digest=Digest.of(b"damaged"),
        id="ffff",
        name="bert",
        number=99,
        created=99_000,
        author="",
        origin=Origin("", ""),
        files=(),
    )

    with caplog.at_level(logging.WARNING):
        graph = lineage_of([*history.versions, damaged], ancestry=Ancestry(history.entries))

    assert "bert/99" in caplog.text
    assert f"artifact:{damaged.digest}" in graph
    assert [edge.known for edge in graph.edges].count(Known.CONTENT) == 1


def test_limit(history: History, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond the limit the oldest versions are not compared, and it says so."""
    for seed in (3, 4, 5):
        history.commit([1, seed])
    two_versions = 4  # layers; the header is too small to count

    with caplog.at_level(logging.WARNING):
        graph = lineage_of(history.versions, ancestry=Ancestry(history.entries, two_versions))

    found = [edge for edge in graph.edges if edge.known is Known.CONTENT]
    assert [edge.cause for edge in found] == [f"version:{history.versions[1].digest}/0002"]
    assert "bert/1 and older" in caplog.text


def test_same_files_again(history: History) -> None:
    """Files that are committed once more are as old as they were."""
    first = history.commit([1, 2, 3])
    later = history.commit([1, 2, 9])
    again = replace(first, id="ff", name="copy", created=9000)

    graph = lineage_of([first, later, again], ancestry=Ancestry(history.entries))

    found = [(edge.effect, edge.cause) for edge in graph.edges if edge.known is Known.CONTENT]
    assert found == [(f"artifact:{later.digest}", f"version:{first.digest}/{first.id}")]
