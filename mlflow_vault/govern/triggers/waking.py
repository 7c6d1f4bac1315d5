"""Joins wake-ups into rounds: a thousand events while a round runs are one more round.

    wake("fraud") -+
    wake("credit") +--> wanted --pause--> work("credit"), work("fraud")
    wake("fraud") -+

A round that failed is done again, later and later; nothing that was wanted is forgotten but by
ending the process, and whoever starts it again begins with a round over everything.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE: Final = 1.0  # seconds in which events come together: a registration sends several
RETRY: Final = 30.0  # seconds after the first failure; doubled with each further one
_LATEST: Final = 600.0  # seconds after the last of many
_MANY: Final = 1000  # names; beyond, everything is looked at
EVERYTHING: Final = ""

_log = logging.getLogger(__name__)


class Waker:
    """A thread that works while something is wanted.

    Args:
        work: Looks at one registered model, or at everything if the name is empty; returns
            whether that went well.
        every: Seconds after which everything is looked at without being asked; None for never.
        pause: Seconds in which wake-ups are gathered.
        retry: Seconds after which what failed is tried again.
    """

    def __init__(
        self,
        work: Callable[[str], bool],
        *,
        every: float | None = None,
        pause: float = PAUSE,
        retry: float = RETRY,
    ) -> None:
        self._work, self._every, self._pause, self._retry = work, every, pause, retry
        self._wanted: set[str] = set()
        self._failed: set[str] = set()
        self._failures = 0
        self._again = float("inf")  # when what failed is tried again
        self._due = self._next_due()
        self._is_closed = False
        self._turn = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="mlflow-vault-waker", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def wake(self, name: str = EVERYTHING) -> None:
        """Want *name* looked at; returns at once."""
        with self._turn:
            if len(self._wanted) >= _MANY:
                name = EVERYTHING
            self._wanted.add(name)
            self._turn.notify()

    def close(self, patience: float = 30.0) -> None:
        """Let the round that runs end, at most *patience* seconds, and begin no other."""
        with self._turn:
            self._is_closed = True
            self._turn.notify()
        if self._thread.ident is not None:
            self._thread.join(patience)

    def _run(self) -> None:
        while (names := self._next()) is not None:
            self._note({name: self._did(name) for name in names})

    def _next(self) -> list[str] | None:
        """Wait for something to do; None to end."""
        with self._turn:
            while not self._is_closed and not self._wanted:
                now = time.monotonic()
                if now >= self._again:
                    self._wanted |= self._failed
                    self._failed, self._again = set(), float("inf")
                elif now >= self._due:
                    self._wanted.add(EVERYTHING)
                    self._due = self._next_due()
                else:
                    left = min(self._again, self._due) - now
                    self._turn.wait(None if left == float("inf") else left)
            self._turn.wait_for(lambda: self._is_closed, self._pause)
            if self._is_closed:
                return None
            names, self._wanted = self._wanted, set()
        return [EVERYTHING] if EVERYTHING in names else sorted(names)

    def _note(self, done: dict[str, bool]) -> None:
        """Remember what went wrong; what went well is wanted no longer."""
        with self._turn:
            self._failed -= self._failed if done.get(EVERYTHING) else set(done)
            failed = {name for name, went_well in done.items() if not went_well}
            self._failed |= failed
            if len(self._failed) > _MANY:
                self._failed = {EVERYTHING}
            if failed:
                wait = min(self._retry * 2 ** min(self._failures, 10), _LATEST)
                self._again = min(self._again, time.monotonic() + wait)
                self._failures += 1
            elif not self._failed:
                self._again, self._failures = float("inf"), 0

    def _next_due(self) -> float:
        return float("inf") if self._every is None else time.monotonic() + self._every

    def _did(self, name: str) -> bool:
        try:
            return self._work(name)
        except Exception:  # noqa: BLE001 - the thread has to live: the next round may go well
            _log.exception("A round over %s failed", name or "everything")
            return False
