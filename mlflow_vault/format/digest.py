"""Digests: the names of content.

Everything the vault stores is named by what it contains.  The name is taken
over the *plain* bytes, before any codec, so recompressing never renames:

    plain bytes --BLAKE3--> 32 bytes --hex--> "b3:af1349b9f5f9a1a6..."

The prefix names the algorithm, so one vault can hold two while it migrates.

Pure: no I/O.  Written down in docs/format.md, "Digests".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from blake3 import blake3

from mlflow_vault.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined]

SIZE: Final = 32  # bytes
PREFIX: Final = "b3:"
ALGORITHM: Final = 0x1E  # BLAKE3 in the multicodec table, the byte before a stored digest


def from_hex(text: str) -> bytes:
    r"""Read hexadecimal as it is stored: small letters, nothing between.

    >>> from_hex("7f0a")
    b'\x7f\n'

    Raises:
        ValueError: *text* is something else, or the same spelled otherwise.
    """
    raw = bytes.fromhex(text)
    if raw.hex() != text:
        raise ValueError(f"not the hexadecimal that is stored: {text[:80]!r}")
    return raw


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """The name of some bytes: equal bytes, equal digest, on any machine."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != SIZE:
            raise InvalidInputError(f"a digest is {SIZE} bytes, got {len(self.raw)}")

    def __str__(self) -> str:
        return PREFIX + self.raw.hex()

    @classmethod
    def of(cls, plain: Buffer) -> Digest:
        """Return the digest of *plain*.

        >>> str(Digest.of(b""))[:15]
        'b3:af1349b9f5f9'
        """
        return cls(blake3(plain).digest())

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read what `str` wrote: ``Digest.parse(str(d)) == d``.

        Raises:
            InvalidInputError: *text* is not a digest this version can read.
        """
        if not text.startswith(PREFIX):
            raise InvalidInputError(f"expected 'b3:' and 64 hex digits, got {text!r}")
        try:
            digest = cls(bytes.fromhex(text.removeprefix(PREFIX)))
        except ValueError as cause:
            raise InvalidInputError(f"not a digest: {text!r}") from cause
        if str(digest) != text.lower():  # `fromhex` passes over spaces
            raise InvalidInputError(f"not a digest: {text!r}")
        return digest
