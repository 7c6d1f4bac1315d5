"""Reading pieces of an HDF5 file by address, and counting what that costs.

All addresses and lengths are eight bytes, as every library writes them on machines of today.

Pure: no I/O.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors.arrays import check, read_exactly

if TYPE_CHECKING:
    from mlflow_vault.format.tensors.arrays import Bytes

WORD: Final = 8  # bytes of an address or a length
UNDEFINED: Final = (1 << 64) - 1  # an address that is none
_MAX_PIECES: Final = 200_000  # a dataset takes three to six, each one to two microseconds
_MAX_BYTES: Final = 64 << 20
_LARGEST: Final = 1 << 20  # bytes of one piece


class Reading:
    """An HDF5 file that is read in pieces."""

    def __init__(self, source: Bytes) -> None:
        self.source = source
        self._pieces = _MAX_PIECES
        self._bytes = _MAX_BYTES

    def piece(self, address: int, size: int) -> bytes:
        """Return *size* bytes at *address*."""
        self._pieces -= 1
        self._bytes -= size
        check(self._pieces >= 0 and self._bytes >= 0, "too much to read")
        check(size <= _LARGEST, "too large a piece")
        return read_exactly(self.source, address, address + size)

    def signed(self, address: int, size: int, signature: bytes) -> bytes:
        """Return *size* bytes at *address*, which begin with *signature*."""
        found = self.piece(address, size)
        check(found.startswith(signature), "something else than was pointed at")
        return found


def word(plain: bytes, at: int) -> int:
    """Return the address or length at *at*."""
    found: int = struct.unpack_from("<Q", plain, at)[0]
    return found


def number(plain: bytes, at: int, width: int) -> int:
    """Return the number of *width* bytes at *at*."""
    check(at + width <= len(plain), "a number that is not there")
    return int.from_bytes(plain[at : at + width], "little")
