"""Versions: commit, look up, check out, verify, sync."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from blake3 import blake3

from mlflow_vault.errors import (
    CorruptionError,
    InvalidInputError,
    NotFoundError,
    SealedError,
    StorageError,
    UnsupportedError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.record import Kind, frame_json, unframe_json
from mlflow_vault.format.version import File, Version, digest_of
from mlflow_vault.govern.host import DIGEST_TAG, Held
from mlflow_vault.govern.records import file_of
from mlflow_vault.testing.vaults import objects, read, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow_vault.testing.registry import Registry
    from mlflow_vault.vault import Vault

    Log = Callable[..., str]

WEIGHTS = np.random.default_rng(5).normal(size=(300, 1000)).astype("<f4").tobytes()
FILES = {"MLmodel": b"flavors: {}\n", "model/weights.bin": WEIGHTS, "model/empty": b""}


def test_commit(vault: Vault, registry: Registry, log: Log) -> None:
    """A commit names the files, keeps what was known, registers, tags and seals."""
    uri = log(1, FILES)
    registry.told[registry.known[uri].location] = {"metrics": {"f1": 0.9, "loss": float("nan")}}

    version = vault.commit(uri, name="fraud", metadata={"owner": "risk"})

    assert version.label == "fraud/1"
    assert [(file.path, file.size) for file in version.files] == [
        ("MLmodel", 12),
        ("model/empty", 0),
        ("model/weights.bin", len(WEIGHTS)),
    ]
    assert version.files[2].sha256 == hashlib.sha256(WEIGHTS).digest()
    assert version.origin.model_id == registry.known[uri].model_id
    assert version.metadata == {"owner": "risk"}
    assert vault.version("fraud/1").facts == {
        "metrics": {"f1": 0.9, "loss": "NaN"},
        "described": 12,
    }
    assert registry.resolve("models:/fraud/1").digest == str(version.digest)
    with pytest.raises(SealedError, match="fraud/1"):
        write(vault, version.origin.path + "/MLmodel", b"other")
    assert vault.delete(version.origin.path) == (version.origin.path,)


def test_digest_is_of_the_files_alone(vault: Vault, log: Log) -> None:
    """The same files have one digest whatever else is told, and it is what docs/format.md says."""
    first = vault.commit(log(1, FILES), name="a", metadata={"x": 1})
    second = vault.commit(log(2, FILES), name="b")
    other = vault.commit(log(3, {**FILES, "MLmodel": b"flavors: {}\r\n"}), name="b")

    said = b"mlflow-vault version 1\n"
    for path in sorted(FILES):
        digest = blake3(FILES[path]).hexdigest()
        said += f"{len(path)} {path} {len(FILES[path])} b3:{digest}\n".encode()
    assert first.digest == second.digest == Digest(blake3(said).digest()) != other.digest


def test_commit_again(vault: Vault, log: Log) -> None:
    """What was committed is not committed again, unless more is told of it."""
    uri = log(1, FILES)
    first = vault.commit(uri, name="fraud")

    assert vault.commit(uri, name="fraud") == first
    assert vault.commit("models:/fraud/1") == first
    told = vault.commit(uri, name="fraud", metadata={"owner": "risk"})
    assert (told.number, told.digest) == (1, first.digest)
    assert vault.version("fraud/1") == told
    assert vault.versions("fraud") == (told,)
    assert vault.commit(uri, name="fraud") == told


def test_without_a_name(vault: Vault, log: Log) -> None:
    """A version need not be registered."""
    version = vault.commit(log(1, FILES))

    assert (version.name, version.number, version.label) == ("", 0, str(version.digest))
    assert vault.version(str(version.digest)) == version


def test_one_file(vault: Vault) -> None:
    """A single file is a version too, by its own name."""
    path = "1/run/artifacts/plots/roc.png"
    write(vault, path, b"png")

    version = vault.commit(f"{vault.uri}/{path}")

    assert [file.path for file in version.files] == ["roc.png"]
    assert vault.verify(str(version.digest)).is_whole


def test_parents(vault: Vault, log: Log) -> None:
    """A parent is any reference, one or several."""
    first = vault.commit(log(1, FILES), name="a")
    second = vault.commit(log(2, {"MLmodel": b"2"}), name="a", parent="a/1")
    third = vault.commit(log(3, {"MLmodel": b"3"}), name="a", parent=[first, str(second.digest)])

    assert second.parents == (first.digest,)
    assert third.parents == (first.digest, second.digest)
    with pytest.raises(NotFoundError, match="a/9"):
        vault.commit(log(4, {"MLmodel": b"4"}), name="a", parent="a/9")


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, r"owner \(text\) is missing: who answers for it; reviewed \(flag\) is missing"),
        ({"owner": "", "reviewed": True}, r"owner \(text\) is ''"),
        ({"owner": "risk", "reviewed": "yes"}, r"reviewed \(flag\) is 'yes'"),
    ],
)
def test_required_metadata(
    vault: Vault, registry: Registry, log: Log, metadata: dict[str, object], said: str
) -> None:
    """What a model requires is asked for before anything happens."""
    uri = log(1, FILES)
    keys = {"owner": {"type": "text", "help": "who answers for it"}, "reviewed": {"type": "flag"}}
    vault.require("fraud", keys)

    with pytest.raises(InvalidInputError, match=said):
        vault.commit(uri, name="fraud", metadata=metadata)

    assert not list(registry.registered("fraud"))
    assert (
        vault.commit(uri, name="fraud", metadata={"owner": "risk", "reviewed": False}).number == 1
    )
    with pytest.raises(UnsupportedError, match="colour"):
        vault.require("fraud", {"owner": {"type": "colour"}})


def test_metadata_that_is_no_json(vault: Vault, registry: Registry, log: Log) -> None:
    """What cannot be kept is refused, and the registration taken back."""
    with pytest.raises(InvalidInputError, match="metadata of fraud/1 cannot be kept"):
        vault.commit(log(1, FILES), name="fraud", metadata={"when": object()})

    assert not list(registry.registered("fraud"))


def test_nothing_there(vault: Vault, registry: Registry) -> None:
    """A model whose files are gone is no version, nor one that lies elsewhere."""
    location = f"{vault.uri}/1/models/m-0/artifacts"
    registry.known["models:/gone"] = Held("models:/gone", location)
    registry.known["models:/else"] = Held("models:/else", "s3://bucket/1/models/m-1/artifacts")

    with pytest.raises(NotFoundError, match="nothing lies at 1/models/m-0/artifacts"):
        vault.commit("models:/gone", name="fraud")
    with pytest.raises(InvalidInputError, match=f"outside this vault, {vault.uri}"):
        vault.commit("models:/else", name="fraud")
    with pytest.raises(NotFoundError, match="no models:/fraud/1"):
        vault.commit("models:/fraud/1")
    assert not list(registry.registered("fraud"))


def test_several_roots(vault: Vault, log: Log) -> None:
    """A folder above artifact roots is refused: nobody below would see its seal."""
    log(1, FILES)
    log(2, FILES)

    with pytest.raises(InvalidInputError, match="several runs or models"):
        vault.commit(f"{vault.uri}/1")


def test_references(vault: Vault, registry: Registry, log: Log) -> None:
    """Every spelling of a version finds it."""
    first = vault.commit(log(1, FILES), name="fraud")
    second = vault.commit(log(2, {"MLmodel": b"2"}), name="fraud")
    registry.alias("fraud", 1, "champion")
    digits = str(first.digest)

    for reference in (
        "models:/fraud/1",
        "fraud/1",
        " models:/fraud@champion ",
        "fraud@champion",
        first.origin.uri,
        registry.known[f"models:/{first.origin.model_id}"].location,
        digits,
        digits[:10],
        first,
        first.digest,
    ):
        assert vault.version(reference) == first, reference
    assert vault.version("fraud/latest") == second


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("fraud/7", "it holds fraud/1, 2.*vault.sync"),
        ("risk/1", "it holds none"),
        ("b3:" + "0" * 64, "no version of this vault"),
        ("models:/fraud@nobody", "nor does this vault"),
        ("models:/m-" + "9" * 32, "nor does this vault"),
    ],
)
def test_no_such_version(vault: Vault, log: Log, reference: str, said: str) -> None:
    """What does not exist is said, and what to do."""
    vault.commit(log(1, FILES), name="fraud")
    vault.commit(log(2, {"MLmodel": b"2"}), name="fraud")

    with pytest.raises(NotFoundError, match=said):
        vault.version(reference)


@pytest.mark.parametrize("reference", ["", "b3:", "b3:0", "b3:xyz", "s3://elsewhere/1"])
def test_no_reference(vault: Vault, reference: str) -> None:
    """What is no reference of this vault's is refused."""
    with pytest.raises((InvalidInputError, NotFoundError)):
        vault.version(reference)


def test_ambiguous_digits(vault: Vault, log: Log) -> None:
    """Two digits of several digests are not enough, and the message has more."""
    seen: dict[str, str] = {}
    for number in range(1, 400):
        version = vault.commit(log(number, {"MLmodel": str(number).encode()}))
        short = str(version.digest)[:5]
        if short in seen:
            break
        seen[short] = str(version.digest)

    with pytest.raises(InvalidInputError, match=f"ambiguous.*{version.digest}"):
        vault.version(short)


def test_numbers_start_again(vault: Vault, registry: Registry, log: Log) -> None:
    """After a model was deleted a number is ambiguous, unless MLflow says which."""
    first = vault.commit(log(1, FILES), name="fraud")
    registry.forget("fraud")
    assert vault.version("fraud/1") == first
    second = vault.commit(log(2, {"MLmodel": b"2"}), name="fraud")

    assert second.number == 1
    assert vault.version("fraud/1") == second
    registry.forget("fraud")
    with pytest.raises(InvalidInputError, match=f"ambiguous.*{min(first.digest, second.digest)}"):
        vault.version("fraud/1")
    assert set(vault.versions("fraud")) == {first, second}


def test_forgotten_model(vault: Vault, registry: Registry, log: Log) -> None:
    """A logged model that MLflow no longer has is found by what was told of it."""
    version = vault.commit(log(1, FILES), name="fraud")
    uri = version.origin.uri if version.origin.uri.startswith("models:/m-") else ""
    registry.known.clear()

    assert vault.version(uri or f"models:/{version.origin.model_id}") == version


def test_disagreement(
    vault: Vault, registry: Registry, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the registry tells another digest, both are named; the vault's is served."""
    version = vault.commit(log(1, FILES), name="fraud")
    wrong = "b3:" + "12" * 32
    registry.tag(registry.resolve("models:/fraud/1"), {DIGEST_TAG: wrong})
    registry.alias("fraud", 1, "prod")

    assert vault.version("fraud@prod") == version
    assert wrong in caplog.text
    assert str(version.digest) in caplog.text
    synced = vault.sync()
    assert not synced.is_clean
    assert wrong in synced.disagreeing[0]


def test_checkout(vault: Vault, log: Log, tmp_path: Path) -> None:
    """A version comes back whole after its path and all of MLflow's knowledge are gone."""
    version = vault.commit(log(1, FILES), name="fraud")
    for seal in vault.store.list(layout.SEALS):
        vault.store.delete(seal.key)
    vault.delete("1")

    vault.checkout(version.digest, tmp_path / "out")

    found = {
        path.relative_to(tmp_path / "out").as_posix(): path.read_bytes()
        for path in (tmp_path / "out").rglob("*")
        if path.is_file()
    }
    assert found == FILES
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
    assert vault.verify("models:/fraud/1").is_whole


def test_checkout_refuses_what_is_there(vault: Vault, log: Log, tmp_path: Path) -> None:
    """Nothing is replaced: an empty folder will do, others and links are refused."""
    version = vault.commit(log(1, FILES), name="fraud")
    empty, full, link = tmp_path / "empty", tmp_path / "full", tmp_path / "link"
    empty.mkdir()
    full.mkdir()
    (full / "mine").write_bytes(b"")
    link.symlink_to(empty)

    vault.checkout(version, empty)
    for place in (full, link, full / "mine"):
        with pytest.raises(InvalidInputError, match="new or empty folder"):
            vault.checkout(version, place)

    assert [path.name for path in full.iterdir()] == ["mine"]


def test_lost_pack(vault: Vault, log: Log, tmp_path: Path) -> None:
    """A damaged file is found, and nothing is checked out."""
    version = vault.commit(log(1, FILES), name="fraud")
    for found in vault.store.list(layout.PACKS):
        vault.store.delete(found.key)

    with pytest.raises(CorruptionError, match=r"weights\.bin"):
        vault.checkout(version, tmp_path / "out")
    damaged = vault.verify("models:/fraud/1").damaged
    assert [damage.path for damage in damaged] == ["model/weights.bin"]
    assert not list(tmp_path.iterdir())
    with pytest.raises(StorageError, match="is gone or about to be collected"):
        vault.commit("models:/fraud/1", metadata={"more": 1})


def test_written_around_the_seal(vault: Vault, log: Log) -> None:
    """Verifying a version notices that its artifact path holds something else by now."""
    version = vault.commit(log(1, FILES), name="fraud")
    for found in vault.store.list(layout.SEALS):
        vault.store.delete(found.key)
    vault._seals._looks.clear()
    write(vault, version.origin.path + "/MLmodel", b"other")

    damaged = vault.verify("models:/fraud/1").damaged

    assert "around the seal" in damaged[0].reason
    assert vault.version("fraud/1") == version


def test_every_byte_of_a_version_counts(vault: Vault, log: Log) -> None:
    """Any changed byte of a record, a name or its content is an error, never another answer."""
    version = vault.commit(log(1, FILES), name="fraud")
    for key, stored in objects(vault.store).items():
        if not key.startswith("versions/"):
            continue
        for at in {*range(0, len(stored), 97), *range(16)}:
            damaged = bytearray(stored)
            damaged[at] ^= 1
            vault.store.put(key, damaged)
            if key.startswith(layout.NAMES):
                continue  # what it says is in its key
            with pytest.raises((CorruptionError, UnsupportedError)):
                vault.entries("fraud/1")
        vault.store.put(key, stored)
    assert vault.version("fraud/1") == version


def test_swapped_records(vault: Vault, log: Log) -> None:
    """A whole record in the place of another is noticed, and so is another's content."""
    first = vault.commit(log(1, FILES), name="fraud")
    second = vault.commit(log(2, {"MLmodel": b"2"}), name="fraud")
    keys = [layout.record_key(one.digest, one.id) for one in (first, second)]
    contents = [layout.content_key(one.digest, one.id, 0) for one in (first, second)]

    vault.store.put(contents[0], vault.store.get(contents[1]))
    with pytest.raises(CorruptionError, match="not of the files"):
        vault.entries(first)
    vault.store.put(keys[0], vault.store.get(keys[1]))
    with pytest.raises(CorruptionError, match="the record of fraud/2"):
        vault.version("fraud/1")


@pytest.mark.parametrize("path", ["../up", "/etc/passwd", "a/../../b", "a\0b", ""])
def test_climbing_paths(vault: Vault, log: Log, tmp_path: Path, path: str) -> None:
    """A forged version cannot write outside the folder that it is checked out to."""
    version = vault.commit(log(1, {"MLmodel": b"1"}))
    entry = vault.entries(version)["MLmodel"]
    records = vault._records
    forged = records.content([replace(entry, path=path)], version.digest, version.id)
    vault.store.put_many(forged.items())

    with pytest.raises(CorruptionError):
        vault.checkout(version, tmp_path / "out")

    assert not list(tmp_path.iterdir())


def test_sync(vault: Vault, registry: Registry, log: Log) -> None:
    """What was registered past the vault is adopted; the rest is told apart."""
    held = registry.resolve(log(1, FILES))
    registry.register("fraud", held)
    registry.register("fraud", registry.resolve(log(2, {"MLmodel": b"2"})))
    registry.register("other", Held("s3://b/x", "s3://b/x"))
    registry.register("lost", Held("x", f"{vault.uri}/1/models/m-9/artifacts"))
    vault.commit("models:/fraud/2")

    synced = vault.sync()

    assert (synced.adopted, synced.known, synced.outside) == (
        ("fraud/1",),
        ("fraud/2",),
        ("other/1",),
    )
    assert synced.failed[0].startswith("lost/1: ")
    assert "fraud/1" in vault.sync("fraud").known
    registry.forget("fraud")
    assert vault.sync().forgotten == ("fraud/1", "fraud/2")
    json.dumps(synced.to_dict())


def test_sync_after_numbers_started_again(vault: Vault, registry: Registry, log: Log) -> None:
    """A number that means another model now is adopted, and the old one stays."""
    old = vault.commit(log(1, FILES), name="fraud")
    registry.forget("fraud")
    registry.register("fraud", registry.resolve(log(2, {"MLmodel": b"2"})))

    assert vault.sync().adopted == ("fraud/1",)
    assert old in vault.versions("fraud")


def test_place(vault: Vault) -> None:
    """A proxied location lies at its path in the vault; one that climbs is refused."""
    assert vault.place("mlflow-artifacts:/1/models/m-1/artifacts") == "1/models/m-1/artifacts"
    assert vault.place("mlflow-artifacts://host:80/1/a%20b") == "1/a b"
    assert vault.place("http://h/api/2.0/mlflow-artifacts/artifacts/1/x") == "1/x"
    with pytest.raises(InvalidInputError, match="climbs"):
        vault.place("mlflow-artifacts:/1/../../etc")
    for elsewhere in ("s3://b/1", "vault-memory://other/1", "/srv/x", "http://h/else", "models"):
        with pytest.raises(InvalidInputError):
            vault.place(elsewhere)


def test_seal_says_which_commit(vault: Vault, log: Log) -> None:
    """A seal says by which commit of which files it was made."""
    version = vault.commit(log(1, FILES), name="fraud")
    key = layout.seal_key(version.origin.path)

    assert unframe_json(Kind.SEAL, vault.store.get(key), key) == {
        "path": version.origin.path,
        "version": f"fraud/1 ({str(version.digest)[:15]})",
        "digest": str(version.digest),
        "commit": version.id,
    }
    assert read(vault, version.origin.path + "/MLmodel") == FILES["MLmodel"]


def test_shown_in_a_notebook(vault: Vault, registry: Registry, log: Log) -> None:
    """A version shows what is known of it; names cannot put markup into a notebook."""
    uri = log(1, FILES)
    registry.told[registry.known[uri].location] = {"params": {"<script>": "x"}, "metrics": None}

    version = vault.commit(uri, name="fraud", metadata={"owner": "<img src=x>"})

    shown = version._repr_html_()
    assert "fraud/1" in shown
    assert str(version.digest) in shown
    assert "<script" not in shown
    assert "<img" not in shown
    assert "fraud/1" in vault.sync()._repr_html_()
    assert repr(version) == f"Version('fraud/1', '{str(version.digest)[:15]}')"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("content", "../../packs/00"),
        ("id", ""),
        ("id", "00/../00"),
        ("parts", 10**9),
        ("parts", -1),
        ("number", -1),
        ("created", "now"),
        ("created", 10**17),
        ("files", [{"path": "a", "size": -1, "b3": "0" * 64, "sha256": "0" * 64}]),
        ("files", [{"path": "a", "size": 1, "b3": "0" * 64, "sha256": ""}]),
        ("files", 2 * [{"path": "a", "size": 1, "b3": "0" * 64, "sha256": "0" * 64}]),
        ("parents", ["b3:0"]),
        ("origin", []),
        ("metadata", 3),
    ],
)
def test_forged_records(vault: Vault, log: Log, key: str, value: object) -> None:
    """A record that no commit makes is damaged, whatever digest it comes with."""
    version = vault.commit(log(1, FILES), name="fraud")
    body = {**version.to_dict(), key: value}
    if key == "files" and isinstance(value, list) and len(value) == 1:
        body["digest"] = digest_of([File.from_dict(value[0])]).raw.hex()

    with pytest.raises(CorruptionError, match="it is no version"):
        Version.from_bytes(frame_json(Kind.VERSION, body), "k")


def test_facts_of_any_kind(vault: Vault, registry: Registry, log: Log) -> None:
    """Facts may be anything; whoever looks at a version is not harmed by it."""
    uri = log(1, FILES)
    registry.told[registry.known[uri].location] = {
        "params": 5, "metrics": [1], "tags": {"a": {"b": None}}, "datasets": {"b3": 7}, "run": 3,
        "environment": [], "inputs": "x", "signature": 0,
    }  # fmt: skip

    version = vault.commit(uri, name="fraud")

    assert "fraud/1" in version._repr_html_()
    assert vault.search_versions("name = 'fraud'").rows()[0]["label"] == "fraud/1"
    assert "fraud/1" in "\n".join(vault.lineage("fraud/1").lines())
    assert vault.diff(version, version).is_empty


def test_files_of_another_digest(vault: Vault, log: Log) -> None:
    """A record whose files do not make its digest is damaged: nobody is shown other files."""
    version = vault.commit(log(1, FILES), name="fraud")
    other = vault.commit(log(2, {"MLmodel": b"2"}), name="fraud")
    body = {**version.to_dict(), "files": other.to_dict()["files"]}

    with pytest.raises(CorruptionError, match="do not make its digest"):
        Version.from_bytes(frame_json(Kind.VERSION, body), "k")


def test_sha256_of_other_bytes(vault: Vault, log: Log) -> None:
    """A forged record may name another SHA-256, which signatures are over: verifying compares."""
    version = vault.commit(log(1, FILES), name="fraud")
    entries = vault.entries(version)
    entries["MLmodel"] = replace(entries["MLmodel"], sha256=bytes(32))
    commit = "f" * 32
    content = vault._records.content(entries.values(), version.digest, commit)
    vault.store.put_many(content.items())
    files = tuple(sorted(file_of(entry) for entry in entries.values()))
    vault._records.put(replace(version, id=commit, content=commit, files=files))

    (damage,) = vault.verify(str(version.digest)).damaged

    assert damage.path == "MLmodel"
    assert "SHA-256" in damage.reason
