"""What the fuzzer once found stays found: every kept input through its target, without a fuzzer."""

from __future__ import annotations

import tracemalloc
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from doors import TARGETS
from seeds import seeds

CORPORA: Final = Path(__file__).parent / "corpora"
ROOM: Final = 64 << 20  # bytes for any one input
ALL_ROOM: Final = 1_500_000  # bytes of all kept inputs


@cache
def _seeds() -> dict[str, list[bytes]]:
    return seeds()


def _kept(name: str) -> list[bytes]:
    return [one.read_bytes() for one in sorted((CORPORA / name).iterdir())]


@pytest.mark.parametrize("name", TARGETS)
def test_kept(name: str) -> None:
    """No kept input makes its target fail, and none takes much memory."""
    kept = _kept(name)
    assert kept
    tracemalloc.start()
    try:
        for fed in [*kept, *_seeds()[name]]:
            TARGETS[name](fed)
        assert tracemalloc.get_traced_memory()[1] < ROOM
    finally:
        tracemalloc.stop()


def test_small() -> None:
    """Corpora stay small, and every one has a target."""
    files = [one for one in CORPORA.rglob("*") if one.is_file()]

    assert sum(one.stat().st_size for one in files) < ALL_ROOM
    assert {one.parent.name for one in files} == set(TARGETS) == set(_seeds())
