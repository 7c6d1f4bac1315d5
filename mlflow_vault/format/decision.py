"""Decisions: which version of a registered model moved to which stage, by whom and why.

The decisions about one model are numbered from 0 without gaps: its ledger.  Each says who stood
where before and after, so the last one tells all there is to know, and carries the digest of the
one before it.  Whoever creates a number decides; whoever comes second looks again.

    {"action":"promote","actor":{...},"after":{"production":{...}},"before":{...},"digest":"b3:...",
     "id":"...","model":"fraud","number":3,"policies":[...],"predecessor":"b3:...","reason":"...",
     "request":"","sequence":7,"time":...,"to":"production","vault":"...","verdicts":[...]}

Pure: no I/O.  Written down in docs/format.md, "Decisions".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.log import Actor

LARGEST: Final = 4 << 20  # bytes of a decision: verdicts hold every value that was seen


@dataclass(frozen=True, slots=True)
class Stand:
    """Which version stands in a stage, since when, and by which decision.

    Attributes:
        number: The model version's.
        digest: Of the version.
        since: Milliseconds since 1970.
        decision: The number of the decision that put it there.
    """

    number: int
    digest: Digest
    since: int
    decision: int


@dataclass(frozen=True, slots=True)
class Decision:
    """One transition that was decided.

    Attributes:
        vault: The id of the vault in which it was.
        model: The registered model.
        sequence: Its place in the model's ledger, from 0.
        time: Milliseconds since 1970, by the clock of whoever decided.
        id: Random, 32 hexadecimal digits; tells one's own after a lost response.
        action: ``promote``, ``archive`` or ``roll_back`` (`format.log.Action`).
        actor: Who asked for it.
        number: Of the version that moved.
        digest: Of the version that moved.
        to: The stage that it moved to.
        reason: Why, in words.
        before: Who stood in ``staging`` and ``production``, by stage; no key where nobody did.
        after: Who stands there now.
        verdicts: What each policy said (`decide.policy.Verdict.to_dict`).
        predecessor: The digest of the decision before; None for the first.
        request: The random text by which whoever asked a server for it finds it again.
    """

    vault: str
    model: str
    sequence: int
    time: int
    id: str
    action: str
    actor: Actor
    number: int
    digest: Digest
    to: str
    reason: str = ""
    before: Mapping[str, Stand] = field(default_factory=dict, hash=False)
    after: Mapping[str, Stand] = field(default_factory=dict, hash=False)
    verdicts: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    predecessor: Digest | None = None
    request: str = ""
