"""Members are found through the directory at a zip's end, and lies about them are not believed."""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass

import numpy as np
import pytest

from mlflow_vault.format.tensors.arrays import MalformedError
from mlflow_vault.format.tensors.zipped.directory import read_zip

END = struct.Struct("<4sHHHHIIH")
ENTRY = struct.Struct("<4sHHHHHHIIIHHHHHII")


@dataclass(frozen=True, slots=True)
class Content:
    """A file in memory."""

    plain: bytes

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.plain)

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes ``[start, stop)``."""
        return self.plain[start:stop]


@pytest.fixture
def plain() -> bytes:
    """Return a zip of two members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", b"first")
        archive.writestr("b", b"second")
    return file.getvalue()


def set_end(plain: bytes, place: int, value: int) -> bytes:
    """Change one field of the end record."""
    fields = list(END.unpack(plain[-END.size :]))
    fields[place] = value
    return plain[: -END.size] + END.pack(*fields)


def set_entry(plain: bytes, place: int, value: int) -> bytes:
    """Change one field of the last entry, that of ``b``."""
    at = plain.rindex(b"PK\x01\x02")
    fields = list(ENTRY.unpack_from(plain, at))
    fields[place] = value
    return plain[:at] + ENTRY.pack(*fields) + plain[at + ENTRY.size :]


def to_zip64(plain: bytes, shift: int = 0) -> bytes:
    """Move what the end record says into one of zip64, told to lie *shift* bytes off."""
    _, _, _, _, entries, size, start, _ = END.unpack(plain[-END.size :])
    at = len(plain) - END.size
    fields = (44, 45, 45, 0, 0, entries, entries, size, start)
    end64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", *fields)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, at + shift, 1)
    end = END.pack(b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFF_FFFF, 0xFFFF_FFFF, 0)
    return plain[:at] + end64 + locator + end


def contents(plain: bytes) -> dict[str, bytes]:
    """Read every member."""
    archive = read_zip(Content(plain))
    read = {name: archive.read(name, 100) for name in archive.members}
    return {name: content for name, content in read.items() if content is not None}


def test_members(plain: bytes) -> None:
    """Members are found in their order, and only as large as was asked for."""
    archive = read_zip(Content(plain))

    assert contents(plain) == {"a": b"first", "b": b"second"}
    assert archive.read("b", 5) is None
    assert archive.open("c") is None


def test_comment(plain: bytes) -> None:
    """A comment behind the end record hides nothing, whatever it looks like."""
    file = io.BytesIO(plain)
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = b"PK\x05\x06" * 9

    assert contents(file.getvalue()) == contents(plain)


def test_zip64(plain: bytes) -> None:
    """A directory that only zip64's records describe is found."""
    assert contents(to_zip64(plain)) == contents(plain)


def test_zip64_member() -> None:
    """A member whose sizes stand in the extra field of zip64 is found."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, archive.open("a", "w", force_zip64=True) as member:
        member.write(np.arange(3.0).tobytes())
    plain = file.getvalue()
    at = plain.index(b"PK\x01\x02")
    fields = list(ENTRY.unpack_from(plain, at))
    size, extra = fields[8], struct.pack("<HHQQQ", 1, 24, fields[9], fields[8], fields[16])
    fields[8:10], fields[11], fields[16] = [0xFFFF_FFFF] * 2, len(extra), 0xFFFF_FFFF
    directory = ENTRY.pack(*fields) + b"a" + extra
    wide = set_end(plain[:at] + directory + plain[-END.size :], 5, len(directory))

    assert size == 24
    assert contents(wide) == {"a": np.arange(3.0).tobytes()}


def test_encrypted(plain: bytes) -> None:
    """A member that is encrypted or compressed is known and not readable."""
    assert contents(set_entry(plain, 3, 1)) == {"a": b"first"}
    assert contents(set_entry(plain, 4, 8)) == {"a": b"first"}


@pytest.mark.parametrize(
    ("place", "value"),
    [(4, 3), (4, 0xFFFF), (5, 1), (5, 0xFFFF_FFFF), (6, 0), (6, 0xFFFF_FFFF), (7, 1)],
)
def test_lying_end(plain: bytes, place: int, value: int) -> None:
    """An end record that counts wrongly, or points elsewhere, is not believed."""
    with pytest.raises((MalformedError, struct.error)):
        read_zip(Content(set_end(plain, place, value)))


@pytest.mark.parametrize(
    ("place", "value"),
    [(8, 200), (8, 0xFFFF_FFFF), (10, 0xFFFF), (11, 0xFFFF), (16, 0), (16, 9999)],
)
def test_lying_entry(plain: bytes, place: int, value: int) -> None:
    """An entry that reaches over its neighbour or out of the file is not believed."""
    with pytest.raises((MalformedError, struct.error, LookupError)):
        contents(set_entry(plain, place, value))


@pytest.mark.parametrize("shift", [-50, 1, 1 << 40])
def test_lying_zip64(plain: bytes, shift: int) -> None:
    """A zip64 record that is not where it should be is not believed."""
    with pytest.raises(MalformedError):
        read_zip(Content(to_zip64(plain, shift)))


def test_missing_header(plain: bytes) -> None:
    """A member without its local header is not believed."""
    archive = read_zip(Content(plain.replace(b"PK\x03\x04", b"PK\x03\x03")))

    with pytest.raises(MalformedError):
        archive.open("a")


def test_lying_header(plain: bytes) -> None:
    """A local header whose names reach out of the file is not believed."""
    at = plain.rindex(b"PK\x03\x04") + 28
    archive = read_zip(Content(plain[:at] + b"\xff\xff" + plain[at + 2 :]))

    with pytest.raises(MalformedError):
        archive.open("b")


def test_same_name(plain: bytes) -> None:
    """Two members of one name say nothing that could be relied on."""
    doubled = plain.replace(b"b", b"a")

    with pytest.raises(MalformedError):
        read_zip(Content(doubled))
