"""The command that looks after what stands in a stage: once, or again and again.

Exit codes of a look: 0 healthy, 1 failing, rolled back, or an alert reached nobody, 3 nobody can
say.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TYPE_CHECKING

from mlflow_vault.cli.answer import Answer, shown
from mlflow_vault.cli.versions import vault_for
from mlflow_vault.errors import InvalidInputError, NotFoundError, VaultError

if TYPE_CHECKING:
    from argparse import Namespace

    from mlflow_vault.govern.monitor.report import Report

_log = logging.getLogger(__name__)


def monitor(arguments: Namespace) -> Answer:
    """Look once, or until told to stop; what is found then is told look by look.

    Raises:
        NotFoundError: No policy in force has health rules for the model that is named.
        VaultError: As `Vault.monitor` does, where it looks once.
    """
    vault = vault_for(arguments, "")
    if arguments.every is None:
        return answer_of(vault.monitor(arguments.name))
    while True:
        try:
            _tell(vault.monitor(arguments.name), as_json=arguments.json)
        except (InvalidInputError, NotFoundError):
            raise
        except VaultError as error:  # a store that fails now may not fail in a minute
            print(f"mlflow-vault: {shown(str(error))}", file=sys.stderr, flush=True)
            _log.debug("a look failed", exc_info=error)
        time.sleep(arguments.every)


def answer_of(report: Report) -> Answer:
    """Return *report* as a command answers."""
    lines = [shown(line) for line in str(report).splitlines()]
    return Answer(report.to_dict(), lines, report.exit_code == 0, code=report.exit_code)


def _tell(report: Report, *, as_json: bool) -> None:
    answer = answer_of(report)
    lines = [json.dumps(answer.values)] if as_json else answer.lines
    print("\n".join(lines), flush=True)
