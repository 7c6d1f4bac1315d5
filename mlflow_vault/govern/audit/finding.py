"""Finds the newest of numbered objects, and reads many small ones, in few requests or few waits.

Objects are numbered from 0 without gaps.  A listing of 100,000 keys is 100 requests on an object
store; asking for single numbers, in steps that double and then halve, is about 2 log2 of how far
the guess was off.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from mlflow_vault.store.protocol import Store

_BATCH: Final = 64  # small objects: handing a batch over costs as much as reading five from memory


def newest(exists: Callable[[int], bool], guess: int = -1) -> int:
    """Return the highest number that *exists*, -1 if there is none.

    Where one before it is missing, which no writer leaves, what is found is the last before some
    gap.

    Args:
        exists: Asks for one.
        guess: A number that may be near.

    >>> newest(range(1000).__contains__, guess=990)
    999
    """
    low, high = -1, guess
    if guess < 0 or exists(guess):
        low, step = guess, 1
        while exists(low + step):
            low, step = low + step, step * 2
        high = low + step
    else:
        step = 1
        while high >= step and not exists(high - step):
            high, step = high - step, step * 2
        low = max(high - step, -1)
    while high - low > 1:
        middle = (low + high) // 2
        if exists(middle):
            low = middle
        else:
            high = middle
    return low


def fetch(
    store: Store, readers: int, keys: Iterable[str], longest: int, *, batch: int = _BATCH
) -> Iterator[bytes | None]:
    """Yield what is at each of *keys*, in order; None where nothing is.

    Args:
        store: Where.
        readers: How many wait for it at once.
        keys: Taken a batch for each reader ahead of what is yielded.
        longest: Bytes; what is longer is cut.
        batch: How many one thread reads in a row.
    """

    def get(key: str) -> bytes | None:
        try:
            return store.get(key, 0, longest)
        except NotFoundError:
            return None

    def get_all(some: list[str]) -> list[bytes | None]:
        return [get(key) for key in some]

    keys = iter(keys)
    with ThreadPoolExecutor(readers, "vault-log") as pool:
        ahead: deque[Future[list[bytes | None]]] = deque()
        while True:
            while len(ahead) <= readers and (some := list(islice(keys, batch))):
                ahead.append(pool.submit(get_all, some))
            if not ahead:
                return
            yield from ahead.popleft().result()
