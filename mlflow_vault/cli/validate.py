"""The command that tries a version in a clean environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.cli.answer import Answer, shown
from mlflow_vault.cli.versions import vault_for
from mlflow_vault.errors import CorruptionError, InvalidInputError
from mlflow_vault.plugin.validating.trials import Evaluation, Suite
from mlflow_vault.plugin.validating.validation import Settings
from mlflow_vault.plugin.validating.validation import validate as validate_version

if TYPE_CHECKING:
    from argparse import Namespace

    from mlflow_vault.plugin.validating.trials import Trial
    from mlflow_vault.plugin.validating.validation import Tried

_BROKEN: Final = 4  # the exit code for bytes that are not what they should be
_TOLD: Final = 30  # last lines of what a trial that failed has printed


def validate(arguments: Namespace) -> Answer:
    """Try a version, and keep what came out as evidence.

    Raises:
        InvalidInputError: Nothing can be learnt: no environment, no tests, no table.
    """
    vault = vault_for(arguments)
    settings = Settings(
        env=arguments.env,
        timeout=arguments.timeout,
        packages=tuple(arguments.packages),
        passed=tuple(arguments.pass_env),
    )
    trials, keep = _trials(arguments), vault.releases.evidence
    try:
        found = validate_version(vault, arguments.reference, trials, keep=keep, settings=settings)
    except CorruptionError as error:
        said = {"kind": type(error).__name__, "message": str(error)}
        return Answer({"error": said}, [shown(str(error))], is_good=False, code=_BROKEN)
    failed = [line for one in found.trials if not one.passed for line in _said(one)]
    lines = [*failed, *(shown(line) for line in str(found).splitlines())]
    return Answer(found.to_dict(), lines, found.passed)


def _trials(arguments: Namespace) -> tuple[Trial, ...]:
    trials: list[Trial] = []
    if arguments.tests is not None:
        trials.append(Suite(arguments.tests, arguments.evidence))
    if arguments.data is not None:
        told = (arguments.data, arguments.targets, arguments.model_type, arguments.evidence)
        trials.append(Evaluation(*told))
    if not trials:
        raise InvalidInputError("say what to try it with: --tests PATH, or --data FILE")
    return tuple(trials)


def _said(tried: Tried) -> list[str]:
    return [f"  | {shown(line)}" for line in tried.said.rstrip().splitlines()[-_TOLD:]]
