"""What is told of a version: kept as it comes back, or refused before anything happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import InvalidInputError, PermissionDeniedError, StorageError
from mlflow_vault.format import layout
from mlflow_vault.format.record import Kind, frame_json, unframe_json
from mlflow_vault.govern.host import REQUIRED_TAG, Held
from mlflow_vault.testing.registry import Registry
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Log = Callable[..., str]

FILES = {"MLmodel": b"flavors: {}\n"}


def _deep(levels: int) -> list[object]:
    found: list[object] = []
    for _ in range(levels):
        found = [found]
    return found


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "metadata of fraud/1 cannot be kept as JSON"),
        ([0] * 3_000_001, "told of fraud/1 cannot be kept"),
        (_deep(100_000), "nested too deeply"),
        (10**5000, "metadata of fraud/1 cannot be kept as JSON"),
    ],
    ids=["object", "much", "deep", "long"],
)
def test_what_cannot_be_kept(
    vault: Vault, registry: Registry, log: Log, value: object, said: str
) -> None:
    """Metadata that could not be read again seals nothing and registers nothing."""
    with pytest.raises(InvalidInputError, match=said):
        vault.commit(log(1, FILES), name="fraud", metadata={"owner": value})

    assert not list(registry.registered("fraud"))
    assert not list(vault.store.list(layout.SEALS))
    assert not list(vault.store.list(layout.INTENTS))


def test_metadata_comes_back(vault: Vault, log: Log) -> None:
    """What a commit returns is what is read later, and it is not committed a second time."""
    uri = log(1, FILES)
    told = {"layers": (64, 32), "loss": float("inf"), "by": {1: "risk"}}

    version = vault.commit(uri, name="fraud", metadata=told)

    assert version.metadata == {"layers": [64, 32], "loss": "Infinity", "by": {"1": "risk"}}
    assert vault.version("fraud/1") == version
    assert vault.commit(uri, name="fraud", metadata=told) == version


def test_facts_come_back(vault: Vault, registry: Registry, log: Log) -> None:
    """Facts are returned as they are kept, too."""
    uri = log(1, FILES)
    registry.told[registry.known[uri].location] = {"metrics": {"loss": float("nan")}}

    assert vault.commit(uri, name="fraud") == vault.version("fraud/1")


def test_tag_that_fails(vault: Vault, registry: Registry, log: Log) -> None:
    """What was committed stays registered, even if the registry does not take its tag."""

    class Untagged(Registry):
        def tag(self, held: Held, tags: Mapping[str, str]) -> None:
            raise StorageError(f"{held.uri} takes no {tags}")

    uri = log(1, FILES)
    host = Untagged()
    host.known = registry.known
    vault = Vault(vault.store, vault.identity, host=lambda: host)

    with pytest.raises(StorageError, match="takes no"):
        vault.commit(uri, name="fraud")

    assert [held.uri for held in host.registered("fraud")] == ["models:/fraud/1"]
    assert vault.version("fraud/1").number == 1


def test_tag_that_is_not_ours_to_set(
    vault: Vault, registry: Registry, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """A registry that lets only its server set the tag does not keep anybody from syncing."""

    class Denying(Registry):
        def tag(self, held: Held, tags: Mapping[str, str]) -> None:
            raise PermissionDeniedError(f"the tags {tags} of {held.uri} are the server's")

    host = Denying()
    for number in (1, 2):
        uri = log(number, {"MLmodel": b"%d" % number})
        host.register("fraud", registry.known[uri])
    vault = Vault(vault.store, vault.identity, host=lambda: host)

    assert vault.sync().adopted == ("fraud/1", "fraud/2")
    assert "fraud/1 is committed, but its tag is not set" in caplog.text
    assert vault.sync().known == ("fraud/1", "fraud/2")
    assert vault.version("fraud/latest").number == 2


def test_record_of_a_later_release(vault: Vault, log: Log) -> None:
    """Keys of a record that are unknown here are passed over."""
    version = vault.commit(log(1, FILES), name="fraud")
    key = layout.record_key(version.digest, version.id)
    body = unframe_json(Kind.VERSION, vault.store.get(key), key)
    body["origin"]["workspace"] = "default"
    vault.store.put(key, frame_json(Kind.VERSION, {**body, "more": []}))

    assert vault.version("fraud/1") == version


@pytest.mark.parametrize("said", ['{"owner": 5}', "[1]", "{", '{"owner": ["text"]}'])
def test_required_metadata_of_strangers(
    vault: Vault, registry: Registry, log: Log, said: str
) -> None:
    """Whatever the tag says that anybody can set, the message tells how to mend it."""
    registry.tag_model("fraud", {REQUIRED_TAG: said})

    with pytest.raises(InvalidInputError, match=r"with vault\.require"):
        vault.commit(log(1, FILES), name="fraud")
