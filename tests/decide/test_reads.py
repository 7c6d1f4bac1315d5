"""Planning reads loses no byte and costs no request."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.decide.reads import Span, plan_reads

sizes = st.integers(1, 50)
keys = st.sampled_from(["packs/aa", "packs/bb"])
spans = st.builds(lambda k, i, n: Span(k, i, i + n), keys, st.integers(0, 200), sizes)


@given(wanted=st.lists(spans), max_gap=st.integers(0, 20), max_read=sizes)
def test_plan(wanted: list[Span], max_gap: int, max_read: int) -> None:
    """Every wanted span can be cut out of one read, and reads are never more."""
    reads = plan_reads(wanted, max_gap=max_gap, max_read=max_read)

    assert len(reads) <= len(wanted)
    for want in wanted:
        assert any(
            read.key == want.key and read.start <= want.start and want.stop <= read.stop
            for read in reads
        )


@given(wanted=st.lists(spans), max_gap=st.integers(0, 20), max_read=sizes)
def test_limits(wanted: list[Span], max_gap: int, max_read: int) -> None:
    """A read is no longer than the limit or its longest span, and fetches no long gap in vain."""
    longest = max([max_read, *(want.stop - want.start for want in wanted)])

    for read in plan_reads(wanted, max_gap=max_gap, max_read=max_read):
        assert read.stop - read.start <= longest
        needed = {
            byte
            for want in wanted
            if want.key == read.key
            for byte in range(max(want.start, read.start), min(want.stop, read.stop))
        }
        vain = "".join("x" if byte in needed else " " for byte in range(read.start, read.stop))
        assert max(map(len, vain.split("x"))) <= max_gap


def test_different_objects() -> None:
    """A read never spans two stored objects."""
    wanted = [Span("packs/aa", 0, 5), Span("packs/bb", 5, 9)]

    assert plan_reads(wanted, max_gap=100, max_read=100) == wanted
