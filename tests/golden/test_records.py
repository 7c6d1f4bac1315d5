"""Golden bytes: what each format looks like, for ever.

``records-N/`` pins one object of each kind of format N, ``vault-N/`` a whole small vault.  All are
read, the newest is also written.  Red means that the format changed: undo it, or bump the format
with an ADR and keep reading the old.  A body is
pinned as it is, the zstd frame around it only as what it decodes to: releases of zstd differ.
To pin a new kind of object::

    python tests/golden/test_records.py
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from blake3 import blake3

from mlflow_vault.errors import SealedError
from mlflow_vault.format import layout
from mlflow_vault.format.coding.codec import Codec
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.elements import Element
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.pack import Link, PackBuilder, Record, read_records
from mlflow_vault.format.record import (
    FORMAT,
    HEADER,
    Identity,
    Kind,
    Outcome,
    frame_json,
    unframe,
    unframe_json,
)
from mlflow_vault.format.rows import Part, Row, Tensor
from mlflow_vault.format.soundness import depths
from mlflow_vault.format.version import Origin, Version, digest_of
from mlflow_vault.govern.records import Records, file_of
from mlflow_vault.govern.signing.judge import verify_signature
from mlflow_vault.govern.signing.trust import Trust
from mlflow_vault.store.local import LocalStore
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.vaults import entries, objects, read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE: Final = Path(__file__).parent
FORMATS: Final = range(FORMAT + 1)
RECORDS: Final = [HERE / f"records-{number}" for number in FORMATS]
SIGNATURES: Final = HERE / "signatures"
VAULTS: Final = [HERE / f"vault-{number}" for number in FORMATS]

A, B, C = (Digest.of(name) for name in (b"a", b"b", b"c"))
INLINE = Entry(
    path="7/Ä/MLmodel", size=5, digest=Digest.of(b"plain"), sha256=bytes(range(32)), inline=b"plain"
)
CHUNKED = Entry(
    path="7/w.safetensors",
    size=1_300,
    digest=Digest.of(b"file"),
    sha256=bytes(range(32)),
    transaction="0123456789ab" + "cd" * 10,
    mean=65_536,
    parser="safetensors",
    tensors=(
        Tensor("layer.weight", Element.BF16, (10, 50), 100, 1_100, Element.F32, 3, 700),
        Tensor("", None, (), 1_100, 1_200, None, 1, 90),
    ),
    rows=(
        Row(A, 1_500, Codec.PLANES, bytes(range(16)), 16, 1_234),
        Row(B, 100, Codec.ZSTD, bytes(range(16)), 2_000, 50),
        Row(
            C,
            1_000,
            Codec.DELTA,
            bytes(range(16, 32)),
            150,
            70,
            (Part(0, 0, 900), Part(0, 0, 1_100)),
        ),
    ),
    sequence=(1, 2, 1, 1),
)
OUTCOME = Outcome(
    "0123456789ab" + "cd" * 10, "ef" * 16, committed=True, packs=(bytes(16), b"\x01" * 16)
)
RECORDS_OF_PACK = (
    Record(A, 3, Codec.RAW, 0, (), b"abc"),
    Record(B, 9, Codec.DICTIONARY, 1, (Link(A, 0, 3), Link(A, 1, 2)), b"payload"),
)
IDENTITY = Identity(id="00112233445566778899aabbccddeeff", cut_seed=7)
NOTES: Final[Mapping[str, tuple[Kind, dict[str, object]]]] = {
    "intent": (Kind.INTENT, {"transaction": OUTCOME.transaction, "progress": 2}),
    "hint": (Kind.HINT, {"paths": ["7/a", "7/b"]}),
    "listing": (Kind.HINT, {"sizes": {"tree/7/a!": ["etag", 12]}}),
    "seal": (Kind.SEAL, {"path": "7/run/artifacts/model", "version": "models:/fraud/3"}),
    "condemned": (Kind.CONDEMNED, {"packs": ["00" * 16, "11" * 16]}),
}
FILES = tuple(sorted(map(file_of, (INLINE, CHUNKED))))
VERSION = Version(
    digest=digest_of(FILES),
    id="0123456789ab" + "cd" * 10,
    name="Betrug",
    number=3,
    created=1_700_000_000_000,
    author="ada",
    origin=Origin("models:/m-" + "0" * 32, "7/run/artifacts", "m-" + "0" * 32, "ab" * 16, "7"),
    files=FILES,
    parents=(A,),
    metadata={"owner": "risk", "share": 0.5},
    facts={"metrics": {"loss": "NaN"}, "datasets": [{"name": "train", "b3": str(B)}]},
    content="0123456789ab" + "cd" * 10,
    parts=1,
)
VERSIONED: Final = {"version", "files"}  # kinds of the feature versions, which format 0 has not


def _pack() -> bytes:
    builder = PackBuilder()
    for record in RECORDS_OF_PACK:
        builder.add(record)
    return bytes(builder.finish())


def _content() -> dict[str, bytes]:
    return Records(MemoryStore("golden")).content([CHUNKED, INLINE], VERSION.digest, VERSION.id)


def _made() -> dict[str, bytes]:
    """Every pinned object as this release makes it."""
    return {
        "entry-inline": INLINE.to_bytes(),
        "entry-chunked": CHUNKED.to_bytes(),
        "outcome": OUTCOME.to_bytes(),
        "pack": _pack(),
        "vault.json": IDENTITY.to_bytes(),
        "version": VERSION.to_bytes(),
        "files": next(iter(_content().values())),
        **{name: frame_json(kind, body) for name, (kind, body) in NOTES.items()},
    }


def _pinned(name: str, number: int = FORMAT) -> bytes:
    return (RECORDS[number] / name).read_bytes()


@pytest.mark.parametrize("folder", RECORDS, ids=lambda folder: folder.name)
def test_everything_is_pinned(folder: Path) -> None:
    """There is a golden object of each kind."""
    later = VERSIONED if folder == RECORDS[0] else set()
    assert {file.name for file in folder.iterdir()} == set(_made()) - later
    kinds = {stored[4:5] for name, stored in _made().items() if name != "vault.json"}
    assert kinds == {kind.value for kind in Kind}


@pytest.mark.parametrize("number", FORMATS)
def test_reading(number: int) -> None:
    """Pinned objects say what they always said."""
    assert Entry.from_bytes(_pinned("entry-inline", number), "k") == INLINE
    assert Entry.from_bytes(_pinned("entry-chunked", number), "k") == CHUNKED
    assert Outcome.from_bytes(_pinned("outcome", number), "k") == OUTCOME
    assert tuple(read_records(_pinned("pack", number), "k")) == RECORDS_OF_PACK
    assert Identity.from_bytes(_pinned("vault.json", number), "k") == IDENTITY


def test_reading_versions() -> None:
    """A pinned version says what it always said, and is named as it always was."""
    store = MemoryStore("golden")
    store.put(next(iter(_content())), _pinned("files"))

    assert Version.from_bytes(_pinned("version"), "k") == VERSION
    assert Records(store).entries(VERSION) == {"7/Ä/MLmodel": INLINE, CHUNKED.path: CHUNKED}
    assert (
        str(VERSION.digest) == "b3:714ffb77b944dd5fa1abe7a4b4d6fab6f405d3d2c144f56450de7e568553781d"
    )


@pytest.mark.parametrize("name", ["p256", "p384"])
def test_signatures(name: str) -> None:
    """A pinned signature of the pinned version still holds, and of no other version."""
    bundle, trust = (SIGNATURES / f"{name}.json").read_bytes(), SIGNATURES / f"{name}.pem"

    assert verify_signature(VERSION, bundle, Trust.from_files(trust)).holds
    other = replace(VERSION, files=FILES[:1], digest=digest_of(FILES[:1]))
    assert not verify_signature(other, bundle, Trust.from_files(trust)).holds


@pytest.mark.parametrize("number", FORMATS)
@pytest.mark.parametrize("name", NOTES)
def test_reading_notes(name: str, number: int) -> None:
    """Pinned notes say what they always said."""
    kind, body = NOTES[name]

    assert unframe_json(kind, _pinned(name, number), "k") == body


@pytest.mark.parametrize("name", ["pack", "vault.json"])
def test_writing_unpacked(name: str) -> None:
    """Objects without a zstd frame are made byte for byte as they were."""
    assert _made()[name] == _pinned(name)


@pytest.mark.parametrize("name", sorted({*_made()} - {"pack", "vault.json"}))
def test_writing(name: str) -> None:
    """Framed objects begin with the same header and hold the same body, byte for byte."""
    made, pinned = _made()[name], _pinned(name)
    kind = Kind(pinned[4:5])

    assert made[: HEADER.size] == pinned[: HEADER.size]
    assert unframe(kind, made, "k") == unframe(kind, pinned, "k")
    assert pinned[-32:] == blake3(pinned[:-32]).digest()


@pytest.mark.parametrize("folder", VAULTS, ids=lambda folder: folder.name)
def test_vault(folder: Path) -> None:
    """A vault of an earlier release reads back to the last byte."""
    vault = Vault.at(LocalStore(folder))

    found = {path: read(vault, path) for path in vault.walk()}

    assert {
        path: [len(plain), blake3(plain).hexdigest()] for path, plain in found.items()
    } == json.loads(folder.with_suffix(".json").read_text("utf-8"))
    assert vault.verify().is_whole


@pytest.mark.parametrize("folder", VAULTS, ids=lambda folder: folder.name)
def test_vault_holds_everything(folder: Path) -> None:
    """The golden vault has every kind of object and every codec, and is small."""
    stored = objects(LocalStore(folder))
    held = entries(LocalStore(folder))

    assert {row.codec for entry in held for row in entry.rows} == set(Codec)
    assert {body[4:5] for body in stored.values()} >= {
        kind.value for kind in Kind if kind.name.lower() not in VERSIONED
    }
    tensors = [tensor for entry in held for tensor in entry.tensors]
    assert Element.F32 in {tensor.anchor for tensor in tensors}
    assert any(tensor.anchor is not tensor.element for tensor in tensors)
    assert sum(map(len, stored.values())) < 200_000


def test_newest_vault_lies_deep() -> None:
    """The golden vault of format 1 also has a copy in a narrower element of a delta: depth two."""
    assert 2 in {depth for entry in entries(LocalStore(VAULTS[1])) for depth in depths(entry.rows)}


@pytest.mark.parametrize("folder", VAULTS, ids=lambda folder: folder.name)
def test_vault_goes_on(tmp_path: Path, folder: Path) -> None:
    """A vault of an earlier release goes on with this one: known files cost next to nothing."""
    root = tmp_path / "vault"
    shutil.copytree(folder, root)
    vault = Vault.open(f"vault-file://{root}")
    before = vault.stats()
    path = "7/" + "0" * 32 + "/artifacts/model/w.safetensors"
    plain = read(vault, path)

    write(vault, "9/" + "3" * 32 + "/artifacts/model/w.safetensors", plain)
    write(vault, "9/" + "4" * 32 + "/artifacts/model/w.safetensors", plain[:-24_000])

    after = vault.stats()
    assert after.stored - before.stored < 0.01 * len(plain)
    assert vault.verify().is_whole
    with pytest.raises(SealedError, match="models:/golden/1"):
        write(vault, "7/" + "1" * 32 + "/artifacts/model/new", b"")
    condemned = next(vault.store.list(layout.CONDEMNED))
    assert condemned.size


if __name__ == "__main__":
    RECORDS[FORMAT].mkdir(exist_ok=True)
    for new, stored in _made().items():
        if not (RECORDS[FORMAT] / new).exists():
            (RECORDS[FORMAT] / new).write_bytes(stored)
