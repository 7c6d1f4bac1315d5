"""Read a vault by what docs/format.md says, and by nothing else.

A format that only one program can read is that program's habit.  This one was written from the
page alone and shares no code with the library; whatever it cannot restore, the page fails to say.

    python reader.py VAULT DESTINATION      restore every file into an empty or new folder
    python reader.py --from-packs PACK...   rebuild chunks from packs alone, and list them

Damage is printed, what is whole is restored all the same, and the exit code is 1.  With `--tell`
the last line is JSON: how often each codec, plane mode and path through them was taken.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import struct
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import zstandard
from blake3 import blake3
from decoding import DamagedError, UnsupportedError, decode, need, told
from entries import HEAD, Entry, check_head, check_vault, unframe, unspell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RECORD: Final = struct.Struct("<4s4BIII24s16s33s")
LINK: Final = struct.Struct("<33sII")
FOOTER: Final = struct.Struct("<33sQI")
TRAILER: Final = struct.Struct("<4sQ32s")
BROKEN: Final = (  # what bytes that lie can raise
    *(DamagedError, UnsupportedError, OSError, zstandard.ZstdError, struct.error),
    *(ValueError, KeyError, TypeError, OverflowError, AttributeError),
)


def plain_chunks(entry: Entry, vault: Path) -> Iterator[bytes]:
    """Yield the plain chunks of a file in its order, each verified."""

    @lru_cache(maxsize=16)
    def chunk(row: int) -> bytes:
        digest, size, pack, start, length, codec, _ = entry.rows[row]
        name = entry.packs[pack]
        base = b"".join(chunk(part)[first:last] for part, first, last in entry.parts[row])
        place = f"chunk b3:{digest.hex()} in packs/{name[:2]}/{name}"
        try:
            with (vault / "packs" / name[:2] / name).open("rb") as pack_file:
                pack_file.seek(start)
                payload = pack_file.read(length)
            need(len(payload) == length, "is cut off")
            plain = decode(codec, size, payload, base or None)
            need(blake3(plain).digest() == digest, "has another digest")
        except BROKEN as cause:
            raise DamagedError(f"{place}: {cause}") from cause
        told["parts " + str(len(entry.parts[row]))] += 1
        return plain

    told["inline"] += entry.about["inline"] is not None
    yield entry.inline
    yield from map(chunk, entry.sequence)


# Packs


@dataclass(frozen=True, slots=True)
class Record:
    """One encoded chunk in a pack, with all that says what it is."""

    codec: int
    size: int
    links: list[tuple[bytes, int, int]]  # digest, start, stop
    payload: bytes

    @classmethod
    def parse(cls, raw: bytes, start: int) -> tuple[bytes, Record, int]:
        """Return the digest of the record at *start* of a pack, the record, and where it ends."""
        magic, codec, _, links, _, size, length, key, nonce, tag, digest = RECORD.unpack_from(
            raw, start
        )
        need(magic == b"mrec", f"no record at {start}")
        need(not (key or any(nonce + tag)), "an encrypted record", UnsupportedError)
        at = start + RECORD.size
        spans = [LINK.unpack_from(raw, at + LINK.size * number) for number in range(links)]
        at += LINK.size * links
        need(at + length <= len(raw), f"the record at {start} is cut off")
        found = [(named(link), first, last) for link, first, last in spans]
        return named(digest), cls(codec, size, found, raw[at : at + length]), at + length


def named(digest: bytes) -> bytes:
    """Return a digest without its algorithm byte."""
    need(digest[0] == 0x1E, "another digest algorithm", UnsupportedError)
    return digest[1:]


def read_pack(raw: bytes, table: dict[bytes, list[Record]]) -> None:
    """Add every record of a pack to *table*, then compare them with the footer."""
    check_head(raw, b"p")
    magic, foot, digest = TRAILER.unpack_from(raw, len(raw) - TRAILER.size)
    whole = magic == b"mend" and blake3(raw[foot : -TRAILER.size]).digest() == digest
    rows, at = [], HEAD.size
    while raw[at : at + 4] == b"mrec" and not (whole and at == foot):
        name, record, stop = Record.parse(raw, at)
        table.setdefault(name, []).append(record)
        rows.append((b"\x1e" + name, at, stop - at))
        at = stop
    need(whole, "no whole footer; records read one after another")
    told_rows = list(FOOTER.iter_unpack(raw[foot : -TRAILER.size]))
    need(at == foot and rows == told_rows, "another footer")


def rebuild(packs: Iterable[Path]) -> tuple[list[str], list[str]]:
    """Decode every record of *packs*; return the digests that verify, and what is damaged."""
    table: dict[bytes, list[Record]] = {}
    damage = []
    for pack in packs:
        try:
            read_pack(pack.read_bytes(), table)
        except BROKEN as cause:
            damage.append(f"{pack.name}: {said(cause)}")

    @lru_cache(maxsize=16)
    def chunk(digest: bytes, deeper: int = 4) -> bytes:
        need(deeper >= 0, "deeper than four")
        cause: Exception = DamagedError(f"b3:{digest.hex()} is in none of the packs")
        for record in table.get(digest, ()):
            try:
                spans = []
                for link, start, stop in record.links:
                    plain = chunk(link, deeper - 1)
                    need(start < stop <= len(plain), "a link that cannot be")
                    spans.append(plain[start:stop])
                plain = decode(record.codec, record.size, record.payload, b"".join(spans))
                need(blake3(plain).digest() == digest, "has another digest")
            except BROKEN as error:
                cause = error
            else:
                return plain
        raise cause

    verified = []
    for digest in table:
        try:
            chunk(digest)
            verified.append(f"b3:{digest.hex()}")
        except BROKEN as cause:
            damage.append(f"b3:{digest.hex()}: {said(cause)}")
    return verified, damage


# The program


def said(cause: Exception) -> str:
    """Say what is wrong."""
    return f"{cause}" if isinstance(cause, DamagedError) else f"{type(cause).__name__}: {cause}"


def restore(vault: Path, target: Path) -> list[str]:
    """Write every whole file of *vault* below the empty folder *target*; return what is damaged."""
    try:
        check_vault((vault / "vault.json").read_bytes())
    except BROKEN as cause:
        return [f"vault.json: {said(cause)}"]
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        return [f"{target}: not empty"]
    damage = []
    for folder, _, names in os.walk(vault / "tree"):
        for found in (Path(folder, name) for name in names):
            key = found.relative_to(vault).as_posix()
            path = unspell(key)
            if path is None:
                sys.stderr.write(f"passed over: {key!r}\n")
                continue
            try:
                entry = Entry.parse(unframe(found.read_bytes(), b"e"), path)
                write(plain_chunks(entry, vault), entry.about, target / path)
            except BROKEN as cause:
                damage.append(f"{path!r}: {said(cause)}")
    return damage


def write(chunks: Iterable[bytes], about: dict[str, Any], target: Path) -> None:
    """Make *target* of *chunks*, after all of it was compared with its digests."""
    whole: dict[str, Any] = {"b3": blake3(), "sha256": hashlib.sha256()}
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        spool = Path(folder, "spool")
        with spool.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                for digest in whole.values():
                    digest.update(chunk)
        found = {name: digest.hexdigest() for name, digest in whole.items()}
        need(found == about["digests"], "the file has another digest")
        spool.rename(target)


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--from-packs", action="store_true")
    parser.add_argument("--tell", action="store_true")
    parser.add_argument("places", nargs="+", type=Path)
    said_so = parser.parse_args()
    verified: list[str] = []
    if said_so.from_packs:
        verified, damage = rebuild(said_so.places)
    else:
        vault, target = said_so.places
        damage = restore(vault, target)
    lines = [f"verified {line}" for line in verified] + [f"damaged {line}" for line in damage]
    lines += [json.dumps(told)] * said_so.tell
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 1 if damage else 0


if __name__ == "__main__":
    sys.exit(main())
