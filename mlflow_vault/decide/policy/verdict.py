"""What a policy says of a version: each rule, what it saw, what is missing, and the answer.

    any rule denied   -> denied       exit code 1
    else any waiting  -> waiting      exit code 3     approvals or time will do
    else              -> passed       exit code 0

A policy whose mode is ``warn`` or ``dry_run`` says the same but blocks nothing: exit code 0.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.durations import moment
from mlflow_vault.format.canonical import plain, spell
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.showing import html_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class State(Enum):
    """How far a rule, or a policy, is met."""

    PASSED = "passed"
    DENIED = "denied"
    WAITING = "waiting"

    @property
    def exit_code(self) -> int:
        """What a command that asked ends with."""
        return _EXIT_CODES[self]


_EXIT_CODES: Final = {State.PASSED: 0, State.DENIED: 1, State.WAITING: 3}


@dataclass(frozen=True, slots=True)
class Result:
    """What one rule says.

    Attributes:
        rule: Its name: ``metrics.accuracy``, ``require[0]``, ``approvals``.
        text: The rule, as people would say it.
        state: Whether it is met.
        reason: Why not, or how.
        seen: Every value that it looked at, as plain values.
        missing: What it would have needed to see.
    """

    rule: str
    text: str
    state: State
    reason: str = ""
    seen: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """This result as plain values that JSON has."""
        told: dict[str, Any] = plain(
            {
                "rule": self.rule,
                "text": self.text,
                "state": self.state.value,
                "reason": self.reason,
                "seen": dict(self.seen),
                "missing": list(self.missing),
            }
        )
        return told

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Result:
        """Undo `to_dict`.

        Raises:
            LookupError, TypeError, ValueError: *told* is something else.
        """
        return cls(
            rule=str(told["rule"]),
            text=str(told["text"]),
            state=State(told["state"]),
            reason=str(told["reason"]),
            seen=dict(told["seen"]),
            missing=tuple(map(str, told["missing"])),
        )

    def __str__(self) -> str:
        head = f"{self.state.value:<8}{_line(self.rule)}: {_line(self.text)}"
        return f"{head}\n        {_line(self.reason)}" if self.reason else head


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a policy says of a candidate.

    Attributes:
        policy: The policy's name.
        policy_digest: Of the policy, ``b3:...``.
        mode: Whether it is enforced.
        transition: From where to where.
        candidate: What people call the version.
        candidate_digest: Of the version.
        baseline: What it was compared with; empty if with nothing.
        baseline_digest: Of that.
        time: When it was judged, milliseconds since 1970.
        results: Of every rule.
        asked: Whatever else was given: who asked, what is known of integrity, evidence, approvals.
    """

    policy: str
    policy_digest: str
    mode: str
    transition: str
    candidate: str
    candidate_digest: str
    baseline: str
    baseline_digest: str
    time: int
    results: tuple[Result, ...]
    asked: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """The answer."""
        return joined(result.state for result in self.results)

    @property
    def passed(self) -> bool:
        """Whether every rule is met."""
        return self.state is State.PASSED

    @property
    def denied(self) -> bool:
        """Whether some rule is broken."""
        return self.state is State.DENIED

    @property
    def waiting(self) -> bool:
        """Whether approvals or time are all that is missing."""
        return self.state is State.WAITING

    @property
    def blocks(self) -> bool:
        """Whether the transition may not happen now."""
        return self.mode == "enforce" and not self.passed

    @property
    def exit_code(self) -> int:
        """What a command that asked ends with."""
        return self.state.exit_code if self.blocks else 0

    @property
    def reasons(self) -> tuple[str, ...]:
        """What stands against it, a line for each rule; each names the policy and the rule."""
        return tuple(
            f"{self.policy}, {result.rule}: {result.reason}"
            for result in self.results
            if result.state is not State.PASSED
        )

    def to_dict(self) -> dict[str, Any]:
        """This verdict as plain values that JSON has."""
        told: dict[str, Any] = plain(
            {
                "policy": self.policy,
                "policy_digest": self.policy_digest,
                "mode": self.mode,
                "transition": self.transition,
                "candidate": self.candidate,
                "candidate_digest": self.candidate_digest,
                "baseline": self.baseline,
                "baseline_digest": self.baseline_digest,
                "time": self.time,
                "state": self.state.value,
                "blocks": self.blocks,
                "exit_code": self.exit_code,
                "results": [result.to_dict() for result in self.results],
                "asked": dict(self.asked),
            }
        )
        return told

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Verdict:
        """Undo `to_dict`.

        Raises:
            LookupError, TypeError, ValueError: *told* is something else.
        """
        texts = {name: str(told[name]) for name in _TEXTS}
        results = tuple(Result.from_dict(one) for one in told["results"])
        return cls(**texts, time=int(told["time"]), results=results, asked=dict(told["asked"]))

    def to_bytes(self) -> bytes:
        """Spell this verdict in the one way that there is, for storing and signing."""
        return spell(self.to_dict())

    @property
    def digest(self) -> Digest:
        """The name of what this verdict says."""
        return Digest.of(self.to_bytes())

    def __repr__(self) -> str:
        return f"Verdict({self.candidate!r}, {self.policy!r}, {self.state.value})"

    def __str__(self) -> str:
        against = f", compared with {_line(self.baseline)}" if self.baseline else ""
        head = f"{_line(self.candidate)}: {self.state.value} by {self.policy} ({self.transition})"
        noted = "" if self.mode == "enforce" else f"\n{self.mode}: nothing is blocked"
        return "\n".join([f"{head}{against}, {moment(self.time)}{noted}", *map(str, self.results)])

    def _repr_html_(self) -> str:
        rows = [(row.state.value, row.rule, row.text, row.reason) for row in self.results]
        title = f"{self.candidate}: {self.state.value} by {self.policy}"
        return html_table(title, rows, ("", "rule", "asks", "because"))


_TEXTS: Final = (
    "policy",
    "policy_digest",
    "mode",
    "transition",
    "candidate",
    "candidate_digest",
    "baseline",
    "baseline_digest",
)


def joined(states: Iterable[State]) -> State:
    """Join what rules say into what the policy says, whatever their order."""
    found = set(states)
    if State.DENIED in found:
        return State.DENIED
    return State.WAITING if State.WAITING in found else State.PASSED


def _line(text: str) -> str:
    """*text* as it cannot turn a terminal's colours or pretend to be another line."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
