"""Discovered ancestry: which versions are made of the bytes of which others, told or not.

Two signs, both read from entries without reading a byte of content:

    share   bytes in chunks that both have                    "v7 is 94 % m-abc"
    coded   bytes in chunks stored as small differences from chunks of the other: fine-tuned

The later one is taken to come from the earlier one.  That is a guess: two models fine-tuned from
a third, which the vault never saw, have as much in common.  So these edges are known from
``content``, and `impact` calls what only they reach suspected.

An index from chunks to the first and the last version that has them proposes who may be related;
only the best few are compared chunk by chunk.  So the work grows with the chunks, not with pairs
of versions.

Pure: no I/O.  `govern.graph` reads the entries.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mlflow_vault.config import KIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlflow_vault.format.entry import Entry

# Smaller chunks and files say nothing: requirements.txt and conda.yaml are equal in most models
# that were made in one environment.
SMALLEST: Final = 4 * KIB
# A difference of at most half the plain bytes comes from a relative: fine-tuned weights take 10 to
# 40 %, unrelated ones of equal shape no less than on their own, 66 to 82 % (docs/format.md).
PAYS: Final = 2
LEAST: Final = 0.05  # of the bytes: less is chance, such as equal tokenizers
COMPARED: Final = 8  # versions that are compared with one, chunk by chunk


@dataclass(frozen=True, slots=True)
class Content:
    """The chunks of one set of files; about 200 bytes each.

    Attributes:
        digest: Of the set of files.
        since: When it was first committed, in milliseconds since 1970.
        chunks: Bytes of the files that lie in each chunk, by its digest.
        coded: The bases of the chunks that are stored as small differences.
    """

    digest: str
    since: int
    chunks: Mapping[bytes, int] = field(default_factory=dict)
    coded: Mapping[bytes, tuple[bytes, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shared:
    """What a set of files has in common with an earlier one.

    Attributes:
        effect: Digest of the later one.
        cause: Digest of the earlier one.
        since: When the later one was committed.
        share: Of the later one's bytes that lie in chunks of the earlier one, 0 to 1.
        coded: Of its bytes that are stored as small differences from the earlier one.
    """

    effect: str
    cause: str
    since: int
    share: float
    coded: float


def content_of(digest: str, since: int, entries: Iterable[Entry]) -> Content:
    """Return the chunks of the files that have *entries*."""
    chunks: Counter[bytes] = Counter()
    coded: dict[bytes, tuple[bytes, ...]] = {}
    for entry in entries:
        if entry.inline is not None and entry.size >= SMALLEST:
            chunks[entry.digest.raw] += entry.size
        for index, times in Counter(entry.sequence).items():
            row = entry.rows[index]
            if row.size < SMALLEST:
                continue
            chunks[row.digest.raw] += row.size * times
            if row.base and row.stored * PAYS <= row.size:
                coded[row.digest.raw] = tuple(entry.rows[part.row].digest.raw for part in row.base)
    return Content(digest, since, chunks, coded)


def discover(contents: Iterable[Content]) -> list[Shared]:
    """Find who is made of whose bytes.

    >>> old = Content("b3:01", 1, {b"x": 90, b"y": 10})
    >>> new = Content("b3:02", 2, {b"x": 90, b"z": 10})
    >>> discover([new, old])
    [Shared(effect='b3:02', cause='b3:01', since=2, share=0.9, coded=0.0)]
    """
    found: list[Shared] = []
    first: dict[bytes, Content] = {}
    last: dict[bytes, Content] = {}
    seen: set[str] = set()
    for content in sorted(contents, key=lambda content: (content.since, content.digest)):
        if content.digest in seen:
            continue
        seen.add(content.digest)
        likely: Counter[str] = Counter()
        by_name: dict[str, Content] = {}
        for chunk, size in content.chunks.items():
            for sign in (chunk, *content.coded.get(chunk, ())):
                for holder in (first.get(sign), last.get(sign)):
                    if holder is not None:
                        likely[holder.digest] += size
                        by_name[holder.digest] = holder
        found += (
            common
            for name, _ in likely.most_common(COMPARED)
            if (common := _compare(content, by_name[name])).share + common.coded >= LEAST
        )
        for chunk in content.chunks:
            first.setdefault(chunk, content)
            last[chunk] = content
    return found


def _compare(later: Content, earlier: Content) -> Shared:
    total = sum(later.chunks.values()) or 1
    same = coded = 0
    for chunk, size in later.chunks.items():
        if chunk in earlier.chunks:
            same += size
        elif any(base in earlier.chunks for base in later.coded.get(chunk, ())):
            coded += size
    return Shared(
        later.digest, earlier.digest, later.since, round(same / total, 4), round(coded / total, 4)
    )
