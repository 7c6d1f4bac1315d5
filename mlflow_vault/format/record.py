"""The frame of every stored object, and the small records of transactions.

Every object but ``vault.json`` begins with the same sixteen bytes, so that a reader
knows what it holds and refuses what it cannot understand before it believes a byte:

    0  magic    "mlvt"
    4  kind     one letter
    5  version  0 while the format is unstable
    6  zero     two bytes
    8  features bits that a reader must know, little-endian

and ends with the BLAKE3 of all before it.  Between lies a zstd frame of the body; packs
frame their records themselves (`format.pack`).

Pure: no I/O.  Written down in docs/format.md, "Objects".
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import zstandard
from blake3 import blake3

from mlflow_vault.errors import CorruptionError, InvalidInputError, UnsupportedError
from mlflow_vault.format import fields
from mlflow_vault.format.digest import from_hex
from mlflow_vault.format.stored_json import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable

MAGIC: Final = b"mlvt"
FORMAT: Final = 1  # 0, before there were releases, was the same but for hints
KNOWN_FEATURES: Final = 0  # bits this release understands
VERSIONS: Final = "versions@0.1"  # entries are named under versions/, too
_NAMED_FEATURES: Final = frozenset({VERSIONS})
HEADER: Final = struct.Struct("<4scBHQ")
CHECK: Final = 32  # bytes of BLAKE3 at the end
# Bytes of a body: all tensors that parsers tell of one file (`tensors.arrays`) take no more, nor
# do the tables of 350 GB.  Longer tables hold digests, so they are few times what is stored of
# them; a bomb is 30,000 times.
_LARGEST_BODY: Final = 1 << 25
_MOST_TIMES: Final = 16
_LARGEST_IDENTITY: Final = 1 << 20  # bytes
_SEEDS: Final = 1 << 63  # what the cutter takes
_PACK_ID: Final = 16  # bytes


class Kind(Enum):
    """What an object is."""

    ENTRY = b"e"
    PACK = b"p"
    INTENT = b"i"
    OUTCOME = b"o"
    CONDEMNED = b"c"
    SEAL = b"s"
    HINT = b"h"
    VERSION = b"v"
    FILES = b"f"  # the entries of a version


def header(kind: Kind) -> bytes:
    """The first sixteen bytes of an object of this *kind*."""
    return HEADER.pack(MAGIC, kind.value, FORMAT, 0, 0)


def check_header(kind: Kind, stored: bytes, key: str) -> None:
    """Refuse an object that is not of this *kind* or not of this format.

    Raises:
        CorruptionError: It is no object of ours, or of another kind.
        UnsupportedError: It needs a newer release.
    """
    if len(stored) < HEADER.size:
        raise CorruptionError(key, f"only {len(stored)} bytes are there")
    magic, letter, version, zero, features = HEADER.unpack_from(stored)
    if magic != MAGIC or letter != kind.value or zero:
        raise CorruptionError(key, f"it does not begin as {kind.name.lower()} objects do")
    if version > FORMAT:
        raise UnsupportedError(f"{key} has format {version}; this release reads up to {FORMAT}")
    if features & ~KNOWN_FEATURES:
        raise UnsupportedError(f"{key} needs features {features:#x} that this release lacks")


def frame(kind: Kind, body: bytes) -> bytes:
    """Wrap *body* as a stored object.

    Raises:
        InvalidInputError: It is so large for what it says that no reader would take it.
    """
    packed = zstandard.ZstdCompressor(level=3, write_content_size=True).compress(body)
    sealed = header(kind) + packed
    if len(body) > _largest_body(sealed):
        raise InvalidInputError(f"{len(body)} bytes are too many for one {kind.name.lower()}")
    return sealed + blake3(sealed).digest()


def unframe(kind: Kind, stored: bytes, key: str) -> bytes:
    """Undo `frame`, checking everything.

    Raises:
        CorruptionError: *stored* is damaged; *key* says where.
        UnsupportedError: It needs a newer release.
    """
    check_header(kind, stored, key)
    sealed, check = stored[:-CHECK], stored[-CHECK:]
    if len(sealed) < HEADER.size or blake3(sealed).digest() != check:
        raise CorruptionError(key, "its bytes do not match the digest at its end")
    packed = memoryview(sealed)[HEADER.size :]
    try:
        size = zstandard.frame_content_size(packed)
        if not 0 < size <= _largest_body(sealed):
            raise CorruptionError(key, f"it claims a body of {size} bytes")
        press = zstandard.ZstdDecompressor()
        return press.decompress(packed, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as cause:
        raise CorruptionError(key, f"its body does not decode ({cause})") from cause


def _largest_body(sealed: bytes) -> int:
    return max(_LARGEST_BODY, _MOST_TIMES * len(sealed))


def frame_json(kind: Kind, body: Any) -> bytes:
    """Wrap plain values as a stored object of JSON."""
    return frame(kind, json.dumps(body, sort_keys=True, separators=(",", ":")).encode())


def unframe_json(kind: Kind, stored: bytes, key: str) -> dict[str, Any]:
    """Undo `frame_json`.

    Raises:
        CorruptionError: *stored* is damaged or not a JSON object.
    """
    try:
        body = read_json(unframe(kind, stored, key))
    except ValueError as cause:
        raise CorruptionError(key, f"its body is not JSON of ours ({cause})") from cause
    if not isinstance(body, dict):
        raise CorruptionError(key, "its body is not a JSON object")
    return body


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a transaction ended.

    Attributes:
        transaction: Its id.
        nonce: Random; tells our own write from another's after a lost response.
        committed: False when a collector won and the transaction is aborted.
        packs: Ids of every pack the entries will name: new, reused and of bases.
    """

    transaction: str
    nonce: str
    committed: bool
    packs: tuple[bytes, ...] = ()

    def to_bytes(self) -> bytes:
        """Spell this outcome as a stored object."""
        return frame_json(
            Kind.OUTCOME,
            {
                "transaction": self.transaction,
                "nonce": self.nonce,
                "committed": self.committed,
                "packs": [pack.hex() for pack in self.packs],
            },
        )

    @classmethod
    def from_bytes(cls, stored: bytes, key: str) -> Outcome:
        """Undo `to_bytes`.

        Raises:
            CorruptionError: *stored* is not an outcome.
        """
        body = unframe_json(Kind.OUTCOME, stored, key)
        try:
            outcome = cls(
                transaction=str(body["transaction"]),
                nonce=str(body["nonce"]),
                committed=body["committed"] is True,
                packs=tuple(from_hex(pack) for pack in body["packs"]),
            )
        except (KeyError, TypeError, ValueError) as cause:
            raise CorruptionError(key, f"it is no outcome ({cause})") from cause
        if any(len(pack) != _PACK_ID for pack in outcome.packs):
            raise CorruptionError(key, "it is no outcome (an id of a pack has 16 bytes)")
        return outcome


@dataclass(frozen=True, slots=True)
class Identity:
    """What ``vault.json`` says: what this vault is, for ever.

    Attributes:
        id: Random, 32 hexadecimal digits, so that two vaults are never taken for one.
        cut_seed: Seed of content-defined cutting; the same content cuts alike within a vault.
        naming: ``plain``, or how chunks are named under encryption; readers refuse others.
        aead: The cipher of an encrypted vault; None here, and readers refuse others.
        features: Names of features that a reader must know.
        conditional_create: Whether the store kept its promise of one winner at init.
    """

    id: str
    cut_seed: int = 0
    naming: str = "plain"
    aead: str | None = None
    features: tuple[str, ...] = field(default=())
    conditional_create: bool = True

    def to_bytes(self) -> bytes:
        """Spell this as the JSON of ``vault.json``, which people read too."""
        body = {
            "magic": "mlflow-vault",
            "format": FORMAT,
            "id": self.id,
            "cut_seed": self.cut_seed,
            "naming": self.naming,
            "aead": self.aead,
            "features": list(self.features),
            "conditional_create": self.conditional_create,
        }
        return (json.dumps(body, indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def from_bytes(cls, stored: bytes, where: str) -> Identity:
        """Undo `to_bytes`.

        Raises:
            CorruptionError: This is no ``vault.json``.
            UnsupportedError: The vault needs a newer release; the message names what it needs.
        """
        if len(stored) > _LARGEST_IDENTITY:
            raise CorruptionError(where, f"it is no vault.json: {len(stored)} bytes")
        try:
            body = read_json(stored)
            if body["magic"] != "mlflow-vault":
                raise CorruptionError(where, "its magic is not 'mlflow-vault'")
            version = int(body["format"])
            if version > FORMAT:
                raise UnsupportedError(
                    f"{where} is a vault of format {version}; this release of mlflow-vault reads "
                    f"up to format {FORMAT}. Upgrade: pip install -U mlflow-vault"
                )
            refuse_features(body["features"], where)
            if body["naming"] != "plain" or body["aead"] is not None:
                raise UnsupportedError(
                    f"{where} is an encrypted vault ({body['naming']}, {body['aead']}); this "
                    "release reads plain ones. Upgrade: pip install -U mlflow-vault"
                )
            identity = cls(
                id=fields.nonce(body["id"]),
                cut_seed=int(body["cut_seed"]),
                conditional_create=body["conditional_create"] is True,
            )
        except (ArithmeticError, LookupError, TypeError, ValueError) as cause:
            raise CorruptionError(where, f"it is no vault.json ({cause!r})") from cause
        if version < 0:
            raise CorruptionError(where, f"it is no vault.json (format {version})")
        if not 0 <= identity.cut_seed < _SEEDS:
            raise CorruptionError(where, f"it is no vault.json (the cut seed {identity.cut_seed})")
        return identity


def refuse_features(names: Iterable[str], where: str) -> None:
    """Refuse to go on where a feature is required that this release does not know.

    A feature is named ``<name>`` or ``<name>@<first release that knows it>``.

    Raises:
        UnsupportedError: Naming the features and the release that knows them.
    """
    unknown = sorted(set(map(str, names)) - _NAMED_FEATURES)
    if unknown:
        raise UnsupportedError(
            f"{where} requires {', '.join(unknown)}, unknown to this release of mlflow-vault "
            "(after an '@' stands the first release that knows it). "
            "Upgrade: pip install -U mlflow-vault"
        )
