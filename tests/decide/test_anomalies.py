"""Rules over the log tell what is odd, and nothing where nothing is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mlflow_vault.decide.anomalies import Anomaly, Limits, anomalies
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Action, Actor, LogEntry, Subject

NOON = int(datetime(2026, 3, 4, 12, tzinfo=UTC).timestamp())  # a Wednesday
ANN, BOB = Actor("ann", verified=True), Actor("bob", verified=True)
MODEL, OTHER = Digest.of(b"model"), Digest.of(b"other")
HOUR = 3600


class Story:
    """A log that is told entry by entry."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = []
        self.now = float(NOON)

    def add(
        self,
        action: Action,
        *,
        wait: float = 60,
        actor: Actor = ANN,
        digest: Digest | None = None,
        after: Any = None,
    ) -> int:
        """Add an entry; return its number."""
        self.now += wait
        sequence = len(self.entries)
        subject = Subject("model", "fraud", digest)
        time = int(self.now * 1000)
        nonce = "0" * 32
        self.entries.append(
            LogEntry("v", sequence, time, nonce, action, actor, subject, after=after)
        )
        return sequence

    def found(self, limits: Limits | None = None, *, wait: float = 0) -> list[Anomaly]:
        """What is odd about it, *wait* seconds after its end."""
        return list(anomalies(self.entries, self.now + wait, limits))

    def rules(self, limits: Limits | None = None, *, wait: float = 0) -> list[str]:
        """Which rules say so."""
        return [anomaly.rule for anomaly in self.found(limits, wait=wait)]


@pytest.fixture
def story() -> Story:
    """Thirty commits by ann, in half an hour at noon."""
    story = Story()
    for _ in range(30):
        story.add(Action.COMMIT)
    return story


def test_nothing(story: Story) -> None:
    """An ordinary log is not odd, nor is an empty one."""
    assert story.found() == []
    assert list(anomalies([], NOON)) == []


def test_new_actor(story: Story) -> None:
    """Somebody who was never seen is told of once; the same name unverified is somebody else."""
    first = story.add(Action.COMMIT, actor=BOB)
    story.add(Action.COMMIT, actor=BOB)
    second = story.add(Action.COMMIT, actor=Actor("bob"))

    found = story.found()

    assert [(one.rule, one.sequences) for one in found] == [
        ("new_actor", (first,)),
        ("new_actor", (second,)),
    ]
    assert "'bob' was never seen" in str(found[0])
    assert "(unverified)" in str(found[1])
    assert found[0].to_dict()["sequences"] == [first]


@pytest.mark.parametrize(
    ("hours", "action", "odd"),
    [
        (0, Action.DELETE, False),
        (9.2, Action.DELETE, False),  # 21:45
        (10, Action.DELETE, True),  # 22:33
        (10, Action.COMMIT, False),  # training never sleeps
        (17, Action.ALIAS, True),  # 05:33
        (18, Action.ALIAS, False),
        (72, Action.POLICY, True),  # Saturday
        (72, Action.CHECKPOINT, False),
    ],
)
def test_off_hours(story: Story, hours: float, action: Action, *, odd: bool) -> None:
    """What people decide at night or on a weekend is told."""
    story.add(action, wait=hours * HOUR)

    assert story.rules() == ["off_hours"] * odd


def test_off_hours_elsewhere(story: Story) -> None:
    """Hours are those of the team's zone; some work on weekends."""
    story.add(Action.DELETE, wait=2 * HOUR)  # 14:31 UTC
    assert story.rules(Limits(zone=9)) == ["off_hours"]
    story.add(Action.DELETE, wait=70 * HOUR)
    assert story.rules() == ["off_hours"]
    assert story.rules(Limits(weekends=True)) == []


@pytest.mark.parametrize(
    "action", [Action.DENY, Action.DELETE_REFUSED, Action.LOGIN_FAILED, Action.WRITE_REFUSED]
)
def test_refusals(story: Story, action: Action) -> None:
    """Five refusals of one actor in ten minutes are a burst, which is told once."""
    for _ in range(4):
        story.add(action)
    assert story.rules() == []
    last = story.add(action)
    story.add(action)

    found = story.found()

    assert [(one.rule, one.sequences) for one in found] == [
        ("refusals", tuple(range(last - 4, last + 1)))
    ]


def test_refusals_apart(story: Story) -> None:
    """Refusals that are far apart, or of several people, are no burst."""
    for number in range(12):
        story.add(Action.DENY, wait=200, actor=Actor(str(number % 3)))

    assert "refusals" not in story.rules()
    for _ in range(12):
        story.add(Action.DENY, wait=200)
    assert "refusals" not in story.rules()


def test_deletions(story: Story) -> None:
    """Ten deletions in ten minutes are many, done or refused."""
    for number in range(10):
        story.add((Action.DELETE, Action.ARCHIVE)[number % 2], wait=5)

    assert story.rules() == ["deletions"]


def _production(story: Story, *numbers: int | None, wait: float = 60) -> None:
    for number in numbers:
        story.add(Action.PROMOTE, after={"aliases": {"production": number}}, wait=wait)


def test_flapping(story: Story) -> None:
    """An alias that goes back twice in a day flaps; one that goes on, or back once, does not."""
    _production(story, 1, 2, 3, 4)
    assert story.rules() == []
    _production(story, 3)
    assert story.rules() == []
    _production(story, 4)

    assert story.rules() == ["flapping"]
    assert "'production' of 'fraud' went back 2 times" in str(story.found()[0])


def test_no_flapping(story: Story) -> None:
    """Setting an alias to what it is is no move; nor do moves of other days count."""
    _production(story, 1, 1, 1, 1, 1)
    _production(story, 2, 1, 2, 1, wait=20 * HOUR)

    assert "flapping" not in story.rules()


@pytest.mark.parametrize("after", [None, 7, [1], {"aliases": 7}, {"aliases": {"a": {"b": []}}}])
def test_odd_entries(story: Story, after: object) -> None:
    """Whatever an entry tells, no rule fails over it."""
    story.add(Action.ALIAS, after=after)

    assert story.rules() == []


def test_clock(story: Story) -> None:
    """An entry that is much older than the one before it is told; minutes happen."""
    story.add(Action.COMMIT, wait=-200)
    assert story.rules() == []
    last = story.add(Action.COMMIT, wait=-400)

    assert [(one.rule, one.sequences) for one in story.found()] == [("clock", (last - 1, last))]


def test_checkpoint(story: Story) -> None:
    """A checkpoint that stands still is told, by how long or by how much came since."""
    assert story.rules(wait=6 * 24 * HOUR) == []
    assert story.rules(wait=8 * 24 * HOUR) == ["checkpoint"]
    assert story.rules(Limits(unsigned=29)) == ["checkpoint"]
    story.add(Action.CHECKPOINT)
    assert story.rules(wait=99 * 24 * HOUR) == []
    first = story.add(Action.COMMIT)
    found = story.found(wait=8 * 24 * HOUR)
    assert [one.sequences for one in found] == [(first, first)]


def _decided(number: int, aliases: dict[str, Any], *states: str) -> dict[str, Any]:
    return {"decision": number, "aliases": aliases, "policies": [{"state": one} for one in states]}


def test_self_approval(story: Story) -> None:
    """Whoever approves what they committed, or moves what they alone approved, is told of."""
    story.add(Action.COMMIT, digest=MODEL)
    own = story.add(Action.APPROVE, digest=MODEL)
    story.add(Action.APPROVE, actor=BOB, digest=MODEL)
    story.add(Action.PROMOTE, actor=BOB, digest=MODEL, after=_decided(0, {}, "passed"))
    alone = story.add(Action.APPROVE, actor=BOB, digest=MODEL)
    moved = story.add(Action.PROMOTE, actor=BOB, digest=MODEL, after=_decided(1, {}, "passed"))
    story.add(Action.APPROVE, digest=OTHER)
    story.add(Action.PROMOTE, actor=BOB, digest=OTHER, after=_decided(2, {}, "passed"))
    story.add(Action.APPROVE)

    found = [one for one in story.found() if one.rule != "new_actor"]

    assert [(one.rule, one.sequences) for one in found] == [
        ("self_approval", (own,)),
        ("self_approval", (alone, moved)),
    ]
    assert "which they committed" in found[0].reason
    assert "who moved it" in found[1].reason


def test_self_approval_under_another_spelling(story: Story) -> None:
    """One person whose name is spelled in two ways is one."""
    story.add(Action.COMMIT, actor=Actor("bob@acme"), digest=MODEL)
    own = story.add(Action.APPROVE, actor=Actor("Bob@ACME"), digest=MODEL)

    found = [one.sequences for one in story.found() if one.rule == "self_approval"]

    assert found == [(own,)]


@pytest.mark.parametrize(("states", "told"), [((), "no policy"), (("denied", "waiting"), "denied")])
def test_without_evidence(story: Story, states: tuple[str, ...], told: str) -> None:
    """A promotion that no policy let pass is told, whichever mode those have."""
    moved = story.add(Action.PROMOTE, after=_decided(0, {}, *states))
    story.add(Action.PROMOTE, after=_decided(1, {}, "denied", "passed"))

    (found,) = story.found()

    assert (found.rule, found.sequences) == ("evidence", (moved,))
    assert told in found.reason


@pytest.mark.parametrize("after", [None, 3, {"policies": 3}, {"policies": [3]}, {"decision": "x"}])
def test_odd_promotions(story: Story, after: object) -> None:
    """Whatever a promotion's entry says, reading it is no error."""
    story.add(Action.PROMOTE, after=after)

    assert set(story.rules()) <= {"evidence"}


def test_logged_again(story: Story) -> None:
    """A decision that was logged again, by whoever finished it, is one."""
    for number in range(1, 3):
        for _ in range(3):
            aliases = {"production": number % 2}
            story.add(Action.PROMOTE, after=_decided(number, aliases, "passed"))
    for number in (1, 2):  # by somebody who slept
        story.add(Action.PROMOTE, after=_decided(number, {"production": number % 2}, "passed"))

    assert story.rules() == []
    story.add(Action.PROMOTE, after=_decided(3, {"production": 1}, "passed"))
    story.add(Action.PROMOTE, after=_decided(4, {"production": 0}, "passed"))
    assert story.rules() == ["flapping"]
