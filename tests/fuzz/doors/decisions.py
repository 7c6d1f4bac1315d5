"""Decisions and statements, as somebody who can write to the store may have left them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.transitions import logged, showing
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format.decision import Decision
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.governed_layout import decision_key, statement_key
from mlflow_vault.format.statement import Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Where the golden ones lie.
_DECISION: Final = decision_key("Betrug", 7)
_STATEMENT: Final = statement_key("Betrug", Digest.of(b"3"), "28eb0e4d65cc0a795a9bad14b7aa8c03")


def _decision(fed: bytes) -> None:
    """The input is a decision."""
    with suppress(CorruptionError):
        decision = Decision.from_bytes(fed, _DECISION)
        assert replace(decision).to_bytes() == fed, "two spellings of one decision"
        decision._repr_html_()
        str(decision)
        logged(decision)
        showing([decision])


def _statement(fed: bytes) -> None:
    """The input is a statement."""
    with suppress(CorruptionError):
        statement = Statement.from_bytes(fed, _STATEMENT)
        assert replace(statement).to_bytes() == fed, "two spellings of one statement"
        statement._repr_html_()
        str(statement)


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "decision": _decision,
    "statement": _statement,
}
