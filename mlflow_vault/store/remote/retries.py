"""How long a store is tried, and what is tried again: one policy, in one place.

Clients of object stores retry on their own, each by rules of its own (s3fs a dropped connection
10 to 26 times, adlfs a 429 never).  Ours are told not to, and this is what is left:

    try -> `Transient` -> wait (longer each time, at random) -> try -> ... -> `StorageError`

A store raises `Transient` for what may pass by itself; everything else is final at once.  A try
that seemed to fail may have been done: puts and deletes come out the same, and whoever creates
reads back and compares (`Store.create`).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from mlflow_vault.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# What a server says when it is busy, restarting, or not to be reached by those in between.
TRANSIENT_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

_log = logging.getLogger(__name__)


class Transient(StorageError):  # noqa: N818 - one of the store's, and it never leaves a store
    """This may pass: try again."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait; all but `tries` in seconds.

    The defaults: a pack of 32 MiB gets through at 1 Mbit/s, and a store that is down for the
    length of a restart is waited for.

    Attributes:
        tries: Tries of one request, the first included.
        total: No try begins later than this after the first.
        first_wait: About what is waited before the second try; it doubles each time.
        longest_wait: What no wait exceeds.
        connect: For a connection.
        silence: Until the next bytes of a response.
        request: For a request as a whole, its body included.
    """

    tries: int = 5
    total: float = 60
    first_wait: float = 0.5
    longest_wait: float = 15
    connect: float = 5
    silence: float = 30
    request: float = 300

    @property
    def longest(self) -> float:
        """What one operation of a store takes at most, all tries and the waits between included.

        >>> Patience().longest
        360
        """
        tried = self.tries * self.request + (self.tries - 1) * self.longest_wait
        return min(self.total + self.request, tried)


def persist(attempt: Callable[[], T], patience: Patience) -> T:
    """Return what *attempt* returns, trying again while it raises `Transient`.

    Raises:
        StorageError: It was still `Transient` when *patience* ran out; the message says how often.
    """
    policy = Retrying(
        retry=retry_if_exception_type(Transient),
        # The wait counts: no try begins after `total`.
        stop=stop_after_attempt(patience.tries) | stop_before_delay(patience.total),
        wait=wait_random_exponential(multiplier=patience.first_wait, max=patience.longest_wait),
        before_sleep=before_sleep_log(_log, logging.DEBUG),
        reraise=True,
    )
    began = time.monotonic()
    try:
        return policy(attempt)
    except Transient as cause:
        tries = policy.statistics.get("attempt_number", 1)
        raise StorageError(
            f"{cause} It was tried {tries} times in {time.monotonic() - began:.0f} s; "
            "trying again later is safe."
        ) from cause
