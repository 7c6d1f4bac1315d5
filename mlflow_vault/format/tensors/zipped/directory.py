"""A zip's central directory: which members lie where in the file.

    local header | member | local header | member | ... | central directory | end record

Only what stands uncompressed can be cut at, so nothing is ever inflated and a zip bomb stays
asleep.  Members that overlap, or a directory that points outside, make the file unknown.

Pure: no I/O.  The format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors.arrays import MAX_ARRAYS, Window, check, read_exactly

if TYPE_CHECKING:
    from mlflow_vault.format.tensors.arrays import Bytes

MAGIC: Final = b"PK\x03\x04"
_MAX_MEMBERS: Final = MAX_ARRAYS
_MAX_DIRECTORY: Final = 8 << 20  # bytes
_MAX_COMMENT: Final = 0xFFFF

_END: Final = struct.Struct("<4sHHHHIIH")
_END_MAGIC: Final = b"PK\x05\x06"
_LOCATOR: Final = struct.Struct("<4sIQI")
_LOCATOR_MAGIC: Final = b"PK\x06\x07"
_END64: Final = struct.Struct("<4sQHHIIQQQQ")
_END64_MAGIC: Final = b"PK\x06\x06"
_ENTRY: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")
_ENTRY_MAGIC: Final = b"PK\x01\x02"
_LOCAL: Final = struct.Struct("<4sHHHHHIIIHH")
_EXTRA: Final = struct.Struct("<HH")

_ENCRYPTED: Final = 1 << 0
_UTF8: Final = 1 << 11
_ZIP64: Final = 1  # the extra field that holds what does not fit 32 bits
_FULL: Final = 0xFFFF_FFFF  # "look there"


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a zip.

    Attributes:
        name: Its path in the zip.
        header: Where its local header begins.
        size: Bytes as stored in the zip.
        plain: Whether those are the member's own bytes, neither compressed nor encrypted.
    """

    name: str
    header: int
    size: int
    plain: bool


@dataclass(frozen=True, slots=True)
class Zip:
    """A zip that could be read.

    Attributes:
        source: Its bytes.
        members: By name, in the order of the directory.
    """

    source: Bytes
    members: dict[str, Member]

    def open(self, name: str) -> Window | None:
        """Return the bytes of member *name*, None if it is not there or not plain."""
        member = self.members.get(name)
        if member is None or not member.plain:
            return None
        fixed = read_exactly(self.source, member.header, member.header + _LOCAL.size)
        magic, *_, name_size, extra_size = _LOCAL.unpack(fixed)
        check(magic == MAGIC, "a member without its header")
        start = member.header + _LOCAL.size + name_size + extra_size
        check(start + member.size <= self.source.size, "a member outside the file")
        return Window(self.source, start, start + member.size)

    def read(self, name: str, limit: int) -> bytes | None:
        """Return member *name* whole; None if it is not there, not plain or above *limit* bytes."""
        window = self.open(name)
        if window is None or window.size > limit:
            return None
        return read_exactly(window, 0, window.size)


def read_zip(source: Bytes) -> Zip:
    """Read the directory of a zip, or leave if *source* is none that can be trusted."""
    entries, start, stop = _find_directory(source)
    check(entries <= _MAX_MEMBERS and stop - start <= _MAX_DIRECTORY, "too many members")
    found = _read_entries(read_exactly(source, start, stop), entries)
    members = {member.name: member for member in found}
    check(len(members) == entries, "two members of one name")
    found.sort(key=lambda member: member.header)
    ends = [member.header + _LOCAL.size + member.size for member in found]
    begins = [member.header for member in found] + [start]
    check(all(end <= begin for end, begin in zip(ends, begins[1:], strict=True)), "members overlap")
    return Zip(source, members)


def _find_directory(source: Bytes) -> tuple[int, int, int]:
    """Return how many entries the central directory has, where it begins and where it ends."""
    base = max(0, source.size - _END.size - _MAX_COMMENT)
    tail = read_exactly(source, base, source.size)
    at = len(tail) - _END.size
    while (at := tail.rfind(_END_MAGIC, 0, at + len(_END_MAGIC))) >= 0:
        _, _, _, _, entries, size, start, comment = _END.unpack_from(tail, at)
        if at + _END.size + comment == len(tail):
            break
        at -= 1
    check(at >= 0, "no end record")
    locator = base + at - _LOCATOR.size
    if locator >= 0:
        fields = _LOCATOR.unpack(read_exactly(source, locator, locator + _LOCATOR.size))
        if fields[0] == _LOCATOR_MAGIC:
            end64 = read_exactly(source, fields[2], fields[2] + _END64.size)
            magic, *_, entries, size, start = _END64.unpack(end64)
            check(magic == _END64_MAGIC, "no zip64 end record")
    check(start + size <= base + at, "the directory lies behind its end")
    return entries, start, start + size


def _read_entries(directory: bytes, entries: int) -> list[Member]:
    found, at = [], 0
    for _ in range(entries):
        fields = _ENTRY.unpack_from(directory, at)
        magic, _, _, flags, method, *_ = fields
        size, plain_size, name_size, extra_size, comment_size = fields[8:13]
        check(magic == _ENTRY_MAGIC, "no entry")
        at += _ENTRY.size
        name = directory[at : at + name_size]
        extra = directory[at + name_size : at + name_size + extra_size]
        at += name_size + extra_size + comment_size
        header = fields[-1]
        if _FULL in {size, plain_size, header}:
            size, plain_size, header = _widen(extra, size, plain_size, header)
        plain = method == 0 and size == plain_size and not flags & _ENCRYPTED
        encoding = "utf-8" if flags & _UTF8 else "cp437"
        found.append(Member(name.decode(encoding, "replace"), header, size, plain))
    check(at == len(directory), "the directory has another size")
    return found


def _widen(extra: bytes, size: int, plain_size: int, header: int) -> tuple[int, int, int]:
    """Replace what did not fit 32 bits by what the zip64 extra field says."""
    at = 0
    while at + _EXTRA.size <= len(extra):
        kind, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size
        if kind == _ZIP64:
            wide = list(struct.unpack_from(f"<{length // 8}Q", extra, at))
            plain_size = wide.pop(0) if plain_size == _FULL else plain_size
            size = wide.pop(0) if size == _FULL else size
            header = wide.pop(0) if header == _FULL else header
            break
        at += length
    return size, plain_size, header
