"""What the engine takes from the world besides a store: randomness and time.

They are arguments, so that a test can hold them still.  Times decide how long we wait
and in which order hints are tried, never whether data survives.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class World:
    """Randomness, clocks and how many threads to use."""

    random: Callable[[int], bytes] = os.urandom
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    threads: int = min(8, os.cpu_count() or 1)

    def transaction_id(self) -> str:
        """A new id: milliseconds, then 80 random bits, so that ids sort roughly by age."""
        return f"{int(self.now() * 1000):012x}{self.random(10).hex()}"
