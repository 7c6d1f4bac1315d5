"""Checkpoints: what the audit log held at a moment, signed, as C2SP's notes spell it.

    mlflow-vault/6e02...                           the log's origin: which vault's it is
    1042                                           how many entries it had
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=   the root of its Merkle tree

    — audit.example.com Az3grlgtzPICa5OS8npVmf1... a signature: key name, key id, Ed25519

Any witness or monitor of transparency logs reads this.  A signature vouches for all text above the
empty line.  Those of keys that a reader does not know are passed over.

Pure: no I/O, no cryptography but hashes.  Written down in docs/format.md, "Audit log".
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from mlflow_vault.errors import CorruptionError, InvalidInputError
from mlflow_vault.format import fields

LARGEST: Final = 0xFFFF  # bytes of a checkpoint: hundreds of signatures
_ED25519: Final = b"\x01"  # the algorithm's byte, before a public key
_KEY: Final = 32  # bytes of a public key
_HASH: Final = 32
_ID: Final = 4
_PROOF: Final = 64  # bytes of an Ed25519 signature
_MARK: Final = "\N{EM DASH} "
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,19}")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_VAULT: Final = re.compile(r"[0-9A-Za-z._-]{1,100}")


def origin_of(vault: str) -> str:
    """What the checkpoints of the vault with this id begin with.

    Raises:
        InvalidInputError: No vault has such an id.
    """
    if not _VAULT.fullmatch(vault):
        raise InvalidInputError(f"not the id of a vault: {vault[:80]!r}")
    return f"mlflow-vault/{vault}"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Whose signature counts: the name and the Ed25519 key, spelled ``name+id+key`` as C2SP does.

    Attributes:
        name: Who signs; no spaces, no ``+``.
        raw: The key's 32 bytes.
    """

    name: str
    raw: bytes

    def __post_init__(self) -> None:
        if self.name.split() != [self.name] or "+" in self.name or not self.name.isprintable():
            raise InvalidInputError(f"a key's name has no spaces and no '+': {self.name[:80]!r}")
        if len(self.raw) != _KEY:
            raise InvalidInputError(f"an Ed25519 key has {_KEY} bytes, not {len(self.raw)}")

    @property
    def id(self) -> bytes:
        """Four bytes by which a signature says whose it is."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.raw).digest()[:_ID]

    def __str__(self) -> str:
        key = base64.b64encode(_ED25519 + self.raw).decode()
        return f"{self.name}+{self.id.hex()}+{key}"

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Undo `str`.

        Raises:
            InvalidInputError: It is no such key.
        """
        name, _, rest = text.strip().partition("+")
        key_id, _, key = rest.partition("+")
        raw = _decoded(key)
        if raw is None or raw[:1] != _ED25519:
            raise InvalidInputError(f"expected name+id+key with an Ed25519 key, got {text[:80]!r}")
        found = cls(name, raw[1:])
        if found.id.hex() != key_id:
            raise InvalidInputError(f"the key {text[:80]!r} does not have the id that it says")
        return found


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: how long it is and what its entries hash to.

    Attributes:
        origin: Which log; see `origin_of`.
        size: How many entries.
        root: Of the Merkle tree over them.
        extensions: Lines that something else wanted signed.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What is signed."""
        root = base64.b64encode(self.root).decode()
        return "\n".join([self.origin, str(self.size), root, *self.extensions]) + "\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Undo `text`.

        Raises:
            ValueError: It is no checkpoint.
        """
        origin, size, root, *extensions = text.removesuffix("\n").split("\n")
        raw = _decoded(root)
        if not origin or not _SIZE.fullmatch(size) or raw is None or len(raw) != _HASH:
            raise ValueError("origin, size and root are no such lines")
        if not all(extensions):
            raise ValueError("an extension is empty")
        return cls(origin, int(size), raw, tuple(extensions))


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature under a checkpoint, not yet believed.

    Attributes:
        name: Of its key.
        key_id: Of its key.
        proof: The signature's bytes.
    """

    name: str
    key_id: bytes
    proof: bytes

    def __str__(self) -> str:
        return f"{_MARK}{self.name} {base64.b64encode(self.key_id + self.proof).decode()}\n"

    def claims(self, key: PublicKey) -> bool:
        """Whether it says that *key* made it."""
        return self.name == key.name and self.key_id == key.id and len(self.proof) == _PROOF


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A checkpoint and the signatures under it, parsed but not yet believed."""

    checkpoint: Checkpoint
    signatures: tuple[NoteSignature, ...]

    def to_bytes(self) -> bytes:
        """Spell this as it is stored."""
        return (self.checkpoint.text + "\n" + "".join(map(str, self.signatures))).encode()

    @classmethod
    def from_bytes(cls, stored: bytes, key: str) -> SignedCheckpoint:
        """Undo `to_bytes`, believing nothing.

        Raises:
            CorruptionError: *stored* is no signed checkpoint.
        """
        try:
            return cls(*_parsed(stored))
        except ValueError as cause:
            raise CorruptionError(key, f"it is no signed checkpoint ({cause})") from cause


def _parsed(stored: bytes) -> tuple[Checkpoint, tuple[NoteSignature, ...]]:
    if len(stored) > LARGEST:
        raise ValueError(f"{len(stored)} bytes are too many")
    note = stored.decode()
    if _CONTROL.search(note):
        raise ValueError("it has control characters")
    text, empty, lines = note.rpartition("\n\n")
    if not empty or not lines.endswith("\n"):
        raise ValueError("nobody signed it")
    return Checkpoint.parse(text + "\n"), tuple(map(_signature, lines[:-1].split("\n")))


def _signature(line: str) -> NoteSignature:
    mark, (name, _, proof) = line[: len(_MARK)], line[len(_MARK) :].partition(" ")
    raw = _decoded(proof)
    if mark != _MARK or not name or raw is None or len(raw) <= _ID:
        raise ValueError("a signature is none")
    return NoteSignature(name, raw[:_ID], raw[_ID:])


def _decoded(text: str) -> bytes | None:
    """Bytes of base64; None if it is none, or the same spelled otherwise."""
    try:
        return fields.octets(text)
    except ValueError:
        return None
