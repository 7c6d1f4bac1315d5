"""Objects of a store that strangers can write to.

Every object ends with a digest, which random bytes never match: so targets seal what they are
fed, and what lies behind the digest is reached.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final

from blake3 import blake3

from mlflow_vault.config import LARGEST_CHUNK, MAX_DEPTH
from mlflow_vault.engine.hints import Hints, listed_sizes
from mlflow_vault.engine.payloads import closure
from mlflow_vault.engine.seals import Seals
from mlflow_vault.engine.world import World
from mlflow_vault.engine.write.transaction import look_at_notices
from mlflow_vault.errors import VaultError
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.elements import Element
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.pack import PackBuilder, read_record, read_records
from mlflow_vault.format.record import (
    Identity,
    Kind,
    Outcome,
    frame,
    header,
    unframe,
    unframe_json,
)
from mlflow_vault.format.rows import Part, Row, Tensor
from mlflow_vault.format.soundness import depths
from mlflow_vault.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_KEY: Final = "the/key"
_TRAILER: Final = struct.Struct("<4sQ32s")
_KINDS: Final = tuple(Kind)
_ELEMENTS: Final = (None, *Element)


def _entry(fed: bytes) -> None:
    """The input is the body of an entry."""
    _read_entry(frame(Kind.ENTRY, fed))


def _read_entry(stored: bytes) -> None:
    with suppress(VaultError):
        entry = Entry.from_bytes(stored, _KEY)
        assert max(depths(entry.rows), default=0) <= MAX_DEPTH
        for row in entry.rows:
            needed = sum(one.size for one in closure([row], entry.rows))
            assert needed <= 16 * LARGEST_CHUNK, "a chunk that takes too much to decode"
        assert Entry.from_bytes(entry.to_bytes(), _KEY) == entry


def _tables(fed: bytes) -> None:
    """The input is numbers, of which the tables of an entry are made that agree in length."""
    numbers = chain(fed, repeat(0))

    def take() -> int:
        return next(numbers)

    parts = [Part(take(), take(), take() << 14) for _ in range(take() % 8)]
    rows = tuple(
        Row(
            digest=Digest.of(bytes([take()])),
            size=take() << 14 | take(),
            codec=take(),
            pack=bytes([take()]) * 16,
            start=take(),
            stored=take() << 16,
            base=tuple(parts[take() % len(parts)] for _ in range(take() % 5)) if parts else (),
        )
        for _ in range(take() % 12)
    )
    sequence = tuple(take() for _ in range(take() % 12))
    sizes = [rows[index].size for index in sequence if index < len(rows)]
    element = _ELEMENTS[take() % len(_ELEMENTS)]
    tensor = Tensor("w", element, (take(),), take(), take() << 8, element, take(), take())
    entry = Entry("a", sum(sizes) + take(), Digest.of(b""), bytes(32), "", None, 1, "", (tensor,))
    _read_entry(replace(entry, rows=rows, sequence=sequence).to_bytes())


def _framed(fed: bytes) -> None:
    """The input is a kind, and an object as it lies in a store but for its digest."""
    kind, rest = _KINDS[fed[0] % len(_KINDS)] if fed else Kind.HINT, fed[1:]
    for stored in (rest, _sealed(rest), _sealed(header(kind) + rest)):
        with suppress(VaultError):
            body = unframe(kind, stored, _KEY)
            assert unframe(kind, frame(kind, body), _KEY) == body


def _sealed(fed: bytes) -> bytes:
    return fed + blake3(fed).digest()


def _notes(fed: bytes) -> None:
    """The input is the JSON of outcomes, hints, seals and notices."""
    with suppress(VaultError):
        outcome = Outcome.from_bytes(frame(Kind.OUTCOME, fed), _KEY)
        assert Outcome.from_bytes(outcome.to_bytes(), _KEY) == outcome
    with suppress(VaultError):
        unframe_json(Kind.INTENT, frame(Kind.INTENT, fed), _KEY)
    hint, digest = frame(Kind.HINT, fed), Digest.of(b"")
    hints = {
        layout.known_file_key(digest): hint,
        layout.family_key("bucket"): hint,
        layout.listing_key("folder"): hint,
    }
    store = MemoryStore()
    store.put_many(hints.items())
    listed_sizes(store, "folder")
    known = Hints(store)
    assert known.known_file(digest) is None
    for path in known.members("bucket"):
        assert known.entry(path) is None
    store.put(f"{layout.seal_unit('a')}x", frame(Kind.SEAL, fed))
    with suppress(VaultError):
        Seals(store, World()).below("a")
    store.put(f"{layout.CONDEMNED}x", frame(Kind.CONDEMNED, fed))
    with suppress(VaultError):
        look_at_notices(store)


def _identity(fed: bytes) -> None:
    """The input is a ``vault.json``."""
    with suppress(VaultError):
        identity = Identity.from_bytes(fed, _KEY)
        assert Identity.from_bytes(identity.to_bytes(), _KEY) == identity


def _pack(fed: bytes) -> None:
    """The input is a pack; the digest of its footer is made right."""
    for stored in (fed, _with_footer(fed)):
        with suppress(VaultError):
            records = list(read_records(stored, _KEY))
            builder = PackBuilder()
            for record in records:
                builder.add(record)
            assert list(read_records(bytes(builder.finish()), _KEY)) == records
    with suppress(VaultError):
        record, stop = read_record(fed, 0, _KEY)
        assert stop <= len(fed)
        assert len(record.payload) < stop


def _with_footer(pack: bytes) -> bytes:
    at = len(pack) - _TRAILER.size
    if at < 0:
        return pack
    magic, start, _ = _TRAILER.unpack_from(pack, at)
    return pack[:at] + _TRAILER.pack(magic, start, blake3(pack[start:at]).digest())


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "entry": _entry,
    "tables": _tables,
    "framed": _framed,
    "notes": _notes,
    "identity": _identity,
    "pack": _pack,
}
