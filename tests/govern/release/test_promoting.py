"""Versions move as the policies in force say, MLflow shows it, and the log has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.decide.policy.evidence import Finding
from mlflow_vault.decide.policy.roles import Right
from mlflow_vault.decide.policy.verdict import State
from mlflow_vault.errors import (
    ConflictError,
    DeniedError,
    InvalidInputError,
    NotFoundError,
    WaitingError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.policies import backtest, read
from mlflow_vault.govern.release.caller import Caller
from mlflow_vault.testing.promotions import HOUR, PRODUCTION, STAGING, VOTES, caller

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.testing.promotions import Stage


def test_story(stage: Stage) -> None:
    """Staged, approved, promoted, replaced, rolled back, archived: each is shown and logged."""
    first, second = stage.version(), stage.version()
    stage.apply(STAGING, VOTES)

    staged = stage.releases.promote(first, to="staging", reason="it is good")
    with pytest.raises(WaitingError, match="to-production, approvals: 0 of 1"):
        stage.releases.promote(first, to="production")
    stage.releases.approve(first, caller=caller("bob"))
    stage.releases.promote("credit/1", to="production")
    shown = [(stage.aliases(), stage.tags(1), stage.tags(2))]
    stage.releases.promote(second, to="staging")
    stage.releases.approve(second, caller=caller("bob"))
    stage.releases.promote(second, to="production")
    shown.append((stage.aliases(), stage.tags(1), stage.tags(2)))
    back = stage.releases.rollback("credit", reason="too slow")
    stage.releases.archive(second, reason="it was bad")
    shown.append((stage.aliases(), stage.tags(1), stage.tags(2)))

    assert staged.decision is not None
    assert staged.decision.reason == "it is good"
    assert staged.passed
    assert "decision 0" in str(staged)
    assert "<table>" in staged._repr_html_()
    assert staged.to_dict()["decision"]["to"] == "staging"
    assert shown == [
        ({"production": 1}, "production", ""),
        ({"production": 2}, "", "production"),
        ({"production": 1}, "production", "archived"),
    ]
    assert (back.number, back.to) == (1, "production")
    deeds = ["promote", "deny", "approve", "promote"]
    deeds += ["promote", "approve", "promote", "roll_back", "archive"]
    assert stage.logged()[4:] == deeds
    assert stage.vault.audit.verify().is_whole


def test_refusal(stage: Stage) -> None:
    """Who is refused is told every rule; it is kept beside the version and logged."""
    version = stage.version(metrics={"f1": float("nan")})
    stage.apply(STAGING + "metrics: {f1: {threshold: 0.9, greater_is_better: true}}\n")

    with pytest.raises(DeniedError, match=r"to-staging, metrics\.f1") as caught:
        stage.releases.promote(version, to="staging")

    assert not isinstance(caught.value, WaitingError)
    assert [one.policy for one in caught.value.verdicts] == ["to-staging"]
    assert stage.aliases() == {}
    (kept,) = stage.releases.around.statements.of("credit", version.digest)
    assert kept.kind == "verdict"
    assert kept.body["verdicts"][0]["state"] == "denied"
    (entry,) = [one for one in stage.vault.audit.search() if one.action == "deny"]
    assert entry.after["policies"] == ["to-staging"]
    assert "metrics.f1" in entry.after["reasons"][0]


def test_warn_blocks_nothing(stage: Stage) -> None:
    """A policy that only warns says no, and the version moves."""
    stage.apply(STAGING + "mode: warn\napprovals: {min: 1}\n")

    moved = stage.releases.promote(stage.version(), to="staging")

    assert moved.verdicts[0].waiting
    assert moved.passed
    assert stage.aliases() == {"staging": 1}


def test_all_policies(stage: Stage) -> None:
    """Every policy in force that matches has to agree, and the one that is named."""
    version = stage.version()
    strict = STAGING.replace("to-staging", "strict") + "approvals: {min: 1}\n"
    stage.apply(STAGING)

    with pytest.raises(WaitingError, match="strict, approvals"):
        stage.releases.promote(version, to="staging", policy=read(strict))
    stage.apply(strict.replace("strict}", "strict, models: other}"))
    moved = stage.releases.promote(version, to="staging")

    assert [one.policy for one in moved.verdicts] == ["to-staging"]


def test_no_policy(stage: Stage) -> None:
    """Without a policy nothing is promoted; one that is named will do, if it is about that."""
    version = stage.version()

    with pytest.raises(NotFoundError, match="policy apply FILE"):
        stage.releases.promote(version, to="staging")
    with pytest.raises(InvalidInputError, match="about a promotion to staging"):
        stage.releases.promote(version, to="production", policy=read(STAGING))
    with pytest.raises(InvalidInputError, match="no stage"):
        stage.releases.promote(version, to="nowhere")
    moved = stage.releases.promote(version, to="staging", policy=read(STAGING))

    assert moved.decision is not None


def test_votes_count_once(stage: Stage) -> None:
    """What was approved for one promotion is used up by it; a new one needs new approvals."""
    version = stage.version()
    stage.apply(STAGING, VOTES)
    stage.releases.promote(version, to="staging")
    stage.releases.approve(version, caller=caller("bob"))
    stage.releases.promote(version, to="production")
    stage.time += HOUR
    stage.releases.archive(version, reason="for now")
    stage.releases.promote(version, to="staging")

    with pytest.raises(WaitingError, match="0 of 1"):
        stage.releases.promote(version, to="production")
    stage.releases.approve(version, caller=caller("bob"))

    assert stage.releases.promote(version, to="production").passed


def test_votes_are_used_up_by_another_clock(stage: Stage) -> None:
    """A vote by a clock that is ahead of the one that decided is used up all the same."""
    version = stage.version()
    stage.apply(STAGING, VOTES)
    stage.releases.promote(version, to="staging")
    stage.time += 30
    stage.releases.approve(version, caller=caller("bob"))
    stage.time -= 30
    stage.releases.promote(version, to="production")
    stage.time += 10
    stage.releases.archive(version, reason="for now")
    stage.releases.promote(version, to="staging")

    with pytest.raises(WaitingError, match="0 of 1"):
        stage.releases.promote(version, to="production")


def test_same_files_again(stage: Stage) -> None:
    """Where one number stands, another number of the same files does not."""
    first = stage.version()
    stage.made -= 1
    twin = stage.version(place="again")
    stage.apply(STAGING, VOTES)
    stage.releases.promote(first, to="staging")
    stage.releases.approve(twin, caller=caller("bob"))

    assert twin.digest == first.digest
    assert (first.number, twin.number) == (1, 2)
    with pytest.raises(DeniedError, match="staging"):
        stage.releases.promote("credit/2", to="production")


def test_no_stays_no(stage: Stage) -> None:
    """A no counts until the same person says yes, also after a promotion in between."""
    version = stage.version()
    stage.apply(STAGING, VOTES)
    stage.releases.promote(version, to="staging")
    stage.releases.reject(version, caller=caller("cat"), reason="it leaks")
    stage.releases.approve(version, caller=caller("bob"))

    with pytest.raises(DeniedError, match="rejected by cat"):
        stage.releases.promote(version, to="production")
    stage.time += 1
    stage.releases.approve(version, caller=caller("Cat"))
    stage.releases.promote(version, to="production")
    stage.releases.archive(version, reason="for now")
    stage.releases.promote(version, to="staging")
    stage.time += 1
    stage.releases.approve(version, caller=caller("bob"))

    assert stage.releases.promote(version, to="production").passed


def test_author_may_say_no(stage: Stage) -> None:
    """Who made a version may not approve it, but may stop it without the right to approve."""
    version = stage.version(author="ann")
    stage.apply(STAGING, VOTES)
    ann = Caller(Actor("ann", verified=True), (), frozenset({Right.READ}))

    with pytest.raises(DeniedError, match="right to approve"):
        stage.releases.approve(version, caller=ann)

    assert stage.releases.reject(version, caller=ann, reason="wrong data").kind == "rejection"


@pytest.mark.parametrize(
    ("name", "verified", "why"),
    [
        ("ann", True, "made the version"),
        ("ANN ", True, "made the version"),
        ("", True, "has no name"),
        ("eve", False, "nobody checked who it was"),
    ],
)
def test_vain_votes(stage: Stage, name: str, verified: bool, why: str) -> None:  # noqa: FBT001
    """A vote that cannot count is refused and logged, not kept."""
    version = stage.version(author="ann")
    stage.apply(VOTES)

    with pytest.raises(DeniedError, match=f"to-production, approvals: {why}"):
        stage.releases.approve(version, caller=caller(name, verified=verified))

    assert stage.releases.around.statements.of("credit", version.digest) == ()
    assert stage.logged({"approve", "deny"}) == ["deny"]


def test_votes_expire(stage: Stage) -> None:
    """A vote that is too old, from the future, or for a changed policy does not count."""
    version = stage.version()
    stage.apply(PRODUCTION.replace("from: staging, ", "") + "approvals: {min: 1, expires: 1h}\n")
    stage.releases.approve(version, caller=caller("bob"))
    stage.time += HOUR

    with pytest.raises(WaitingError, match="expired"):
        stage.releases.promote(version, to="production")
    stage.time += HOUR
    stage.releases.approve(version, caller=caller("bob"))
    stage.apply(PRODUCTION.replace("from: staging, ", "") + "approvals: {min: 1, expires: 2h}\n")
    with pytest.raises(WaitingError, match="before it was changed"):
        stage.releases.promote(version, to="production")


def test_which_stage(stage: Stage) -> None:
    """Where approvals are asked for two stages a vote says for which; without any it is no use."""
    version = stage.version()
    with pytest.raises(NotFoundError, match="asks for approvals"):
        stage.releases.approve(version, caller=caller("bob"))
    stage.apply(STAGING + "approvals: {min: 1}\n", VOTES)

    with pytest.raises(InvalidInputError, match="to=production or to=staging"):
        stage.releases.approve(version, caller=caller("bob"))

    assert (
        stage.releases.approve(version, to="staging", caller=caller("bob")).body["to"] == "staging"
    )


def test_evidence(stage: Stage) -> None:
    """Evidence is kept beside a version, and counts for it as long as policies say."""
    version = stage.version()
    stage.apply(STAGING + "evidence: [{type: test-result, name: holdout, max_age: 1h}]\n")
    tell = stage.releases.evidence

    with pytest.raises(DeniedError, match="there is none"):
        stage.releases.promote(version, to="staging")
    tell(version, type="test-result", name="holdout", passed=True, values={"f1": 0.9})
    stage.time += 1
    tell(version, type="test-result", name="holdout", passed=False)
    with pytest.raises(DeniedError, match="it failed"):
        stage.releases.promote(version, to="staging")
    with pytest.raises(InvalidInputError, match="a type and a name"):
        tell(version, type="", name="holdout", passed=True)
    stage.time += 1
    tell(version, type="test-result", name="holdout", passed=True, values={"loss": float("nan")})

    assert stage.releases.promote(version, to="staging").passed
    assert stage.logged({"evidence"}) == ["evidence"] * 3


def test_soak(stage: Stage) -> None:
    """A version soaks from the decision on that put it there."""
    version = stage.version()
    stage.apply(STAGING, PRODUCTION + "soak: {in: staging, for: 24h}\n")
    stage.releases.promote(version, to="staging")
    stage.time += 23 * HOUR

    with pytest.raises(WaitingError, match="1h more"):
        stage.releases.promote(version, to="production")
    stage.time += HOUR

    assert stage.releases.promote(version, to="production").passed


def test_registry_is_not_believed(stage: Stage) -> None:
    """An alias that somebody moved in MLflow is no stay: the ledger says who stands where."""
    first, second = stage.version(), stage.version()
    stage.apply(STAGING, PRODUCTION)
    stage.releases.promote(first, to="staging")
    stage.registry.set_alias("credit", "staging", 2)

    with pytest.raises(DeniedError, match="not in staging"):
        stage.releases.promote(second, to="production")
    told = stage.releases.status("credit")
    (drift,) = told.drift
    assert drift.startswith("MLflow shows credit/2 in staging, decided is credit/1")
    again = stage.releases.promote(first, to="staging")

    assert again.decision is not None
    assert again.decision.sequence == 0
    assert stage.aliases() == {"staging": 1}
    assert stage.releases.status("credit").drift == ()


def test_rights(stage: Stage) -> None:
    """Each verb needs its right; a refusal says which, and is logged."""
    version = stage.version()
    stage.apply(STAGING, VOTES)
    nobody = Caller(Actor("eve", verified=True), ("viewer",), frozenset({Right.READ}))
    verbs: dict[str, list[Callable[[], object]]] = {
        "release": [
            lambda: stage.releases.promote(version, to="staging", caller=nobody),
            lambda: stage.releases.archive(version, reason="no", caller=nobody),
        ],
        "approve": [
            lambda: stage.releases.approve(version, caller=nobody),
            lambda: stage.releases.reject(version, caller=nobody),
        ],
        "contribute": [
            lambda: stage.releases.evidence(version, type="t", name="n", passed=True, caller=nobody)
        ],
    }

    for right, calls in verbs.items():
        for call in calls:
            with pytest.raises(DeniedError, match=f"right to {right}, which 'eve'"):
                call()

    assert stage.logged({"promote", "approve", "reject", "evidence", "deny"}) == ["deny"] * 5


def test_clock_that_jumps_back(stage: Stage) -> None:
    """A clock before the last decision denies; what fails is rolled back all the same."""
    first, second = stage.version(), stage.version()
    stage.apply(STAGING.replace("staging", "production"))
    stage.releases.promote(first, to="production")
    stage.releases.promote(second, to="production")
    stage.time -= HOUR

    with pytest.raises(DeniedError, match="check the clocks"):
        stage.releases.promote(first, to="production")
    back = stage.releases.rollback("credit", reason="it fails")

    assert back.number == 1
    assert back.decision is not None
    assert back.decision.time == int((stage.time + HOUR) * 1000)


def test_production_is_not_demoted(stage: Stage) -> None:
    """What stands in production does not go to staging, which would leave nobody there."""
    version = stage.version()
    stage.apply(STAGING, STAGING.replace("staging", "production"))
    stage.releases.promote(version, to="production")

    with pytest.raises(DeniedError, match="left empty"):
        stage.releases.promote(version, to="staging")

    assert stage.aliases() == {"production": 1}


def test_going_back(stage: Stage) -> None:
    """Back goes to the last that stood there and is not known to be bad, never to another."""
    versions = [stage.version() for _ in range(4)]
    stage.apply(STAGING.replace("staging", "production"))
    with pytest.raises(NotFoundError, match="none stood there before"):
        stage.releases.rollback("credit", reason="try")
    for version in versions[:3]:
        stage.releases.promote(version, to="production")

    assert stage.releases.rollback("credit", reason="3 is bad").number == 2
    stage.releases.promote(versions[3], to="production")
    with pytest.raises(DeniedError, match="credit/3 was rolled back from"):
        stage.releases.rollback("credit", reason="4 is bad", to="credit/3")
    with pytest.raises(ConflictError, match="decision 2"):
        stage.releases.rollback("credit", reason="3 is bad", undoes=2)
    assert stage.releases.rollback("credit", reason="4 is bad", to="credit/1").number == 1
    with pytest.raises(DeniedError, match="did not stand in production"):
        stage.releases.rollback("credit", reason="1 is bad", to=stage.version())
    assert stage.releases.rollback("credit", reason="1 is bad").number == 2
    with pytest.raises(NotFoundError, match="rolled back from"):
        stage.releases.rollback("credit", reason="2 is bad")


def test_rollback_is_judged(stage: Stage) -> None:
    """A policy for rollbacks is asked, with where the version stood."""
    first, second = stage.version(), stage.version()
    stage.apply(STAGING.replace("staging", "production"))
    stage.releases.promote(first, to="production")
    stage.releases.promote(second, to="production")
    back = "metadata: {name: back}\ntransition: {to: production, kind: rollback}\n"
    stage.apply(back + "require: ['number = 7']\n")

    with pytest.raises(DeniedError, match=r"back, require\[0\]"):
        stage.releases.rollback("credit", reason="bad")
    stage.apply(back)

    assert stage.releases.rollback("credit", reason="bad").passed


def test_version_that_is_gone(stage: Stage) -> None:
    """What MLflow lost is shown nowhere, gone back to never, and stops nobody."""
    first, second, third = stage.version(), stage.version(), stage.version()
    stage.apply(STAGING.replace("staging", "production"))
    for version in (first, second, third):
        stage.releases.promote(version, to="production")
    stage.registry.unregister(stage.registry.resolve("models:/credit/2"))

    assert stage.releases.rollback("credit", reason="3 is bad").number == 1
    stage.registry.unregister(stage.registry.resolve("models:/credit/1"))
    assert "nobody in production" in stage.releases.status("credit").drift[0]
    fourth = stage.version()
    stage.releases.promote(fourth, to="production")

    assert stage.aliases() == {"production": fourth.number}


def test_number_that_means_another(stage: Stage) -> None:
    """An alias never points at another version that has the number by now."""
    stage.apply(STAGING)
    stage.releases.promote(stage.version(), to="staging")
    stage.registry.forget("credit")
    stage.version()
    head = stage.releases.standing("credit")["staging"]

    with pytest.raises(NotFoundError):
        stage.registry.resolve("models:/credit@staging")
    stage.releases.promote("b3:" + head.digest.raw.hex(), to="staging")

    assert stage.aliases() == {}
    assert stage.releases.status("credit").drift


def test_bytes_are_read_if_asked_for(stage: Stage) -> None:
    """A version whose bytes changed is refused where a policy asks, and read only then."""
    version = stage.version()
    stage.apply(STAGING, PRODUCTION + "integrity: {verified: true}\n")
    moved = stage.releases.promote(version, to="staging")
    for found in list(stage.store.list(layout.TREE)) + list(stage.store.list("versions/content/")):
        stage.store.put(found.key, b"something else")

    assert moved.verdicts[0].asked["verified"]["holds"] is None
    with pytest.raises(DeniedError, match=r"integrity\.verified"):
        stage.releases.promote(version, to="production")


def test_looking_is_left_out_where_it_is_in_vain(stage: Stage) -> None:
    """Nobody reads bytes or asks checks for a version that is refused anyway."""
    version = stage.version()
    stage.apply(
        STAGING + "integrity: {}\nrequire: ['number = 7']\nchecks: [{python: 'no_such:check'}]\n"
    )

    (verdict,) = stage.releases.judge(version, to="staging").verdicts
    (hopeful,) = stage.releases.judge(version, to="staging", thorough=False).verdicts

    assert Finding(**verdict.asked["verified"]).reason == "not read, as another rule denies already"
    assert verdict.asked["answers"] == []
    assert [one.rule for one in hopeful.results if one.state is not State.PASSED] == ["require[0]"]


def test_baseline_is_who_stands_there(stage: Stage) -> None:
    """Candidates are compared with the version that was decided to stand there."""
    first, second = stage.version(metrics={"f1": 0.8}), stage.version(metrics={"f1": 0.7})
    to = STAGING.replace("staging", "production")
    better = "baseline: '@production'\nrequire: ['metrics.f1 > baseline.metrics.f1 OR "
    stage.apply(to + better + "baseline.number IS NULL']\nwithout_baseline: skip\n")
    stage.releases.promote(first, to="production")
    stage.registry.set_alias("credit", "production", 2)

    with pytest.raises(DeniedError, match=r"require\[0\]") as caught:
        stage.releases.promote(second, to="production")

    assert caught.value.verdicts[0].baseline == "credit/1"


def test_status(stage: Stage) -> None:
    """A status says who stands where, what may move next, and what that waits for."""
    first, second = stage.version(), stage.version()
    stage.apply(STAGING, VOTES)
    with pytest.raises(NotFoundError):
        stage.releases.status("unknown")
    stage.releases.promote(first, to="staging")

    told = stage.releases.status("credit")

    assert [(one.stage, one.stand.number) for one in told.standing] == [("staging", 1)]
    assert [(one.label, one.to, one.state) for one in told.candidates] == [
        ("credit/1", "production", State.WAITING),
        (second.label, "staging", State.PASSED),
    ]
    assert "waits for 1 more (to-production)" in str(told)
    assert "<table>" in told._repr_html_()
    assert told.to_dict()["standing"]["staging"]["number"] == 1
    assert repr(told) == "Status('credit', staging=1)"


def test_history(stage: Stage) -> None:
    """Past decisions can be put to another policy as they were asked for."""
    good, bad = stage.version(metrics={"f1": 0.95}), stage.version(metrics={"f1": 0.85})
    policy = STAGING + "metrics: {f1: {threshold: %s, greater_is_better: true}}\n"
    stage.apply(policy % 0.8)
    stage.releases.promote(good, to="staging")
    stage.releases.promote(bad, to="staging")
    stage.apply(policy % 0.99)
    with pytest.raises(DeniedError):
        stage.releases.promote(good, to="staging")

    history = list(stage.releases.history("credit", policy="to-staging", to="staging"))
    found = backtest(read(policy % 0.9), history)

    assert [past.allowed for past in history] == [True, True, False]
    assert [past.candidate.label for past in history] == ["credit/1", "credit/2", "credit/1"]
    assert repr(found) == "Backtest(3 decisions, 1 would have been refused, 1 allowed)"
    assert stage.releases.models() == ("credit",)
