"""Who shares bytes with whom is found in entries, without reading a byte."""

from __future__ import annotations

from itertools import pairwise
from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.decide.lineage.ancestry import (
    COMPARED,
    LEAST,
    SMALLEST,
    Content,
    Shared,
    content_of,
    discover,
)
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.rows import Part, Row


def row(name: str, size: int, stored: int, *base: int) -> Row:
    """A row of the chunk *name*, coded against whole rows of the same size."""
    parts = tuple(Part(index, 0, size) for index in base)
    return Row(Digest.of(name.encode()), size, 0, bytes(16), 0, stored, parts)


def entry(*rows: Row, sequence: tuple[int, ...] = (), inline: bytes | None = None) -> Entry:
    """An entry with these rows."""
    size = len(inline) if inline is not None else sum(rows[index].size for index in sequence)
    digest = Digest.of(inline or b"")
    return Entry("f", size, digest, bytes(32), inline=inline, rows=rows, sequence=sequence)


def digest(name: str) -> bytes:
    """The digest of the chunk *name*."""
    return Digest.of(name.encode()).raw


def test_content() -> None:
    """Chunks count as often as they occur; bases that are no part of the file do not count."""
    large = 10 * SMALLEST
    rows = (
        row("base", large, large),
        row("near", large, large // 3, 0),
        row("far", large, large - 1, 0),
        row("tiny", SMALLEST - 1, 10),
    )

    content = content_of("b3:1", 5, [entry(*rows, sequence=(1, 2, 2, 3))])

    assert content.chunks == {digest("near"): large, digest("far"): 2 * large}
    assert content.coded == {digest("near"): (digest("base"),)}


def test_inline_content() -> None:
    """A file that lies in its entry counts as one chunk, unless it is as small as any model's."""
    weights, requirements = bytes(SMALLEST), b"numpy"

    content = content_of("b3:1", 5, [entry(inline=weights), entry(inline=requirements)])

    assert content.chunks == {Digest.of(weights).raw: SMALLEST}


def test_shared_and_coded() -> None:
    """A version is related to whose chunks it has and to whose chunks it changed a little."""
    old = Content("b3:old", 1, {b"a": 60, b"b": 40})
    new = Content("b3:new", 2, {b"a": 60, b"c": 30, b"d": 10}, {b"c": (b"b",)})
    newest = Content("b3:newest", 3, {b"e": 100}, {b"e": (b"c", b"b")})

    found = discover([newest, new, old])

    assert set(found) == {
        Shared("b3:new", "b3:old", 2, 0.6, 0.3),
        Shared("b3:newest", "b3:new", 3, 0.0, 1.0),
        Shared("b3:newest", "b3:old", 3, 0.0, 1.0),
    }


def test_chance() -> None:
    """What has next to nothing in common is not related, and nothing is related to itself."""
    old = Content("b3:old", 1, {b"a": 1})
    new = Content("b3:new", 2, {b"a": 1, b"b": 99})

    assert discover([old, new, old]) == []
    assert discover([Content("b3:x", 1), Content("b3:y", 2)]) == []


contents = st.lists(
    st.builds(
        Content,
        st.sampled_from([f"b3:{n}" for n in range(6)]),
        st.integers(1, 4),
        st.dictionaries(st.sampled_from([bytes([n]) for n in range(6)]), st.integers(1, 9)),
    ),
    max_size=6,
    unique_by=lambda content: content.digest,
)


@given(contents=contents)
def test_any_contents(contents: list[Content]) -> None:
    """Shares are what they are by hand, run from later to earlier, and miss no chunk's first.

    Whoever has nearly all its bytes from an earlier version is found to be somebody's.
    """
    found = discover(contents)

    by_digest = {content.digest: content for content in contents}
    for common in found:
        later, earlier = by_digest[common.effect], by_digest[common.cause]
        assert (earlier.since, earlier.digest) < (later.since, later.digest)
        same = sum(size for chunk, size in later.chunks.items() if chunk in earlier.chunks)
        assert common.share == round(same / sum(later.chunks.values()), 4) >= LEAST
        assert common.coded == 0
    assert found == discover(reversed(contents))
    for content in contents:
        for other in contents:
            is_earlier = (other.since, other.digest) < (content.since, content.digest)
            if is_earlier and content.chunks and content.chunks.keys() <= other.chunks.keys():
                assert any(common.effect == content.digest for common in found)


def test_many_versions() -> None:
    """A thousand versions that all share most chunks are compared with a few others each."""
    frozen = {bytes([1, n]): 100 for n in range(90)}
    many = [Content(f"b3:{n:04d}", n + 1, frozen | {b"head %d" % n: 1000}) for n in range(1000)]
    started = perf_counter()

    found = discover(many)

    causes: dict[str, set[str]] = {}
    for common in found:
        assert common.share == 0.9
        causes.setdefault(common.effect, set()).add(common.cause)
    assert len(causes) == 999
    assert all(len(some) <= COMPARED for some in causes.values())
    for before, after in pairwise(many):
        assert {"b3:0000", before.digest} <= causes[after.digest]
    assert perf_counter() - started < 30  # 0.1 s alone; every pair would take minutes
