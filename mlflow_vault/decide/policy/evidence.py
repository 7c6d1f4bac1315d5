"""What is known when a policy is judged: the versions, and everything around them, as plain data.

Nothing here was looked up by the judge.  Who judges has collected it, and says of each piece what
it is of: an approval names the version and the policy that it was given for, so one given for
others does not count, wherever it comes from.

Times are milliseconds since 1970, UTC.  Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.expression import Field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow_vault.decide.expression import Value


@dataclass(frozen=True, slots=True)
class Subject:
    """A version as a policy sees it.

    Attributes:
        label: What people call it: ``fraud/3``.
        digest: Of its files, ``b3:...``.
        name: The registered model.
        authors: Who made it: of the commit, of the run; nobody of them may approve it.
        created: When it was committed.
        facts: What is known of it; docs/format.md, "Facts".
        values: What a condition may ask of it.
    """

    label: str
    digest: str
    name: str
    authors: tuple[str, ...] = ()
    created: int = 0
    facts: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[Field, Value] = field(default_factory=dict)

    @property
    def stages(self) -> tuple[str, ...]:
        """Where it stands; ``none`` if nowhere."""
        found = self.values.get(Field("attribute", "stage"))
        return found if isinstance(found, tuple) and found else ("none",)

    def to_dict(self) -> dict[str, Any]:
        """This version as plain values, as a custom check gets it."""
        return {
            "label": self.label,
            "digest": self.digest,
            "name": self.name,
            "authors": list(self.authors),
            "created": self.created,
            "stages": list(self.stages),
            "facts": dict(self.facts),
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether something about the candidate holds, None if nobody looked, and why."""

    holds: bool | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A stored or signed result.

    Attributes:
        type: What kind: ``test-result``.
        name: Which one: ``holdout``.
        digest: Of the version that it is about.
        time: When it was made.
        passed: Whether it is good, None if it does not say.
        values: What came out, by name.
        source: Where it is kept.
    """

    type: str
    name: str
    digest: str
    time: int
    passed: bool | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """What one person said to one version under one policy.

    Attributes:
        actor: Who.
        digest: Of the version.
        policy: The policy's digest.
        time: When.
        roles: Which the actor had then.
        authenticated: Whether somebody checked who it was.
        mfa: Whether with a second factor.
        rejects: It was a no.
        reason: Why.
        source: What it is called where it is kept.
        signed: Whether a key of theirs signed it, which is a second factor.
    """

    actor: str
    digest: str
    policy: str
    time: int
    roles: tuple[str, ...] = ()
    authenticated: bool = False
    mfa: bool = False
    rejects: bool = False
    reason: str = ""
    source: str = ""
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Stay:
    """The candidate stood in *stage* since *entered*; *left* is None while it still does."""

    stage: str
    entered: int
    left: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a custom check said; `passed` is None if it raised, hung or said nothing."""

    check: str
    passed: bool | None
    reason: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """What is known beyond the versions.

    Attributes:
        now: The time of the decision.
        requester: Who asks for the transition.
        verified: Whether all bytes are what their digests say.
        signed: Whether somebody trusted signed the candidate.
        evidence: Of any version; only the candidate's own counts.
        approvals: Of any version; only the candidate's own count.
        stays: Where the candidate stood.
        answers: Of custom checks.
        environment: What production has, if it was measured; as `facts["environment"]`.
    """

    now: int
    requester: str = ""
    verified: Finding = Finding(None)
    signed: Finding = Finding(None)
    evidence: tuple[Evidence, ...] = ()
    approvals: tuple[Approval, ...] = ()
    stays: tuple[Stay, ...] = ()
    answers: tuple[Answer, ...] = ()
    environment: Mapping[str, Any] | None = None
