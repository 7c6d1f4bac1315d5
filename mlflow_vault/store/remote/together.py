"""Many puts at once: a network answers sixteen in the time of one."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

_TOGETHER: Final = 16  # puts under way


def put_together(put: Callable[[str, bytes], str], items: Iterable[tuple[str, bytes]]) -> list[str]:
    """Call *put* for each of *items*, some at a time; return the etags in order.

    At most sixteen items are held, however many there are.
    """
    etags: list[str] = []
    under_way: deque[Future[str]] = deque()
    with ThreadPoolExecutor(_TOGETHER, "vault-put") as pool:
        for key, body in items:
            if len(under_way) == _TOGETHER:
                etags.append(under_way.popleft().result())
            under_way.append(pool.submit(put, key, body))
        etags += [each.result() for each in under_way]
    return etags
