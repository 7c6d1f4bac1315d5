"""What verifying a bundle finds: claim by claim, whether it is proven, only told, or false.

    proven    follows from a signature of somebody who is trusted
    told      the bundle says so, and nothing in it speaks against it
    missing   what should show it is not there, or not by anybody who is trusted: exit code 1
    false     it does not fit together: somebody changed it, exit code 4

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from mlflow_vault.format.showing import html_table

if TYPE_CHECKING:
    from mlflow_vault.format.decision import Decision


class Standing(Enum):
    """What a claim is worth."""

    PROVEN = "proven"
    TOLD = "told"
    MISSING = "missing"
    FALSE = "false"


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that a bundle says.

    Attributes:
        about: Which: ``checkpoint``, ``entry``, ``decision``, ``version``, ``files``,
            ``signature``, ``policy NAME``, ``verdict NAME``, ``approvals NAME``, ...
        standing: What it is worth.
        text: What is claimed, or why it is false.
    """

    about: str
    standing: Standing
    text: str

    def to_dict(self) -> dict[str, Any]:
        """This claim as plain values."""
        return {"about": self.about, "standing": self.standing.value, "text": self.text}

    def __str__(self) -> str:
        text = "".join(letter if letter.isprintable() else "\ufffd" for letter in self.text)
        about = "".join(letter if letter.isprintable() else "\ufffd" for letter in self.about)
        return f"{self.standing.value:<8}{about}: {text}"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a bundle proves.

    Attributes:
        claims: One after the other.
        decision: What was decided; None if not even that can be read.
    """

    claims: tuple[Claim, ...]
    decision: Decision | None = field(default=None, hash=False)

    @property
    def holds(self) -> bool:
        """Whether nothing is false or missing."""
        return not self.exit_code

    @property
    def exit_code(self) -> int:
        """4 where something is false, 1 where something is missing, else 0."""
        found = {claim.standing for claim in self.claims}
        return 4 if Standing.FALSE in found else 1 if Standing.MISSING in found else 0

    def about(self, what: str) -> Claim | None:
        """Return the claim about *what*; None if the bundle makes none."""
        return next((claim for claim in self.claims if claim.about == what), None)

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        ends = {0: "the bundle holds", 1: "something is missing", 4: "the bundle is false"}
        return "\n".join([*map(str, self.claims), ends[self.exit_code]])

    def _repr_html_(self) -> str:
        rows = [(one.standing.value, one.about, one.text) for one in self.claims]
        return html_table("promotion bundle", rows, ("", "claim", ""))

    def to_dict(self) -> dict[str, Any]:
        """This proof as plain values."""
        return {
            "holds": self.holds,
            "exit_code": self.exit_code,
            "claims": [claim.to_dict() for claim in self.claims],
            "decision": self.decision.to_dict() if self.decision is not None else None,
        }
