"""Two people, really: distinct, known, not its author, for this version under this policy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_vault.decide.policy import Approval, Context, Policy, State, Subject, judge

HOUR: Final = 3_600_000
NOW: Final = 1_770_000_000_000
OURS: Final = "b3:" + "1" * 64
OTHER: Final = "b3:" + "2" * 64
POLICY: Final = Policy.model_validate(
    {
        "metadata": {"name": "two"},
        "transition": {"to": "production"},
        "approvals": {
            "min": 2,
            "roles": ["risk", "lead"],
            "not": ["author", "requester"],
            "expires": "72h",
            "mfa": True,
        },
    }
)
BOB: Final = Approval(
    "bob", OURS, str(POLICY.digest), NOW - HOUR, ("risk",), authenticated=True, mfa=True
)
CAT: Final = replace(BOB, actor="cat", roles=("lead", "viewer"))
VERSION: Final = Subject("fraud/3", OURS, "fraud", ("Ann", "runner"), NOW - 90 * HOUR)


def said(*approvals: Approval, version: Subject = VERSION) -> tuple[State, str]:
    """Return what the rule says to *approvals*."""
    verdict = judge(POLICY, version, None, Context(NOW, requester="dan", approvals=approvals))
    (result,) = (one for one in verdict.results if one.rule == "approvals")
    assert verdict.state is result.state
    return result.state, result.reason


def test_two_people() -> None:
    """Two distinct people with one of the roles are enough."""
    assert said(BOB, CAT) == (State.PASSED, "2 of 2: bob, cat")


WITHOUT: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "the same person": ({"actor": "bob"}, "1 of 2: bob"),
    "the same person, spelt differently": ({"actor": " BOB "}, "1 of 2"),
    "the author": ({"actor": "ann"}, "made the version"),
    "who ran it": ({"actor": "runner"}, "made the version"),
    "who asks": ({"actor": "dan"}, "asks for the transition"),
    "nobody": ({"actor": " "}, "has no name"),
    "not authenticated": ({"authenticated": False}, "nobody checked who it was"),
    "no role": ({"roles": ("viewer",)}, "has none of the roles"),
    "no second factor": ({"mfa": False}, "without a second factor"),
    "expired": ({"time": NOW - 73 * HOUR}, "expired 1h ago"),
    "expired just now": ({"time": NOW - 72 * HOUR}, "expired 0ms ago"),
    "in the future": ({"time": NOW + HOUR}, "1h in the future: check the clocks"),
    "replayed from another version": ({"digest": OTHER}, "given for another version"),
    "replayed from another policy": ({"policy": OTHER}, "given under another policy"),
}


@pytest.mark.parametrize("case", WITHOUT)
def test_not_counted(case: str) -> None:
    """What does not count leaves the version waiting, and it says why."""
    changes, reason = WITHOUT[case]

    state, told = said(BOB, replace(CAT, **changes))

    assert state is State.WAITING
    assert reason in told


def test_unknown_author() -> None:
    """Where nobody knows who made the version, nobody can be shown to be someone else."""
    state, told = said(BOB, CAT, version=replace(VERSION, authors=("", " ")))

    assert state is State.WAITING
    assert "who made the version is not known" in told


def test_rejection() -> None:
    """A no denies until the same person says yes; one by a stranger says nothing."""
    eve = replace(CAT, actor="eve", rejects=True, time=NOW - 2 * HOUR, reason="drift")
    stranger = replace(eve, roles=())

    assert said(BOB, CAT, eve)[0] is State.DENIED
    assert "eve (drift)" in said(BOB, CAT, eve)[1]
    assert said(BOB, CAT, eve, replace(CAT, actor="eve"))[0] is State.PASSED
    assert said(BOB, CAT, stranger)[0] is State.PASSED
    assert said(BOB, CAT, replace(stranger, actor="ann"))[0] is State.DENIED  # its author
    assert said(BOB, CAT, replace(eve, digest=OTHER))[0] is State.PASSED


approvals = st.builds(
    Approval,
    actor=st.sampled_from(["ann", "bob", "Bob", "cat", "dan", "eve", ""]),
    digest=st.sampled_from([OURS, OURS, OTHER]),
    policy=st.sampled_from([str(POLICY.digest), str(POLICY.digest), OTHER]),
    time=st.integers(NOW - 80 * HOUR, NOW + HOUR),
    roles=st.sampled_from([(), ("risk",), ("lead", "risk"), ("viewer",)]),
    authenticated=st.booleans(),
    mfa=st.booleans(),
    rejects=st.just(value=False),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(approvals, max_size=6), approvals)
def test_more_never_harm(given: list[Approval], more: Approval) -> None:
    """One more approval never makes what passed fail, nor what waited denied."""
    before, _ = said(*given)
    after, _ = said(*given, more)

    assert before is not State.DENIED
    assert after is State.PASSED or before is not State.PASSED
    assert after is not State.DENIED


@settings(max_examples=100, deadline=None)
@given(st.lists(approvals, max_size=6), st.randoms(use_true_random=False))
def test_two_person_rule(given: list[Approval], chance: Any) -> None:
    """Whatever is given in whichever order, it takes two people who may."""
    mixed = chance.sample(given, len(given))
    may = {
        one.actor.casefold()
        for one in given
        if one.actor.casefold() in {"bob", "cat", "eve"}
        and one.authenticated
        and one.mfa
        and (one.digest, one.policy) == (OURS, str(POLICY.digest))
        and set(one.roles) & {"risk", "lead"}
        and NOW - 72 * HOUR < one.time <= NOW + 60_000
    }

    state, told = said(*given)

    assert (state is State.PASSED) is (len(may) >= 2)
    assert (state, told) == said(*mixed)
