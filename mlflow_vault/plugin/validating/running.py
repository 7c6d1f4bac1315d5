"""Runs a program that may hang, flood or leave children behind, and ends it all the same."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_PIECE: Final = 8 * 1024  # bytes
_PIECES: Final = 8  # that are kept of what it said last
_GRACE: Final = 5.0  # seconds for the rest of its output once it has ended


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    Attributes:
        code: Its exit code, negative the signal that ended it; None if its time was over.
        said: The end of what it wrote to standard output and error.
    """

    code: int | None
    said: str

    @property
    def last(self) -> str:
        """The last line that says something."""
        lines = self.said.strip().splitlines()
        return lines[-1].strip() if lines else ""


def run(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], timeout: float
) -> Ended:
    """Run *command* until it ends or *timeout* seconds are over; nobody of its group stays.

    Raises:
        OSError: It could not be started.
    """
    kept: deque[bytes] = deque(maxlen=_PIECES)
    with subprocess.Popen(  # noqa: S603 - no shell; the words are ours, the program the model's
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        reader = threading.Thread(target=_keep, args=(process.stdout, kept), daemon=True)
        reader.start()
        code: int | None = None
        try:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(timeout)
        finally:
            _end(process)
            reader.join(_GRACE)  # a child that left the group may hold the pipe for ever
            if reader.is_alive():
                process.stdout = None  # the reader's, who closes it
    return Ended(code, b"".join(tuple(kept)).decode("utf-8", "replace"))


def _keep(out: IO[bytes], kept: deque[bytes]) -> None:
    with out, suppress(OSError, ValueError):
        while piece := os.read(out.fileno(), _PIECE):
            kept.append(piece)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End *process* and those that it started and that stayed in its group."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
    if process.poll() is None:
        process.kill()
