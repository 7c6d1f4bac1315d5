"""What an alert says, as JSON, as Slack has it, and as a mail.

Names and values in it come from whoever logs models and writes policies.  No text can begin another
line, turn its direction, mention somebody, or be a link with another face.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.durations import moment
from mlflow_vault.format.canonical import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST: Final = 300  # characters of one reason
_SHOWN: Final = 20  # reasons
_MENTION: Final = re.compile(r"@(?=\w)")
_SLACK: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True, slots=True)
class Alert:
    """That a version is not healthy, and what was done.

    Attributes:
        id: Random; a receiver that saw it knows a second try by it.
        event: ``failing``, ``rolled_back``, ``rollback_failed``, ``inconclusive``.
        model: The registered model.
        number: The model version's.
        stage: Where it stands, or stood.
        policy: Whose rules.
        time: Milliseconds since 1970.
        reasons: What each rule that is not healthy says.
        outcome: What was done, in words.
        more: What else programs may want to know.
    """

    id: str
    event: str
    model: str
    number: int
    stage: str
    policy: str
    time: int
    reasons: tuple[str, ...] = ()
    outcome: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """One line that says it."""
        what = _EVENTS.get(self.event, self.event)
        return line(f"{self.model}/{self.number} in {self.stage} {what}")

    def text(self) -> str:
        """Say it to people, in plain lines."""
        lines = [f"{self.subject}, says the policy {line(self.policy)} at {moment(self.time)}."]
        lines += [line(self.outcome)] if self.outcome else []
        lines += [f"- {line(reason)}" for reason in self.reasons[:_SHOWN]]
        if len(self.reasons) > _SHOWN:
            lines.append(f"- and {len(self.reasons) - _SHOWN} more")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """This alert as plain values that JSON has."""
        told: dict[str, Any] = plain(
            {
                "id": self.id,
                "event": self.event,
                "model": self.model,
                "number": self.number,
                "stage": self.stage,
                "policy": self.policy,
                "time": self.time,
                "reasons": list(self.reasons),
                "outcome": self.outcome,
                "text": self.text(),
                **self.more,
            }
        )
        return told

    def to_slack(self) -> dict[str, Any]:
        """This alert in the format of Slack's incoming webhooks: text without any markup."""
        text = _MENTION.sub("@\u200b", self.text())
        escaped = "".join(_SLACK.get(letter, letter) for letter in text)
        return {"text": escaped, "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}


_EVENTS: Final = {
    "failing": "is failing",
    "rolled_back": "was failing and was rolled back",
    "rollback_failed": "is failing and could NOT be rolled back",
    "inconclusive": "cannot be judged",
}


def line(text: str) -> str:
    r"""*text* as one line of a bounded length, which nothing in it can end or turn around.

    >>> line("a\nb")
    'a\ufffdb'
    """
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
