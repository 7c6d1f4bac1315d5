"""Asks the custom checks of a policy, each in a process of its own that ends in time.

A check is ``module:function``, found as Python finds it from the current folder.  It is called with
the candidate and the baseline (None if there is none) as plain values, and the arguments that the
policy gives; it answers True or False, ``(True, "why")``, or a dictionary with ``passed``,
``reason`` and ``values``.  All else denies: an exception, no answer, no end.

Asking a check runs what the policy names, with all that its caller may do.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.durations import spell
from mlflow_vault.decide.policy.evidence import Answer
from mlflow_vault.format.canonical import plain

if TYPE_CHECKING:
    from mlflow_vault.decide.policy.evidence import Subject
    from mlflow_vault.decide.policy.schema import Check, Policy

_LARGEST: Final = 256 * 1024  # bytes of one answer
_LAST: Final = 4 * 1024  # bytes of what it wrote to standard error
_PROGRAM: Final = Path(__file__).with_name("asked.py")
_START: Final = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')"


def run_checks(policy: Policy, candidate: Subject, baseline: Subject | None) -> tuple[Answer, ...]:
    """Ask every custom check of *policy*; what goes wrong is in the answer."""
    told = plain(
        {
            "candidate": candidate.to_dict(),
            "baseline": baseline.to_dict() if baseline is not None else None,
        }
    )
    return tuple(ask(asked, told) for asked in policy.checks)


def ask(asked: Check, told: dict[str, Any]) -> Answer:
    """Ask one check; what goes wrong is in the answer.

    Args:
        asked: What is asked, and for how long at most.
        told: The ``candidate`` and the ``baseline``, as values that JSON has.
    """
    question = {"python": asked.python, "args": asked.args, **told}
    with TemporaryFile() as into, TemporaryFile() as out, TemporaryFile() as noise:
        into.write(json.dumps(question).encode())
        into.seek(0)
        try:
            ended = _run(into, out, noise, timeout=asked.timeout / 1000)
        except OSError as cause:
            return Answer(asked.key, None, f"it could not be started: {cause.strerror}")
        if ended is None:
            return Answer(asked.key, None, f"it did not answer within {spell(asked.timeout)}")
        out.seek(0)
        said = out.read(_LARGEST + 1)
        if ended != 0 or not said:
            return Answer(asked.key, None, _why(ended, noise))
    return _read(asked.key, said)


def _run(into: IO[bytes], out: IO[bytes], noise: IO[bytes], *, timeout: float) -> int | None:
    """Return what the process ended with, None if it had to be ended."""
    with subprocess.Popen(  # noqa: S603 - no shell; what it runs is what the policy says
        [sys.executable, "-c", _START, str(_PROGRAM)],
        stdin=into,
        stdout=out,
        stderr=noise,
        start_new_session=True,
    ) as process:
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.returncode is None:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End *process* and those that it started."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _why(ended: int, noise: IO[bytes]) -> str:
    noise.seek(0, os.SEEK_END)
    noise.seek(max(0, noise.tell() - _LAST))
    lines = noise.read().decode("utf-8", "replace").strip().splitlines()
    last = f": {lines[-1]:.500}" if lines else ""
    return f"it ended without an answer (exit code {ended}){last}"


def _read(key: str, said: bytes) -> Answer:
    try:
        told: Any = json.loads(said) if len(said) <= _LARGEST else None
        passed, reason, values = told["passed"], told["reason"], told["values"]
    except (LookupError, RecursionError, TypeError, ValueError):
        return Answer(key, None, "its answer cannot be read")
    if not (isinstance(passed, bool) and isinstance(reason, str) and isinstance(values, dict)):
        return Answer(key, None, "its answer cannot be read")
    return Answer(key, passed, reason[:1000], values)
