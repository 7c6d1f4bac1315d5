"""What is known of versions: searched, traced, signed, described."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlflow_vault.decide.lineage.elements import Kind
from mlflow_vault.errors import InvalidInputError, NotFoundError, UntrustedError
from mlflow_vault.format import layout
from mlflow_vault.format.version import Version
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.knowledge import milliseconds
from mlflow_vault.govern.signing.keys import Key
from mlflow_vault.govern.signing.trust import Trust
from mlflow_vault.testing.vaults import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow_vault.testing.registry import Registry
    from mlflow_vault.vault import Vault

    Log = Callable[..., str]

BAD = {"name": "transactions", "digest": "aa", "b3": "b3:" + "1" * 64, "context": "training"}
GOOD = {"name": "transactions", "digest": "aa", "b3": "b3:" + "2" * 64, "context": "training"}


@pytest.fixture
def told(vault: Vault, registry: Registry, log: Log) -> Vault:
    """Three versions of a model, of two datasets, the second made from the first."""
    for number, (f1, team, data) in enumerate(
        [(0.8, "risk", GOOD), (0.9, "risk", BAD), (0.95, "growth", GOOD)], start=1
    ):
        uri = log(number, {"MLmodel": b"%d" % number})
        held = registry.known[uri]
        registry.told[held.location] = {
            "metrics": {"f1": f1},
            "tags": {"team": team},
            "run": {"id": held.run_id, "name": f"run-{number}", "start": 1_000 * number},
            "datasets": [data],
        }
        parent = "fraud/1" if number == 2 else ()
        vault.commit(uri, name="fraud", parent=parent)
    registry.alias("fraud", 2, "champion")
    return vault


@pytest.mark.parametrize(
    ("asked", "labels"),
    [
        ("", ["fraud/3", "fraud/2", "fraud/1"]),
        ("metrics.f1 > 0.85", ["fraud/3", "fraud/2"]),
        ("metrics.f1 > 0.85 AND tags.team = 'risk'", ["fraud/2"]),
        ("alias = 'champion' OR tags.team = 'growth'", ["fraud/3", "fraud/2"]),
        ("NOT tags.team = 'risk'", ["fraud/3"]),
        (f"dataset.digest = '{BAD['b3']}'", ["fraud/2"]),
        ("number IN (1, 3)", ["fraud/3", "fraud/1"]),
        ("metrics.recall > 0", []),
    ],
)
def test_search(told: Vault, asked: str, labels: list[str]) -> None:
    """Versions are found by what was told of them."""
    found = told.search_versions(asked, order_by=["metrics.f1 DESC"])

    assert [one.label for one in found if isinstance(one, Version)] == labels
    assert list(found.to_pandas().get("label", [])) == labels
    assert len(found) == len(labels)


def test_search_by_pages(told: Vault, registry: Registry) -> None:
    """Pages follow one another, and what is not held is among them."""
    registry.register("elsewhere", Held("s3://b/x", "s3://b/x"))
    first = told.search_versions(order_by=["name ASC"], max_results=2)
    second = told.search_versions(order_by=["name ASC"], max_results=2, page_token=first.token)

    rows = [*first.rows(), *second.rows()]
    assert [row["label"] for row in rows] == ["elsewhere/1", "fraud/3", "fraud/2", "fraud/1"]
    assert [row["held"] for row in rows] == [False, True, True, True]
    assert not second.token
    json.dumps(first.to_dict())
    assert "elsewhere/1" in first._repr_html_()


def test_search_finds_what_is_new(told: Vault, log: Log) -> None:
    """A version is found as soon as it is committed."""
    assert len(told.search_versions("name = 'fraud'")) == 3
    told.commit(log(9, {"MLmodel": b"9"}), name="fraud")
    assert len(told.search_versions("name = 'fraud'")) == 4


def test_search_says_where_it_is_wrong(told: Vault) -> None:
    """An error points at the column."""
    with pytest.raises(InvalidInputError, match=r"\^"):
        told.search_versions("metrics.f1 >> 3")


def test_impact(told: Vault) -> None:
    """A bad dataset is told from a good one of the same name and MLflow digest."""
    bad = told.impact(BAD["b3"])
    good = told.impact(GOOD["b3"])

    assert [node.label for node in bad.versions] == ["fraud/2"]
    assert [node.label for node in good.versions] == ["fraud/1", "fraud/2", "fraud/3"]
    with pytest.raises(InvalidInputError, match="may mean"):
        told.impact("transactions")
    with pytest.raises(NotFoundError, match="nothing-like-it"):
        told.impact("nothing-like-it")


def test_origin_and_lineage(told: Vault) -> None:
    """A version comes from its run, its data and its parent."""
    origin = told.origin("fraud/2")
    graph = told.lineage("fraud/2", direction="up", kinds=["dataset", "version"])

    assert {node.label for node in origin.runs} == {"run-1", "run-2"}
    assert len(origin.datasets) == 2
    assert {node.label for node in graph.of_kind(Kind.VERSION)} == {"fraud/1", "fraud/2"}
    assert "champion" in told.lineage("fraud@champion").to_mermaid()
    assert told.timeline("fraud")


def test_lineage_of_an_earlier_commit(told: Vault) -> None:
    """A version that was committed again, with more told of it, is still in the lineage."""
    first = told.version("fraud/1")
    told.commit("models:/fraud/1", metadata={"owner": "risk"})

    assert told.origin(first).node.label == "fraud/1"
    assert {node.label for node in told.impact(first).versions} >= {"fraud/2"}


def test_damaged_record(told: Vault, registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    """A record that is damaged costs its own version, which sync tells, and a warning."""
    second = told.version("fraud/2")
    key = layout.record_key(second.digest, second.id)
    told.store.put(key, b"damaged")

    labels = {node.label for node in told.lineage().of_kind(Kind.VERSION) if node.held}
    assert labels == {"fraud/1", "fraud/3"}
    assert key in caplog.text
    synced = told.sync()
    assert (len(synced.known), len(synced.failed)) == (2, 1)
    assert len(list(registry.registered("fraud"))) == 3


def test_as_of(told: Vault) -> None:
    """What was not yet known is not shown."""
    before = datetime(1971, 1, 1, tzinfo=UTC)

    assert "fraud/1" in told.lineage().to_dot()
    assert "fraud/1" not in told.lineage(as_of=before).to_dot()
    assert milliseconds("1970-01-01T01:00:00+01:00") == 0
    assert milliseconds(datetime(1970, 1, 1, 0, 0, 2)) == 2_000  # noqa: DTZ001 - UTC, as said
    with pytest.raises(InvalidInputError, match="no time"):
        milliseconds("tomorrow")


def test_diff(told: Vault) -> None:
    """Two references are enough to compare."""
    assert "metrics.f1 0.8 -> 0.9" in str(told.diff("fraud/1", "fraud/2"))


def _keys(folder: Path, name: str) -> tuple[Key, Trust]:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM
    (folder / name).write_bytes(
        private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public = private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub").write_bytes(public)
    return Key.from_files(folder / name), Trust.from_files(folder / f"{name}.pub")


def test_signatures(told: Vault, tmp_path: Path) -> None:
    """A version that must be signed is not checked out without, nor with another's signature."""
    key, trust = _keys(tmp_path, "ours")
    other, _ = _keys(tmp_path, "theirs")
    with pytest.raises(UntrustedError):
        told.checkout("fraud/1", tmp_path / "out", require_signature=trust)
    told.sign("fraud/1", other)
    with pytest.raises(UntrustedError):
        told.checkout("fraud/1", tmp_path / "out", require_signature=trust)
    assert not (tmp_path / "out").exists()

    signature = told.sign("fraud/1", key)

    assert len(told.signatures("fraud/1")) == 2
    assert signature.to_bytes() in told.signatures("fraud/1")
    assert told.checkout("fraud/1", tmp_path / "out", require_signature=trust).number == 1
    assert [verdict.holds for verdict in told.require_signature("fraud/1", trust)] == [True]
    with pytest.raises(UntrustedError):
        told.require_signature("fraud/2", trust)


def test_signature_of_another_version(told: Vault, tmp_path: Path) -> None:
    """A signature that somebody copies beside another version does not hold there."""
    key, trust = _keys(tmp_path, "ours")
    told.sign("fraud/1", key)
    second = told.version("fraud/2")
    told._records.put_signature(second, "copied", told.signatures("fraud/1")[0])

    with pytest.raises(UntrustedError):
        told.require_signature(second, trust)


def test_described(told: Vault) -> None:
    """A version has a bill of materials and a card."""
    assert told.bom("fraud/1")["bomFormat"] == "CycloneDX"
    assert told.model_card("fraud/1").startswith("---\n")


def test_without_a_dataset_digest(vault: Vault, registry: Registry, log: Log) -> None:
    """A dataset of which only MLflow's digest is known is traced, with a warning what to do."""
    uri = log(1, {"MLmodel": b"1"})
    registry.told[registry.known[uri].location] = {
        "run": {"id": "0" * 32, "name": "r"},
        "datasets": [{"name": "set", "digest": "ab", "b3": ""}],
    }
    vault.commit(uri, name="fraud")

    warnings = vault.lineage().warnings
    assert any("set" in warning and "log_input" in warning for warning in warnings)
    assert [node.label for node in vault.impact("set@ab").versions] == ["fraud/1"]


def test_what_lies_elsewhere(told: Vault, registry: Registry) -> None:
    """Registered models outside the vault are in the lineage, marked as not held."""
    registry.register("elsewhere", Held("s3://b/x", "s3://b/x"))
    write(told, "9/plain/artifacts/file", b"plain")

    nodes = {node.label: node.held for node in told.lineage().of_kind(Kind.VERSION)}
    assert nodes == {"fraud/1": True, "fraud/2": True, "fraud/3": True, "elsewhere/1": False}


def test_index_that_is_lost(told: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that somebody removes or damages is made again, and finds the same."""
    monkeypatch.setenv("MLFLOW_VAULT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MLFLOW_VAULT_CACHE_LIMIT", "1000000")
    labels = [row["label"] for row in told.search_versions().rows()]
    (file,) = (tmp_path / "cache" / "index").glob("*.sqlite")

    file.write_bytes(b"SQLite format 3\0" + bytes(4096))
    assert [row["label"] for row in told.search_versions().rows()] == labels
    for each in file.parent.iterdir():
        each.unlink()
    assert [row["label"] for row in told.search_versions().rows()] == labels


def test_audit(told: Vault, tmp_path: Path) -> None:
    """Commits, signatures and refused deletes are in the audit log; what is known is not added."""
    version = told.version("fraud/1")
    told.commit("models:/fraud/1")
    told.delete(version.origin.path)
    key, _ = _keys(tmp_path, "ours")
    told.sign(version, key)

    entries = list(told.audit.search())
    assert [entry.action for entry in entries] == [
        "commit", "commit", "commit", "delete_refused", "sign",
    ]  # fmt: skip
    assert {entry.subject.digest for entry in entries[3:]} == {version.digest}
    assert entries[0].after == {"number": 1, "commit": version.id}
    assert told.audit.verify().is_whole
    assert sorted(told.audit.at(datetime.now(UTC)).models["fraud"].versions) == [1, 2, 3]
