"""What verifying the audit log found, as it is told to people and programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from mlflow_vault.format.showing import html_table

_ABSENT: Final = "in the log and not there: never kept, or deleted"


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that is wrong with a log.

    Attributes:
        sequence: The entry's number; None where it is about a checkpoint or a stranger.
        key: Where in the store.
        reason: What is wrong there.
    """

    sequence: int | None
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


@dataclass(frozen=True, slots=True)
class LogVerification:
    """What a verification found.

    Attributes:
        entries: How many there are.
        checkpoints: How many there are.
        signed: How many of the entries a trusted checkpoint vouches for.
        root: Of the Merkle tree over all of them; empty where some are missing.
        flaws: What is wrong, at most 1,000 of it.
        decisions: How many there are, of all models.
        pending: The keys of decisions that were not carried out yet, which is no flaw: whoever
            decides next, or looks at how the model stands, finishes them.
        absent: The keys of statements and policies that the log tells of and that are not there:
            whoever said so died before they were kept, or somebody deleted them.
    """

    entries: int
    checkpoints: int
    signed: int
    root: bytes
    flaws: tuple[Flaw, ...] = ()
    decisions: int = 0
    pending: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    def __repr__(self) -> str:
        flawed = f", {len(self.flaws)} flaws" if self.flaws else ""
        return f"LogVerification({self.entries} entries, {self.signed} vouched for{flawed})"

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.flaws

    def __str__(self) -> str:
        head = (
            f"{self.entries} entries, {self.checkpoints} checkpoints, "
            f"{self.signed} entries vouched for, {self.decisions} decisions: "
        )
        told = [head + ("whole" if self.is_whole else "DAMAGED"), *map(str, self.flaws)]
        told += [f"{key}: not carried out yet" for key in self.pending]
        told += [f"{key}: {_ABSENT}" for key in self.absent]
        return "\n".join(told)

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain JSON values."""
        return {
            "entries": self.entries,
            "checkpoints": self.checkpoints,
            "signed": self.signed,
            "root": self.root.hex(),
            "decisions": self.decisions,
            "pending": list(self.pending),
            "absent": list(self.absent),
            "is_whole": self.is_whole,
            "flaws": [
                {"sequence": flaw.sequence, "key": flaw.key, "reason": flaw.reason}
                for flaw in self.flaws
            ],
        }

    def _repr_html_(self) -> str:
        title = f"audit log: {'whole' if self.is_whole else 'DAMAGED'}"
        rows: list[tuple[str, object]] = [
            ("entries", self.entries),
            ("checkpoints", self.checkpoints),
            ("entries vouched for", self.signed),
            ("decisions", self.decisions),
            *((key, "not carried out yet") for key in self.pending),
            *((key, _ABSENT) for key in self.absent),
            *((flaw.key, flaw.reason) for flaw in self.flaws),
        ]
        return html_table(title, rows)
