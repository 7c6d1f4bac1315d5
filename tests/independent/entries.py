"""Read keys, frames and entries by what docs/format.md says of them.

The middle of the independent reader: what an entry says, checked, but nothing of its chunks.
"""

from __future__ import annotations

import json
import math
import re
import struct
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import zstandard
from blake3 import blake3
from decoding import MIB, Cursor, UnsupportedError, need, unzstd

HEAD: Final = struct.Struct("<4sBBHQ")  # of a frame or a pack
DEVICE: Final = re.compile(rb"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)")


def spell(path: str) -> str:
    """Return the key of the entry of *path*."""
    pieces = []
    for component in path.encode("utf-8", "surrogateescape").split(b"/"):
        letters = [spell_byte(letter) for letter in component]
        if component.endswith(b"."):
            letters[-1] = "!046"
        if DEVICE.match(component):
            letters[0] = f"!{component[0]:03d}"
        piece = ""
        for letter in letters:
            if len(piece + letter) > 180:
                pieces.append(piece + "!-")
                piece = ""
            piece += letter
        pieces.append(piece)
    return f"tree/{'/'.join(pieces)}!"


def spell_byte(letter: int) -> str:
    """Spell one byte of a path."""
    text = chr(letter)
    if re.fullmatch("[-a-z0-9_.]", text):
        return text
    return "!" + text.lower() if "A" <= text <= "Z" else f"!{letter:03d}"


def unspell(key: str) -> str | None:
    """Return the path of the entry at *key*, None where it is no path's key."""
    spelled = key.removeprefix("tree/").replace("!-/", "")
    if not re.fullmatch(r"([-a-z0-9_./]|![a-z]|![0-9]{3})*!", spelled):
        return None
    letters = re.findall(r"!([a-z])|!([0-9]{3})|([^!])", spelled)
    values = [ord(upper.upper() or plain or "\0") or int(code) for upper, code, plain in letters]
    if max(values, default=256) > 255:
        return None
    path = bytes(values).decode("utf-8", "surrogateescape")
    return path if spell(path) == key and is_safe(path) and len(key) <= 900 else None


def is_safe(path: str) -> bool:
    """Tell whether *path* stays below the folder it is joined to, however often decoded."""
    raw, last = path.encode("utf-8", "surrogateescape"), b""
    plain = not {b"", b".", b".."} & set(raw.split(b"/"))
    while plain and raw != last:
        plain = b"\0" not in raw and b".." not in re.split(rb"[/\\]", raw)
        raw, last = unquote_to_bytes(raw), raw
    return plain


# Objects


def unframe(raw: bytes, kind: bytes) -> bytes:
    """Return the body of a frame."""
    check_head(raw, kind)
    need(blake3(raw[:-32]).digest() == raw[-32:], "a wrong digest")
    body = raw[HEAD.size : -32]
    size = zstandard.frame_content_size(body)
    most = max(32 * MIB, 16 * (len(raw) - 32))
    need(0 < size <= most, "a body of unknown size, or too large")
    return unzstd(body, size, window=most)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return *pairs*, each key of which appears once."""
    need(len(dict(pairs)) == len(pairs), "a key twice")
    return dict(pairs)


def finite(text: str) -> float:
    """Return the number that *text* is."""
    need(math.isfinite(float(text)), "an infinite number, or none")
    return float(text)


def read_json(raw: bytes) -> Any:
    """Return what JSON says, as strictly as the page."""
    need(sum(raw.count(mark) for mark in b"{}[],") <= 3_000_000, "too much JSON")
    return json.loads(raw, object_pairs_hook=unique, parse_float=finite, parse_constant=finite)


def check_head(raw: bytes, kind: bytes) -> None:
    """Check what a frame or a pack begins with."""
    magic, letter, version, zero, features = HEAD.unpack(raw[: HEAD.size])
    need((magic, letter) == (b"mlvt", kind[0]), "another magic or kind")
    need(version <= 1 and not features, "of a later format", UnsupportedError)
    need(zero == 0, "bytes that are not zero")


def check_vault(raw: bytes) -> None:
    """Check `vault.json`."""
    need(len(raw) <= MIB, "too long")
    vault = read_json(raw)
    need(vault["magic"] == "mlflow-vault", "another magic")
    need(vault["format"] >= 0 and 0 <= vault["cut_seed"] < 1 << 63, "numbers that cannot be")
    known = vault["format"] <= 1 and vault["naming"] == "plain" and vault["aead"] is None
    need(known and not vault["features"], "a vault of a later format", UnsupportedError)


@dataclass(frozen=True, slots=True)
class Entry:
    """What an entry says, by row where there are rows."""

    about: dict[str, Any]
    packs: list[str]
    rows: list[tuple[bytes, int, int, int, int, int, int]]  # as in the page's columns
    parts: list[list[tuple[int, int, int]]]  # of each row
    sequence: list[int]
    inline: bytes

    @classmethod
    def parse(cls, body: bytes, path: str) -> Entry:
        """Read and check the body of the entry of *path*."""
        cursor = Cursor(body)
        need(cursor.byte() == 0x1E, "another digest algorithm", UnsupportedError)
        cursor.take(3)
        length, packs, rows, parts, steps = (int(count) for count in cursor.column("<u4", 5))
        about = read_json(cursor.take(length).decode("ascii").encode())
        names = [cursor.take(16).hex() for _ in range(packs)]
        digests = [cursor.take(32) for _ in range(rows)]
        columns = [
            cursor.column(kind, rows).tolist() for kind in ["<u4", "<u4", "<u8", "<u4", "u1", "u1"]
        ]
        spans = list(zip(*(cursor.column("<u4", parts).tolist() for _ in range(3)), strict=True))
        sequence = cursor.column("<u4", steps).tolist()
        inline = cursor.take(about["inline"] or 0)
        cursor.end()
        bounds = pairwise(accumulate(columns[-1], initial=0))
        grouped = [spans[start:stop] for start, stop in bounds]
        need(sum(map(len, grouped)) == parts, "parts of no row")
        entry = cls(
            about, names, list(zip(digests, *columns, strict=True)), grouped, sequence, inline
        )
        need(about["path"] == path, "a path that its key does not spell")
        entry.check()
        return entry

    def check(self) -> None:
        """Check what a reader must."""
        size, is_inline = self.about["size"], self.about["inline"] is not None
        need(not (is_inline and (self.rows or self.sequence)), "inline and not")
        need(all(step < len(self.rows) for step in self.sequence), "a row that is not there")
        sizes = (self.rows[step][1] for step in self.sequence)
        need(size == (len(self.inline) if is_inline else sum(sizes)), "sizes that do not add up")
        depths: list[int] = []
        needs: list[int] = []
        for (_, plain, pack, _, stored, codec, _), parts in zip(self.rows, self.parts, strict=True):
            need(0 < plain <= 4 * MIB and pack < len(self.packs), "a row that cannot be")
            need(stored <= plain + 256, "a payload that is too long")
            need(len(parts) <= 3 and (codec in (3, 4)) == bool(parts), "a base too few or too many")
            for row, start, stop in parts:
                need(
                    row < len(depths) and start < stop <= self.rows[row][1], "a part that cannot be"
                )
            depths.append(1 + max((depths[row] for row, *_ in parts), default=-1))
            need(depths[-1] <= 4, "deeper than four")
            needs.append(plain + sum(needs[row] for row in {row for row, *_ in parts}))
            need(needs[-1] <= 64 * MIB, "a chunk that needs too much")
