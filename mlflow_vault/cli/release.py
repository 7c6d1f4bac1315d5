"""The commands of releases: they say what `Vault` says, with the same words.

    0   done        1   denied        2   wrong usage, or nothing there
    3   waits for people or time      4   bytes are not what they should be

A refusal is an answer: the verdict goes to standard output, rule by rule, also as JSON.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.cli.answer import Answer, shown
from mlflow_vault.cli.versions import vault_for
from mlflow_vault.errors import (
    CorruptionError,
    DeniedError,
    InvalidInputError,
    VaultError,
    WaitingError,
)

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from mlflow_vault.format.statement import Statement
    from mlflow_vault.govern.release.telling.promotion import Promotion

DENIED: Final = 1
WAITING: Final = 3
BROKEN: Final = 4


def _answering(command: Callable[[Namespace], Answer]) -> Callable[[Namespace], Answer]:
    """Make a refusal, and damage, an answer with an exit code of its own."""

    @wraps(command)
    def answered(arguments: Namespace) -> Answer:
        try:
            return command(arguments)
        except DeniedError as error:
            return _refused(error)
        except CorruptionError as error:
            return _failed(error, BROKEN)

    return answered


@_answering
def promote(arguments: Namespace) -> Answer:
    """Move a version to a stage, if the policies in force allow it."""
    if arguments.auto:
        _refuse_both(arguments)
        found = vault_for(arguments, "").promote_candidates(arguments.name)
        return Answer(found.to_dict(), _lines(str(found)), not found.failed)
    if not arguments.reference or not arguments.to:
        raise InvalidInputError("say which version, and --to which stage; or --auto for all")
    moved = vault_for(arguments).promote(
        arguments.reference, to=arguments.to, policy=arguments.policy, reason=arguments.reason
    )
    return _moved(moved)


@_answering
def approve(arguments: Namespace) -> Answer:
    """Say yes to a version."""
    return _said(vault_for(arguments).approve(arguments.reference, **_vote(arguments)))


@_answering
def reject(arguments: Namespace) -> Answer:
    """Say no to a version, until you say yes."""
    return _said(vault_for(arguments).reject(arguments.reference, **_vote(arguments)))


@_answering
def evidence(arguments: Namespace) -> Answer:
    """Keep a result of a test beside a version."""
    kept = vault_for(arguments).evidence(
        arguments.reference,
        type=arguments.type,
        name=arguments.name,
        passed=arguments.passed,
        values=dict(arguments.value),
    )
    return _said(kept)


@_answering
def archive(arguments: Namespace) -> Answer:
    """Take a version out of service; its bytes stay."""
    return _moved(vault_for(arguments).archive(arguments.reference, reason=arguments.reason))


@_answering
def rollback(arguments: Namespace) -> Answer:
    """Put the last healthy version back into production."""
    vault = vault_for(arguments, f"models:/{arguments.name}/latest")
    return _moved(vault.rollback(arguments.name, reason=arguments.reason, to=arguments.to))


@_answering
def status(arguments: Namespace) -> Answer:
    """Say who stands where, what waits for whom, and where MLflow shows something else."""
    vault = vault_for(arguments, f"models:/{arguments.name}/latest")
    found = vault.status(arguments.name)
    return Answer(found.to_dict(), _lines(str(found)))


def _vote(arguments: Namespace) -> dict[str, Any]:
    key = None
    if arguments.key is not None:
        from mlflow_vault.govern.release.approving.approver_key import ApproverKey  # noqa: PLC0415 - an extra

        password = None
        if arguments.password_file is not None:
            password = arguments.password_file.read_text("utf-8").rstrip("\r\n")
        key = ApproverKey.from_file(arguments.key, password=password)
    return {"to": arguments.to, "reason": arguments.reason, "code": arguments.code, "key": key}


def _refuse_both(arguments: Namespace) -> None:
    given = (arguments.reference, arguments.to, arguments.policy)
    if any(given):
        raise InvalidInputError("--auto takes no version, no stage and no policy")


def _moved(moved: Promotion) -> Answer:
    return Answer(moved.to_dict(), _lines(str(moved)))


def _said(made: Statement) -> Answer:
    return Answer(made.to_dict(), _lines(str(made)))


def _refused(error: DeniedError) -> Answer:
    code = WAITING if isinstance(error, WaitingError) else DENIED
    if any(_is_broken(verdict) for verdict in error.verdicts):
        code = BROKEN
    found = _failed(error, code)
    found.values["state"] = "waiting" if code == WAITING else "denied"
    found.values["verdicts"] = [verdict.to_dict() for verdict in error.verdicts]
    return Answer(
        found.values, [*found.lines, *_lines("\n".join(map(str, error.verdicts)))], code=code
    )


def _is_broken(verdict: Any) -> bool:
    """Whether a version is refused since its bytes are not what they should be."""
    return verdict.blocks and (verdict.asked.get("verified") or {}).get("holds") is False


def _failed(error: VaultError, code: int) -> Answer:
    message = " ".join(str(error).split())
    told = {"error": {"kind": type(error).__name__, "message": message}}
    return Answer(told, [shown(message)], code=code)


def _lines(text: str) -> list[str]:
    return [shown(line) for line in text.splitlines()]
