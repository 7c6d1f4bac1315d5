"""The command that takes MLflow's webhooks, and looks at candidates when they come."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from mlflow_vault.cli.answer import Answer, shown
from mlflow_vault.cli.versions import vault_for
from mlflow_vault.cli.words.triggers import VARIABLE
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.govern.triggers.deliveries import Deliveries
from mlflow_vault.govern.triggers.receiver import Receiver
from mlflow_vault.govern.triggers.waking import Waker

if TYPE_CHECKING:
    from argparse import Namespace


def listen(arguments: Namespace) -> Answer:
    """Listen until told to stop; what is moved is told on standard error.

    Raises:
        InvalidInputError: There is no secret, or a poor one.
        OSError: The address cannot be used.
    """
    judge = Deliveries(_secrets(arguments))
    vault = vault_for(arguments, "")
    only = arguments.name

    def work(name: str) -> bool:
        found = vault.promote_candidates(only or name)
        for one in (*found.moved, *found.failed):
            _tell(str(one))
        return not found.failed

    waker = Waker(work, every=arguments.every)

    def wake(name: str) -> None:
        if not only or name in {"", only}:
            waker.wake(name)

    with Receiver((arguments.host, arguments.port), judge, wake) as server:
        waker.start()
        waker.wake()  # for what happened while nobody listened
        _tell(f"listening on {arguments.host} port {server.server_port}; {vault!r}")
        try:
            server.serve_forever()
        finally:
            waker.close()
    return Answer({})


def _secrets(arguments: Namespace) -> list[str]:
    try:
        found = [path.read_text("utf-8").strip("\r\n") for path in arguments.secret_file]
    except UnicodeDecodeError:  # of which nothing is told: it holds the secret
        raise InvalidInputError("a file of --secret-file is no text") from None
    if not found and VARIABLE in os.environ:
        found = [os.environ[VARIABLE]]
    if not found:
        raise InvalidInputError(
            f"give the webhook's secret in ${VARIABLE}, or in a file: --secret-file"
        )
    return found


def _tell(said: str) -> None:
    for line in said.splitlines():
        print(shown(line), file=sys.stderr, flush=True)
