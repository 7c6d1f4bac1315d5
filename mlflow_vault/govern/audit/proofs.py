"""Proofs about the log for whoever has neither the log nor the vault: a few hundred bytes.

An `Inclusion` shows that an entry is in the log that a signed checkpoint tells of, a `Growth` that
one checkpoint's log begins another's.  Both carry all that is needed but the public key.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from mlflow_vault.errors import CorruptionError, InvalidInputError, UntrustedError
from mlflow_vault.format import fields, layout
from mlflow_vault.format.checkpoint import SignedCheckpoint
from mlflow_vault.format.log import LARGEST, LogEntry
from mlflow_vault.format.merkle import (
    extends,
    includes,
    leaf_hash,
    nodes_of,
    prove_consistency,
    prove_inclusion,
)
from mlflow_vault.govern.audit.keys import signers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.format.checkpoint import Checkpoint, PublicKey
    from mlflow_vault.format.merkle import Node
    from mlflow_vault.govern.audit.checkpoints import Checkpoints
    from mlflow_vault.govern.audit.log import Log


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That an entry is in a log.

    Attributes:
        sequence: The entry's number.
        stored: Its bytes.
        proof: Hashes beside its way up to the root.
        signed: The checkpoint.
    """

    sequence: int
    stored: bytes
    proof: tuple[bytes, ...]
    signed: SignedCheckpoint

    def __repr__(self) -> str:
        return f"Inclusion({self.sequence} of {self.signed.checkpoint.size})"

    def check(self, trusted: Iterable[PublicKey]) -> LogEntry:
        """Return the entry if all of this holds.

        Raises:
            CorruptionError: The proof does not hold, or the entry is none of that log.
            UntrustedError: None of the *trusted* keys signed the checkpoint.
        """
        key, head = layout.log_key(self.sequence), self.signed.checkpoint
        _refuse_untrusted(self.signed, trusted)
        leaf = leaf_hash(self.stored)
        if not includes(leaf, self.sequence, head.size, self.proof, head.root):
            raise CorruptionError(key, "the proof does not show that it is in the log")
        return LogEntry.from_bytes(self.stored, key)

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain JSON values."""
        return {
            "sequence": self.sequence,
            "entry": self.stored.decode(),
            "proof": [base64.b64encode(each).decode() for each in self.proof],
            "checkpoint": self.signed.to_bytes().decode(),
        }

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Inclusion:
        """Undo `to_dict`; nothing is believed until `check`.

        Raises:
            InvalidInputError: It is no such proof.
        """
        try:
            signed = told["checkpoint"].encode()
            return cls(
                int(told["sequence"]),
                told["entry"].encode(),
                tuple(map(fields.octets, told["proof"])),
                SignedCheckpoint.from_bytes(signed, "the checkpoint"),
            )
        except (AttributeError, CorruptionError, LookupError, TypeError, ValueError) as cause:
            raise InvalidInputError(f"this proves no entry of a log: {cause!r}") from cause


@dataclass(frozen=True, slots=True)
class Growth:
    """That one checkpoint's log begins another's: nothing that was signed has changed since.

    Attributes:
        earlier: A checkpoint.
        later: One of the same log.
        proof: Hashes that make both roots.
    """

    earlier: SignedCheckpoint
    later: SignedCheckpoint
    proof: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Growth({self.earlier.checkpoint.size} to {self.later.checkpoint.size})"

    def check(self, trusted: Iterable[PublicKey]) -> None:
        """Return if all of this holds.

        Raises:
            CorruptionError: The later log does not begin with the earlier one.
            UntrustedError: None of the *trusted* keys signed one of them.
        """
        trusted = tuple(trusted)
        _refuse_untrusted(self.earlier, trusted)
        _refuse_untrusted(self.later, trusted)
        first, then = self.earlier.checkpoint, self.later.checkpoint
        holds = extends((first.size, first.root), (then.size, then.root), self.proof)
        if first.origin != then.origin or not holds:
            raise CorruptionError(
                first.origin,
                f"its log of {then.size} entries is not shown to begin with that of {first.size}",
            )


def include(
    log: Log, checkpoints: Checkpoints, sequence: int, signed: SignedCheckpoint
) -> Inclusion:
    """Prove that an entry is in the log that *signed* tells of; reads a tile for each 8 levels.

    Raises:
        InvalidInputError: The checkpoint is older than the entry.
        NotFoundError: There is no such entry.
        CorruptionError: Entry, tiles and checkpoint disagree; verify the log to see where.
    """
    head = signed.checkpoint
    proof = tuple(prove_inclusion(sequence, head.size, _nodes(checkpoints, head)))
    key = layout.log_key(sequence)
    stored = log.store.get(key, 0, LARGEST + 1)
    log.parse(sequence, stored)
    if not includes(leaf_hash(stored), sequence, head.size, proof, head.root):
        raise CorruptionError(key, "entry, tiles and checkpoint disagree: verify the log")
    return Inclusion(sequence, stored, proof, signed)


def grow(checkpoints: Checkpoints, earlier: SignedCheckpoint, later: SignedCheckpoint) -> Growth:
    """Prove that the log only grew between two checkpoints.

    Raises:
        InvalidInputError: *earlier* is the longer one.
        CorruptionError: Tiles and checkpoints disagree; verify the log to see where.
    """
    first, then = earlier.checkpoint, later.checkpoint
    proof = tuple(prove_consistency(first.size, then.size, _nodes(checkpoints, then)))
    if not extends((first.size, first.root), (then.size, then.root), proof):
        raise CorruptionError(layout.LOG, "tiles and checkpoints disagree: verify the log")
    return Growth(earlier, later, proof)


def _nodes(checkpoints: Checkpoints, head: Checkpoint) -> Node:
    return nodes_of(cache(lambda level, index: checkpoints.tile(level, index, head.size)))


def _refuse_untrusted(signed: SignedCheckpoint, trusted: Iterable[PublicKey]) -> None:
    if not signers(signed, trusted):
        raise UntrustedError(
            f"the checkpoint of {signed.checkpoint.origin!r} over {signed.checkpoint.size} entries "
            "is signed by no trusted key"
        )
