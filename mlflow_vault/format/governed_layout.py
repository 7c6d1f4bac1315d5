"""Where lies what governance keeps of registered models, beside `layout`; all of it written once.

    policies/<name>!/<number>            policies and roles; the last one of a name is in force
    decisions/<model>!/<number>          which version of a model moved to which stage
    statements/<model>!/<digest>/<id>    what somebody said of a version
    factors/<user>/<step>                one-time codes that were used
    hints/ledgers/...                    up to where the decisions about a model were carried out

Pure: no I/O.  Written down in docs/format.md, "Keys".
"""

from __future__ import annotations

from typing import Final

from mlflow_vault.format.digest import Digest
from mlflow_vault.format.layout import spelled_name

POLICIES: Final = "policies/"
DECISIONS: Final = "decisions/"
STATEMENTS: Final = "statements/"
FACTORS: Final = "factors/"
LEDGERS: Final = "hints/ledgers/"


def policy_key(name: str, number: int) -> str:
    """The key of what was applied as the policy *name*, for the *number*-th time from 0."""
    return f"{POLICIES}{spelled_name(name)}/{number:020d}"


def decision_key(model: str, sequence: int) -> str:
    """The key of the decision with this number about the registered model *model*.

    >>> decision_key("Fraud", 3)
    'decisions/!fraud!/00000000000000000003'

    Raises:
        InvalidInputError: *model* is too long, or no text.
    """
    return f"{decision_prefix(model)}{sequence:020d}"


def decision_prefix(model: str) -> str:
    """What the keys of all decisions about the registered model *model* start with."""
    return f"{DECISIONS}{spelled_name(model)}/"


def ledger_hint_key(model: str) -> str:
    """The key of the hint up to where the decisions about *model* were carried out."""
    name = Digest.of(model.encode("utf-8", "surrogateescape")).raw.hex()[:32]
    return f"{LEDGERS}{name[:2]}/{name}"


def statement_key(model: str, digest: Digest, name: str) -> str:
    """The key of the statement *name* about a version of the registered model *model*."""
    return f"{statement_prefix(model, digest)}{name}"


def statement_prefix(model: str, digest: Digest | None = None) -> str:
    """What the keys of all statements about a model start with, or about one version of it."""
    version = f"{digest.raw.hex()}/" if digest is not None else ""
    return f"{STATEMENTS}{spelled_name(model)}/{version}"


def factor_key(user: str, step: int) -> str:
    """The key that says that *user* used the one-time code of the time *step*."""
    name = Digest.of(user.encode("utf-8", "surrogateescape")).raw.hex()[:32]
    return f"{FACTORS}{name}/{step:020d}"
