"""Where the shell comes in: runs one command, prints its answer, returns an honest exit code.

    0    fine
    1    damage was found, or the operation failed
    2    wrong usage or bad input
    3    a verdict that waits for people or time
    4    a version that is to be moved is not what its digests say
    130  interrupted; as shells say it, also 141 when whoever read the output went away, 143 when
         told to stop

Standard output has the answer and nothing else; with ``--json`` it is one object, also when the
operation failed: ``{"error": {"kind": ..., "message": ...}}``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Final, Never

from mlflow_vault.cli.answer import shown
from mlflow_vault.cli.parser import parse
from mlflow_vault.errors import InvalidInputError, NotFoundError, VaultError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from mlflow_vault.cli.answer import Answer

FINE: Final = 0
FAILED: Final = 1
BAD_INPUT: Final = 2
INTERRUPTED: Final = 130
UNREAD: Final = 141
KILLED: Final = 128  # and the signal's number


def main(words: Sequence[str] | None = None) -> int:
    """Run the command that *words* name, None for the process's own; return the exit code.

    Raises:
        SystemExit: The words make no sense (2), or asked for help (0).
    """
    arguments = parse(words)
    try:
        with _signals_unwind():
            return _run(arguments)
    except KeyboardInterrupt:
        print("mlflow-vault: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python flushes standard output once more at exit; let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UNREAD


@contextmanager
def _signals_unwind() -> Iterator[None]:
    """Let a signal that would end the process undo what is temporary first."""

    def unwind(number: int, _: FrameType | None) -> Never:
        raise SystemExit(KILLED + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    wanted = [signal.SIGTERM] + ([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])
    before = [signal.signal(number, unwind) for number in wanted]
    try:
        yield
    finally:
        for number, handler in zip(wanted, before, strict=True):
            signal.signal(number, handler)


def _run(arguments: Namespace) -> int:
    module, name = arguments.run
    try:
        answer: Answer = getattr(import_module(module), name)(arguments)
    except Exception as error:  # noqa: BLE001 - the last door: people get a line, --debug the rest
        if arguments.debug:
            traceback.print_exc()
        return _fail(error, as_json=arguments.json)
    if arguments.json:
        print(json.dumps(answer.values))
    else:
        for line in answer.lines:
            print(line)
    sys.stdout.flush()
    if answer.code is not None:
        return answer.code
    return FINE if answer.is_good else FAILED


def _fail(error: Exception, *, as_json: bool) -> int:
    kind, message = type(error).__name__, " ".join(str(error).split())
    expected = isinstance(error, (VaultError, OSError))
    line = message if expected else f"{kind}: {message} (--debug shows where)"
    print(f"mlflow-vault: {shown(line)}", file=sys.stderr)
    if as_json:
        print(json.dumps({"error": {"kind": kind, "message": message}}))
        sys.stdout.flush()
    return BAD_INPUT if isinstance(error, (InvalidInputError, NotFoundError)) else FAILED
