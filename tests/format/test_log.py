"""Entries and checkpoints of the audit log: one spelling, believed only as far as it goes."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.errors import CorruptionError, InvalidInputError
from mlflow_vault.format import layout
from mlflow_vault.format.canonical import plain
from mlflow_vault.format.checkpoint import (
    Checkpoint,
    NoteSignature,
    PublicKey,
    SignedCheckpoint,
    origin_of,
)
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import LARGEST, Action, Actor, LogEntry, Subject

ENTRY = LogEntry(
    vault="6e02" * 8,
    sequence=7,
    time=1_764_000_000_000,
    nonce="0c" * 16,
    action=Action.COMMIT,
    actor=Actor("ann", verified=True),
    subject=Subject("version", "fraud", Digest.of(b"files")),
    predecessor=Digest.of(b"before"),
    after={"number": 3},
)
KEY = layout.log_key(7)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


def test_golden() -> None:
    """These bytes are format: they are what digests and roots are made of."""
    assert ENTRY.to_bytes() == (
        b'{"action":"commit","actor":{"name":"ann","verified":true},"after":{"number":3},'
        b'"before":null,"nonce":"' + b"0c" * 16 + b'","predecessor":"b3:'
        b'18c52a7ed981fbffa12fbf611b593c451f6a5700af2206c612b5c3dd2888909b","sequence":7,'
        b'"subject":{"digest":"b3:dcce851b42e39f492b2b7c453ce1032c47fd0dcc1096ddb5a9084cd4cc91bdd7'
        b'","kind":"version","name":"fraud"},"time":1764000000000,"vault":"' + b"6e02" * 8 + b'"}'
    )
    assert KEY == "log/00000000000000000007"
    assert layout.checkpoint_key(3) == "log/checkpoints/00000000000000000003"


@given(before=anything, after=anything, name=st.text(st.characters(), max_size=50))
def test_round_trip(before: Any, after: Any, name: str) -> None:
    """Whatever was changed is spelled, and reads back as what `plain` makes of it."""
    told = replace(
        ENTRY,
        actor=Actor(plain(name)),
        subject=Subject("path", plain(name)),
        before=plain(before),
        after=plain(after),
    )

    stored = told.to_bytes()

    assert LogEntry.from_bytes(stored, KEY) == told
    assert LogEntry.from_bytes(stored, KEY).to_bytes() == stored


@given(value=anything)
def test_plain(value: Any) -> None:
    """What `plain` makes, it makes again."""
    assert plain(plain(value)) == plain(value)


def test_plain_examples() -> None:
    """Numbers that JSON's readers do not share, and bytes that are no text, become text."""
    odd = {"path": "\udcff", "inf": float("inf"), "big": 2**53, "huge": 1e300, "ok": 2**53 - 1}

    assert plain(odd) == {
        "path": "\\udcff",
        "inf": "Infinity",
        "big": "9007199254740992",
        "huge": "1e+300",
        "ok": 2**53 - 1,
    }


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object()])
def test_no_json(value: Any) -> None:
    """What is no JSON at all is refused before anything is written."""
    with pytest.raises(InvalidInputError, match="cannot be kept as JSON"):
        replace(ENTRY, after=plain(value)).to_bytes()


def test_too_large() -> None:
    """An entry that no bundle takes is refused, and says what to do."""
    with pytest.raises(InvalidInputError, match="log its digest"):
        replace(ENTRY, after="x" * LARGEST).to_bytes()


def test_later_actions() -> None:
    """What a later release calls a deed is read."""
    later = replace(ENTRY, action="teleport")

    assert LogEntry.from_bytes(later.to_bytes(), KEY) == later


def _with(**changed: Any) -> bytes:
    return rfc8785.dumps(ENTRY.to_dict() | changed)


GOOD = ENTRY.to_bytes()
FORGED = {
    "empty": b"",
    "no json": b"{",
    "no object": b"[]",
    "spaces": GOOD.replace(b":7,", b": 7,"),
    "newline": GOOD + b"\n",
    "another order": json.dumps(ENTRY.to_dict(), separators=(",", ":")).encode(),
    "escaped": GOOD.replace(b"fraud", b"fr\\u0061ud"),
    "a key twice": GOOD.replace(b'"sequence":7', b'"sequence":6,"sequence":7'),
    "another key twice": GOOD.replace(b'"number":3', b'"number":3,"number":3'),
    "a float": GOOD.replace(b'"number":3', b'"number":3.0'),
    "an exponent": GOOD.replace(b'"number":3', b'"number":1e-05'),
    "beyond range": GOOD.replace(b'"number":3', b'"number":9007199254740993'),
    "endless": GOOD.replace(b'"number":3', b'"number":' + b"9" * 5000),
    "infinite": GOOD.replace(b'"number":3', b'"number":1e999'),
    "NaN": GOOD.replace(b'"number":3', b'"number":NaN'),
    "no UTF-8": GOOD.replace(b"fraud", b"fr\xffud"),
    "a surrogate": GOOD.replace(b"fraud", b"fr\\ud800ud"),
    "UTF-16": GOOD.decode().encode("utf-16"),
    "deep": b"[" * 30_000 + b"]" * 30_000,
    "deep inside": GOOD.replace(b'"number":3', b'"a":' + b"[" * 900 + b"]" * 900),
    "oversized": _with(after="x" * LARGEST),
    "another number": _with(sequence=8),
    "a negative number": _with(sequence=-7),
    "a true number": _with(sequence=True),
    "a number as text": _with(sequence="7"),
    "a time of another kind": _with(time=1.5),
    "a time far away": _with(time=2**53 - 1),
    "an unknown field": _with(more=1),
    "a missing field": rfc8785.dumps({k: v for k, v in ENTRY.to_dict().items() if k != "actor"}),
    "an actor that is none": _with(actor=None),
    "an actor with more": _with(actor={"name": "a", "verified": True, "root": True}),
    "an actor verified by a number": _with(actor={"name": "a", "verified": 1}),
    "an action that is none": _with(action="Drop\ntable"),
    "an action of another kind": _with(action=["commit"]),
    "a nonce that is none": _with(nonce="0C" * 16),
    "a predecessor that is none": _with(predecessor="b3:00"),
    "a predecessor in capitals": _with(predecessor=str(Digest.of(b"")).upper().replace("B3", "b3")),
    "a subject that is a list": _with(subject=[]),
    "a vault that is none": _with(vault=None),
}


@pytest.mark.parametrize("stored", FORGED.values(), ids=FORGED)
def test_forged(stored: bytes) -> None:
    """What no writer of ours made, or made for another key, is refused with its key."""
    with pytest.raises(CorruptionError, match=KEY):
        LogEntry.from_bytes(stored, KEY)


@given(st.binary(max_size=300), st.integers(0, len(GOOD) - 1))
def test_noise(noise: bytes, at: int) -> None:
    """Whatever bytes come, it is an entry with that spelling or an error of ours."""
    for stored in (noise, GOOD[:at] + noise, GOOD[:at] + noise + GOOD[at + len(noise) :]):
        try:
            entry = LogEntry.from_bytes(stored, KEY)
        except CorruptionError:
            continue
        assert entry.to_bytes() == stored


ORIGIN = origin_of("6e02" * 8)
HEAD = Checkpoint(ORIGIN, 1042, Digest.of(b"root").raw)
PUBLIC = PublicKey("audit.example.com", bytes(range(32)))
SIGNATURE = NoteSignature(PUBLIC.name, PUBLIC.id, bytes(64))
NOTE = SignedCheckpoint(HEAD, (SIGNATURE,)).to_bytes()


def test_checkpoint_golden() -> None:
    """A checkpoint is C2SP's: three lines, an empty one, signatures behind an em dash."""
    lines = NOTE.decode().split("\n")

    assert lines[:2] == [f"mlflow-vault/{'6e02' * 8}", "1042"]
    assert base64.b64decode(lines[2]) == HEAD.root
    assert lines[3] == ""
    assert lines[4].startswith("\u2014 audit.example.com ")
    assert lines[5:] == [""]
    assert SignedCheckpoint.from_bytes(NOTE, "k").to_bytes() == NOTE


def test_public_key_of_others() -> None:
    """Go's sum.golang.org has a key whose id is known."""
    text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"

    key = PublicKey.parse(text)

    assert str(key) == text
    assert key.id.hex() == "033de0ae"


@pytest.mark.parametrize(
    "text",
    ["", "name", "a+b", "sum.golang.org+00000000+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"],
)
def test_no_public_key(text: str) -> None:
    """What is no key, or has another id, is refused."""
    with pytest.raises(InvalidInputError):
        PublicKey.parse(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b"])
def test_no_name(name: str) -> None:
    """A key's name cannot end its line or its field."""
    with pytest.raises(InvalidInputError, match="no spaces"):
        PublicKey(name, bytes(32))


def test_extensions() -> None:
    """Lines that another signer added are kept, as they are signed too."""
    more = SignedCheckpoint(replace(HEAD, extensions=("a", "b c")), (SIGNATURE, SIGNATURE))

    assert SignedCheckpoint.from_bytes(more.to_bytes(), "k") == more


FORGED_NOTES = {
    "empty": b"",
    "unsigned": HEAD.text.encode(),
    "no newline": NOTE[:-1],
    "more": NOTE + b"\n",
    "a control character": NOTE.replace(b"1042", b"1042\r"),
    "a leading zero": NOTE.replace(b"1042", b"01042"),
    "a negative size": NOTE.replace(b"1042", b"-1"),
    "a size in other digits": NOTE.replace(b"1042", "\u0661".encode()),
    "no root": NOTE.replace(base64.b64encode(HEAD.root), b"AAAA"),
    "another spelling": NOTE.replace(base64.b64encode(HEAD.root), b"A" * 42 + b"B="),
    "a hyphen": NOTE.replace("\u2014".encode(), b"-"),
    "no proof": NOTE.replace(str(SIGNATURE).encode(), "\u2014 name AAAA\n".encode()),
    "no UTF-8": b"\xff" + NOTE,
    "oversized": NOTE + b"x" * 70_000,
}


@pytest.mark.parametrize("stored", FORGED_NOTES.values(), ids=FORGED_NOTES)
def test_forged_notes(stored: bytes) -> None:
    """A note that is none is refused with its key."""
    with pytest.raises(CorruptionError, match="log/checkpoints/7"):
        SignedCheckpoint.from_bytes(stored, "log/checkpoints/7")


@pytest.mark.parametrize("vault", ["", "a\nb", "../x", "x" * 101])
def test_no_vault(vault: str) -> None:
    """An id that would break the first line is refused."""
    with pytest.raises(InvalidInputError, match="not the id"):
        origin_of(vault)
