"""What the engine takes from the world besides a store: randomness, time, a place for its cache.

They are arguments, so that a test can hold them still.  Times decide how long we wait
and in which order hints are tried, never whether data survives.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlflow_vault.engine.cache import Cache
from mlflow_vault.store.address import FILE, MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.store.address import Address


@dataclass(frozen=True, slots=True)
class World:
    """Randomness, clocks, threads, and where chunks are kept, if at all.

    Attributes:
        random: Returns so many random bytes.
        now: Seconds since 1970.
        monotonic: Seconds since some moment.
        threads: How many code and decode.
        readers: How many wait for the store's bytes.
        cache: Chunks that need not be fetched.
        near: Whether the store is taken to answer sooner than a thread starts, as a disk does;
            where it does not, requests wait for one another, and nothing else is different.
    """

    random: Callable[[int], bytes] = os.urandom
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    threads: int = min(8, os.cpu_count() or 1)
    readers: int = 8
    cache: Cache | None = None
    near: bool = False

    @classmethod
    def around(cls, address: Address) -> World:
        """The real world; with a cache for a vault that lies behind a network."""
        local = address.scheme in {FILE, MEMORY}
        return cls(cache=None if local else Cache.from_environment(os.environ), near=local)

    def transaction_id(self) -> str:
        """A new id: milliseconds, then 80 random bits, so that ids sort roughly by age."""
        return f"{int(self.now() * 1000):012x}{self.random(10).hex()}"
