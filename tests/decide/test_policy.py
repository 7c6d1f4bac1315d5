"""What is missing denies, what people and time can add waits, and order decides nothing."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_vault.decide.expression import SEARCH, Type
from mlflow_vault.decide.policy import (
    Answer,
    Approval,
    Context,
    Evidence,
    Finding,
    Policy,
    State,
    Stay,
    Subject,
    Verdict,
    judge,
)
from mlflow_vault.decide.policy.vocabulary import POLICY
from mlflow_vault.format import canonical

HOUR: Final = 3_600_000
NOW: Final = 1_770_000_000_000
OURS: Final = "b3:" + "1" * 64
OTHER: Final = "b3:" + "2" * 64
SIGNATURE: Final = {"inputs": [{"type": "double", "name": "x", "required": True}], "outputs": None}
MADE: Final = {"python": "3.11.7", "packages": {"numpy": "2.4.6"}}

RULES: Final[dict[str, Any]] = {
    "metadata": {"name": "fraud-production", "models": ["fraud"]},
    "transition": {"from": "staging", "to": "production"},
    "metrics": {
        "f1": {"threshold": 0.9, "min_absolute_change": 0.01, "greater_is_better": True},
        "loss": {"threshold": 0.5, "greater_is_better": False},
    },
    "require": [
        "metrics.auc > baseline.metrics.auc - 0.1",
        "tags.reviewed = 'yes'",
        "version.verified AND version.signed",
        "evidence.holdout.age < 2d AND evidence.holdout.score > 0.5",
        "environment.python LIKE '3.11%'",
    ],
    "signature": {},
    "environment": {},
    "integrity": {"verified": True, "signed": True},
    "evidence": [{"type": "test-result", "name": "holdout", "max_age": "7d"}],
    "checks": [{"python": "acme.gates:latency", "args": {"p99_ms": 20}}],
    "approvals": {"min": 2, "roles": ["risk", "lead"], "expires": "72h", "mfa": True},
    "soak": {"in": "staging", "for": "24h"},
}


def policy(**changes: Any) -> Policy:
    """Return the policy of these tests, with *changes*; None leaves a rule out."""
    rules = {key: value for key, value in {**RULES, **changes}.items() if value is not None}
    return Policy.model_validate(rules)


def version(digest: str = OURS, **facts: Any) -> Subject:
    """Return a version that stands in staging, with *facts* instead of good ones."""
    metrics = facts.pop("metrics", {"f1": 0.95, "loss": 0.1, "auc": 0.9})
    values = {SEARCH.field(f"metrics.{name}"): value for name, value in metrics.items()}
    values[SEARCH.field("tags.reviewed")] = "yes"
    values[SEARCH.field("stage")] = facts.pop("stage", ("staging",))
    known = {"metrics": metrics, "signature": SIGNATURE, "environment": MADE, **facts}
    return Subject("fraud/3", digest, "fraud", ("ann",), NOW - 50 * HOUR, known, values)


def before() -> Subject:
    """Return the version in production."""
    return version(OTHER, metrics={"f1": 0.9, "loss": 0.2, "auc": 0.9})


def approval(actor: str, asked: Policy, **changes: Any) -> Approval:
    """Return an approval that counts, with *changes*."""
    one = Approval(actor, OURS, str(asked.digest), NOW - HOUR, ("risk",), True, True)  # noqa: FBT003
    return replace(one, **changes)


def context(asked: Policy, **changes: Any) -> Context:
    """Return what lets `version` pass, with *changes*."""
    known = Context(
        now=NOW,
        requester="dan",
        verified=Finding(holds=True),
        signed=Finding(holds=True),
        evidence=(
            Evidence("test-result", "holdout", OURS, NOW - HOUR, passed=True, values={"score": 1}),
        ),
        approvals=(approval("bob", asked), approval("cat", asked)),
        stays=(Stay("staging", NOW - 25 * HOUR),),
        answers=tuple(Answer(check.key, passed=True) for check in asked.checks),
    )
    return replace(known, **changes)


def said(verdict: Verdict, rule: str) -> tuple[State, str]:
    """Return what one rule said."""
    return next((one.state, one.reason) for one in verdict.results if one.rule == rule)


def test_all_is_well() -> None:
    """A version for which every rule is met passes, and the verdict lists every rule."""
    asked = policy()

    verdict = judge(asked, version(), before(), context(asked))

    assert verdict.passed
    assert verdict.exit_code == 0
    assert not verdict.reasons
    assert len(verdict.results) == 18


DENYING: Final[dict[str, tuple[dict[str, Any], dict[str, Any], str]]] = {
    "a metric is missing": ({"metrics": {"loss": 0.1, "auc": 0.9}}, {}, "metrics.f1"),
    "NaN": ({"metrics": {"f1": "NaN", "loss": 0.1, "auc": 0.9}}, {}, "metrics.f1"),
    "-inf where lower is better": (
        {"metrics": {"f1": 0.95, "loss": "-Infinity", "auc": 0.9}},
        {},
        "metrics.loss",
    ),
    "a condition's metric is missing": ({"metrics": {"f1": 0.95, "loss": 0.1}}, {}, "require[0]"),
    "a metric is text": ({"metrics": {"f1": "0.95", "loss": 0.1, "auc": 1}}, {}, "metrics.f1"),
    "no signature": ({"signature": None}, {}, "signature"),
    "no environment": ({"environment": {}}, {}, "environment"),
    "not verified": ({}, {"verified": Finding(holds=False)}, "integrity.verified"),
    "nobody looked": ({}, {"signed": Finding(None)}, "integrity.signed"),
    "no evidence": ({}, {"evidence": ()}, "evidence.holdout"),
    "a check was not asked": ({}, {"answers": ()}, "checks.acme.gates:latency"),
    "it is not in staging any more": (
        {},
        {"stays": (Stay("staging", NOW - 99 * HOUR, NOW - HOUR),)},
        "soak",
    ),
    "it only stood there once": (
        {"stage": ()},
        {},
        "soak",
    ),
    "a stay in the future": ({}, {"stays": (Stay("staging", NOW + HOUR),)}, "soak"),
    "no time": ({}, {"now": 0}, "clock"),
}


@pytest.mark.parametrize("case", DENYING)
def test_denied(case: str) -> None:
    """Whatever is missing, not a number, broken or in the future denies, by its rule."""
    facts, changes, rule = DENYING[case]
    asked = policy()

    verdict = judge(asked, version(**facts), before(), context(asked, **changes))

    assert verdict.denied
    assert verdict.exit_code == 1
    assert said(verdict, rule)[0] is State.DENIED
    assert any(reason.startswith(f"fraud-production, {rule}: ") for reason in verdict.reasons)


def test_waiting() -> None:
    """Time and people make it wait, and it says what is missing."""
    asked = policy()
    known = context(asked, approvals=(), stays=(Stay("staging", NOW - 23 * HOUR),))

    verdict = judge(asked, version(), before(), known)

    assert verdict.waiting
    assert verdict.exit_code == 3
    lacking = {one.rule: one.missing for one in verdict.results if one.missing}
    assert lacking == {"soak": ("1h more",), "approvals": ("2 more by risk or lead",)}


def test_denied_beats_waiting() -> None:
    """What is denied does not look as if waiting helped."""
    asked = policy()

    assert judge(asked, version(metrics={}), before(), context(asked, approvals=())).denied


@pytest.mark.parametrize("mode", ["warn", "dry_run"])
def test_modes(mode: str) -> None:
    """A policy that is not enforced says the same and blocks nothing."""
    asked = policy(mode=mode)

    verdict = judge(asked, version(metrics={}), None, context(asked))

    assert verdict.denied
    assert not verdict.blocks
    assert verdict.exit_code == 0
    assert f"{mode}: nothing is blocked" in str(verdict)


def test_first_version() -> None:
    """While there is no baseline, comparisons deny, or are skipped where the policy says so."""
    strict = policy(require=None)
    lenient = policy(require=["version.signature_compatible"], without_baseline="skip")

    denied = judge(strict, version(), None, context(strict))
    passed = judge(lenient, version(), None, context(lenient))

    broken = {one.rule for one in denied.results if one.state is State.DENIED}
    assert broken == {"metrics.f1", "signature", "environment"}
    assert passed.passed
    worse = version(metrics={"f1": 0.89, "loss": 0.1, "auc": 0.9})
    assert judge(lenient, worse, None, context(lenient)).denied


def test_another_model() -> None:
    """A policy is no policy for models that it does not name."""
    asked = policy(metadata={"name": "x", "models": ["credit-*"]})

    assert said(judge(asked, version(), before(), context(asked)), "models")[0] is State.DENIED


def test_transitions() -> None:
    """A version comes from where the policy says; a rollback goes back to where it stood."""
    onward = policy(transition={"from": ["none", "archived"], "to": "production"})
    back = policy(transition={"to": "production", "kind": "rollback"})
    stood = (Stay("production", NOW - 90 * HOUR, NOW - 80 * HOUR), *context(back).stays)

    assert said(judge(onward, version(), before(), context(onward)), "transition")[1] == (
        "it stands in staging, not in none or archived"
    )
    assert judge(back, version(), before(), context(back)).denied
    assert judge(back, version(), before(), context(back, stays=stood)).passed


def test_latest_evidence() -> None:
    """The latest evidence about the version itself counts; of two at once the worse."""
    asked = policy(require=None)
    good = context(asked).evidence[0]
    later = replace(good, time=NOW - HOUR // 2, passed=False)
    table = [
        ((good, later), State.DENIED, "it failed"),
        ((good, replace(later, digest=OTHER)), State.PASSED, "one is about another version"),
        ((good, replace(later, time=NOW + HOUR)), State.PASSED, "1h in the future"),
        ((good, replace(good, passed=False)), State.DENIED, "it failed"),
        ((replace(good, time=NOW - 200 * HOUR),), State.DENIED, "8d 8h old"),
        ((replace(good, passed=None),), State.DENIED, "it does not say"),
        ((replace(good, type="opinion"),), State.DENIED, "there is none"),
    ]

    for evidence, state, words in table:
        for order in (evidence, evidence[::-1]):
            verdict = judge(asked, version(), before(), context(asked, evidence=order))

            assert said(verdict, "evidence.holdout")[0] is state
            assert words in said(verdict, "evidence.holdout")[1]


@pytest.mark.parametrize("passed", [False, None])
def test_worst_answer(passed: bool | None) -> None:  # noqa: FBT001 - three values
    """A check that said no, or nothing, denies, whatever it said besides."""
    asked = policy()
    key = asked.checks[0].key
    answers = (Answer(key, passed=True), Answer(key, passed, "too slow"))

    verdict = judge(asked, version(), before(), context(asked, answers=answers))

    assert said(verdict, "checks.acme.gates:latency") == (State.DENIED, "too slow")


def test_clock() -> None:
    """A version from the future is denied and says how far; a minute is what clocks differ."""
    asked = policy()
    ahead = replace(version(), created=NOW + 2 * HOUR)
    close = replace(version(), created=NOW + 30_000)

    verdict = judge(asked, ahead, before(), context(asked))

    assert said(verdict, "clock") == (
        State.DENIED,
        "created is 2h in the future: check the clocks",
    )
    assert judge(asked, close, before(), context(asked)).passed


def test_seen() -> None:
    """A verdict is stored with every value that its rules looked at, in one spelling."""
    asked = policy()
    verdict = judge(asked, version(metrics={"f1": "NaN"}), before(), context(asked))

    told = canonical.read(verdict.to_bytes())

    assert told == verdict.to_dict()
    seen = {one["rule"]: one["seen"] for one in told["results"]}
    assert seen["metrics.f1"] == {"metrics.f1": "NaN", "baseline.metrics.f1": 0.9}
    assert seen["require[0]"] == {"metrics.auc": None, "baseline.metrics.auc": 0.9}
    assert seen["signature"]["baseline.signature"] == SIGNATURE
    assert [one["actor"] for one in seen["approvals"]["counted"]] == ["bob", "cat"]
    assert told["policy_digest"] == str(asked.digest)


def test_read_back() -> None:
    """A verdict that was kept is read back as it was, with all that was given."""
    asked = policy()
    verdict = judge(asked, version(), before(), context(asked, environment=MADE))

    again = Verdict.from_dict(canonical.read(verdict.to_bytes()))

    assert again.to_bytes() == verdict.to_bytes()
    assert (again.state, again.reasons) == (verdict.state, verdict.reasons)
    assert {"evidence", "approvals", "stays", "answers"} <= again.asked.keys()


def test_hostile_names() -> None:
    """Names cannot write HTML or turn a terminal's colours."""
    asked = policy(require=["tags.`<b>` = '\x1b[31m'"])
    verdict = judge(asked, replace(version(), label="<i>\x1b"), None, context(asked))

    assert "<b>" not in verdict._repr_html_()
    assert "<i>" not in verdict._repr_html_()
    assert "\x1b" not in str(verdict)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_missing_denies(data: st.DataObject) -> None:
    """Whichever input is taken away or is no number, the version does not pass."""
    asked = policy()
    metrics: dict[str, Any] = {"f1": 0.95, "loss": 0.1, "auc": 0.9}
    name = data.draw(st.sampled_from(sorted(metrics)))
    bad = data.draw(st.sampled_from([None, "NaN", "Infinity", "-Infinity", float("nan"), "x"]))
    of_baseline = data.draw(st.booleans()) and name != "loss"
    metrics[name] = bad
    one = version(metrics=metrics) if not of_baseline else version()
    other = version(OTHER, metrics=metrics) if of_baseline else before()

    verdict = judge(asked, one, other, context(asked))

    assert verdict.denied


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_order(seed: int, spoilt: bool) -> None:  # noqa: FBT001 - drawn
    """The same question has one answer, in whichever order rules and facts come."""
    rules = {key: RULES[key] for key in RULES}
    chance = random.Random(seed)  # noqa: S311 - no secret
    rules["require"] = chance.sample(RULES["require"], len(RULES["require"]))
    rules["metrics"] = dict(chance.sample(sorted(RULES["metrics"].items()), 2))
    asked, shuffled = policy(), Policy.model_validate(rules)
    known = context(asked, signed=Finding(holds=not spoilt))
    mixed = context(shuffled, signed=Finding(holds=not spoilt))
    mixed = replace(mixed, approvals=mixed.approvals[::-1], evidence=mixed.evidence * 2)

    first = judge(asked, version(), before(), known)
    second = judge(shuffled, version(), before(), mixed)

    assert first == judge(asked, version(), before(), known)
    assert first.state is second.state
    assert {(one.text, one.state) for one in first.results} == {
        (one.text, one.state) for one in second.results
    }


def test_evidence_names() -> None:
    """Evidence is asked by its name, whatever it is; its facts are known by their kind."""
    written = ["evidence.holdout.age", "evidence.`a-b.c`.age", "evidence.`a b.score`"]

    fields = [POLICY.field(name) for name in written]

    assert [(one.key, one.type) for one in fields] == [
        ("holdout.age", Type.DURATION),
        ("a-b.c.age", Type.DURATION),
        ("a b.score", Type.LOOSE),
    ]
    assert [POLICY.field(str(one)) for one in fields] == fields


def test_soak() -> None:
    """It counts from the latest beginning, and what has stood for exactly that long has soaked."""
    asked = policy()
    table = {
        (Stay("staging", NOW - 24 * HOUR),): State.PASSED,
        (Stay("staging", NOW - 24 * HOUR + 1),): State.WAITING,
        (Stay("staging", NOW - 90 * HOUR), Stay("staging", NOW - HOUR)): State.WAITING,
        (Stay("production", NOW - 90 * HOUR),): State.DENIED,
    }

    for stays, state in table.items():
        verdict = judge(asked, version(), before(), context(asked, stays=stays))

        assert said(verdict, "soak")[0] is state
