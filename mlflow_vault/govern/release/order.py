"""What somebody asks for: a transition, in whose name, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlflow_vault.decide.transitions import ARCHIVED
from mlflow_vault.govern.release.context import ROLLBACK

if TYPE_CHECKING:
    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.format.decision import Stand
    from mlflow_vault.govern.release.caller import Caller
    from mlflow_vault.govern.release.context import Wish


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asks for, and how.

    Attributes:
        wish: What is to happen to which version.
        caller: Who asks, and what they may.
        reason: Why, in words.
        request: By which whoever asked a server for it finds it again.
        policies: What it is judged by besides what is in force.
        expects: To roll back: who has to stand in the stage; None if nobody.
        seen: The number of the newest decision that whoever asks knows of, -1 if of none; None if
            they do not say, and any will do.
    """

    wish: Wish
    caller: Caller
    reason: str = ""
    request: str = ""
    policies: tuple[Policy, ...] = ()
    expects: Stand | None = None
    seen: int | None = None

    @property
    def what(self) -> str:
        """What is wanted, in words."""
        done = {"promotion": "promoted", "archival": "archived", ROLLBACK: "rolled back"}
        to = "" if self.wish.to == ARCHIVED else f" to {self.wish.to}"
        return f"{done[self.wish.kind]}{to}"
