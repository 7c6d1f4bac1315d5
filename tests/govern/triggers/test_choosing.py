"""Automatic moves only go forward, whatever has happened to a model before."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlflow_vault.decide.policy import Policy
from mlflow_vault.format.decision import Decision, Stand
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.triggers.choosing import Candidate, Past, automatic, plan_candidates

TABLE = ("staging", "production", "archived")


def digest(content: int) -> Digest:
    """The digest of some content."""
    return Digest.of(str(content).encode())


def held(number: int, content: int | None = None, **more: Any) -> Held:
    """A version as the registry has it."""
    told = str(digest(number if content is None else content))
    return Held(f"models:/m/{number}", "", name="m", number=number, digest=told, **more)


def policy(to: str, **more: Any) -> Policy:
    """A policy that is automatic."""
    transition = {"to": to, "automatic": True, **more}
    return Policy.model_validate({"metadata": {"name": f"to-{to}"}, "transition": transition})


POLICIES = automatic([policy(to) for to in TABLE], "m")


class Story:
    """What was decided about a model, one decision after the other."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.stands: dict[str, Stand] = {}

    def move(self, number: int, to: str, action: str = "promote") -> Story:
        """Decide."""
        before = dict(self.stands)
        self.stands = {at: one for at, one in self.stands.items() if one.number != number}
        if to != "archived":
            self.stands[to] = Stand(number, digest(number), 0, len(self.decisions))
        made = Decision(
            vault="",
            model="m",
            sequence=len(self.decisions),
            time=0,
            id="0" * 32,
            action=action,
            actor=Actor("ann"),
            number=number,
            digest=digest(number),
            to=to,
            before=before,
            after=dict(self.stands),
        )
        self.decisions.append(made)
        return self

    @property
    def past(self) -> Past:
        """What it comes to."""
        return Past.of(reversed(self.decisions))


def chosen(story: Story, *versions: Held) -> list[tuple[int, str]]:
    """Who is a candidate, and for what."""
    found = plan_candidates(
        "m", versions or [held(one) for one in range(1, 6)], story.past, POLICIES
    )
    return [(one.number, one.to) for one in found]


def test_new() -> None:
    """Of new versions the newest comes first, and then those before it, but not many."""
    versions = [held(number) for number in range(1, 20)]

    found = chosen(Story(), *versions)

    assert found == [(number, "staging") for number in (19, 18, 17, 16, 15)]


def test_forward() -> None:
    """Only what is newer than all that stands goes to staging; what stands there goes on."""
    story = Story().move(3, "production").move(4, "staging")

    assert chosen(story) == [(4, "production"), (5, "staging")]


def test_not_back() -> None:
    """An older version does not replace a newer one, though somebody staged it."""
    story = Story().move(5, "production").move(2, "staging")

    assert chosen(story) == []


def test_rolled_back() -> None:
    """What was rolled back from does not return, and nobody before it; what comes after does."""
    story = Story().move(3, "production").move(5, "production").move(3, "production", "roll_back")

    assert chosen(story) == [(5, "archived")]
    assert chosen(story, *map(held, range(1, 7))) == [(6, "staging"), (5, "archived")]


def test_same_content() -> None:
    """The same files under another number are the same version that failed."""
    story = Story().move(3, "production").move(5, "production").move(3, "production", "roll_back")

    found = chosen(story, held(3), held(5), held(6, content=5))

    assert found == [(5, "archived")]


def test_replaced() -> None:
    """What was replaced goes to the archive, once."""
    story = Story().move(1, "production").move(2, "production")

    assert chosen(story, held(1), held(2)) == [(1, "archived")]
    assert chosen(story.move(1, "archived", "archive"), held(1), held(2)) == []


def test_deprecated() -> None:
    """What is tagged as deprecated goes to the archive instead of up; from production nowhere."""
    story = Story().move(1, "production")
    tags = {"deprecated": "True"}

    assert chosen(story, held(1, tags=tags), held(2, tags=tags)) == [(2, "archived")]


def test_by_hand() -> None:
    """Without any decision an alias of the registry says who stands where."""
    versions = [held(1), held(2, aliases=("production",)), held(3)]

    assert chosen(Story(), *versions) == [(3, "staging")]


def test_deleted() -> None:
    """Numbers that began again after a model was deleted are not older than those of before."""
    story = Story().move(7, "production")

    assert chosen(story, held(1, content=101), held(2, content=102)) == [
        (2, "staging"),
        (1, "staging"),
    ]


def test_unknown() -> None:
    """What is in no vault is no candidate."""
    assert chosen(Story(), Held("models:/m/1", "", name="m", number=1)) == []


def test_sources() -> None:
    """A policy says from where; straight to production, or from staging to the archive."""
    straight = automatic([policy("production", **{"from": "none"})], "m")
    story = Story().move(1, "production").move(2, "staging")
    versions = [held(number) for number in (1, 2, 3)]

    found = plan_candidates("m", versions, story.past, straight)

    why = "the newest version without a stage"
    assert found == [Candidate("m", 3, versions[2].digest, "production", why, seen=1)]


def test_out_of_staging() -> None:
    """What is deprecated leaves staging only where a policy says so."""
    story = Story().move(1, "staging")
    versions = [held(1, tags={"deprecated": "yes"})]
    out = automatic([policy("archived", **{"from": ["none", "staging"]})], "m")

    assert chosen(story, *versions) == []
    found = plan_candidates("m", versions, story.past, out)
    assert [(one.number, one.why) for one in found] == [(1, "it is tagged as deprecated")]


def test_automatic() -> None:
    """Policies move versions by themselves only if they say so, and only of their models."""
    other = Policy.model_validate(
        {"metadata": {"name": "o", "models": "n*"}, "transition": {"to": "staging"}}
    )

    assert automatic([policy("staging", automatic=False), other], "m") == {}
    with pytest.raises(ValidationError, match="health and on_failure"):
        policy("production", kind="rollback")


moves = st.tuples(st.integers(1, 5), st.sampled_from(TABLE))


@given(st.lists(moves, max_size=12))
def test_ends(steps: list[tuple[int, str]]) -> None:
    """Whatever happened: moving candidates goes forward, and comes to an end."""
    story = Story()
    for number, to in steps:
        story.move(number, to)

    for _ in range(40):
        found = chosen(story)
        if not found:
            break
        number, to = found[0]
        if to in story.stands:
            assert number > story.stands[to].number
        story.move(number, to)
    assert not chosen(story)
