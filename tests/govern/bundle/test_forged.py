"""Decisions that were written past the library: what they claim to have asked, they had to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from promoted import MODEL, Promoted, decide, log_signer, promoted

from mlflow_vault.decide.expression import Field
from mlflow_vault.decide.policy import Context, Evidence, Policy, Subject, judge
from mlflow_vault.format.canonical import read, spell
from mlflow_vault.govern.bundle.claims import Standing
from mlflow_vault.govern.bundle.verifying import verify_bundle

if TYPE_CHECKING:
    from mlflow_vault.govern.bundle.claims import Proof

_POLICY: Final[dict[str, Any]] = {
    "kind": "PromotionPolicy",
    "metadata": {"name": "tested", "models": [MODEL]},
    "transition": {"to": "production"},
    "metrics": {"accuracy": {"threshold": 0.9, "greater_is_better": True}},
    "require": ["params.seed = '1'"],
    "evidence": [{"type": "test-result", "name": "holdout", "max_age": "7d"}],
}
_DAY: Final = 86_400_000


def _verdict(
    made: Promoted, policy: Policy, *, age: int = 0, stage: str = "production"
) -> dict[str, Any]:
    """What the policy says if everything is as it should be, that many milliseconds ago."""
    version, now = made.version, int(made.ground.world.now() * 1000) - age
    digest, stood = str(version.digest), {Field("attribute", "stage"): (stage,)}
    candidate = Subject(version.label, digest, MODEL, ("ann",), version.created - age, values=stood)
    result = Evidence("test-result", "holdout", digest, now, passed=True)
    told = judge(policy, candidate, None, Context(now, "rel", evidence=(result,))).to_dict()
    for one in told["results"]:
        one["state"] = "passed"
    return {**told, "state": "passed", "blocks": False}


def _proof(change: Any = None, *, age: int = 0, stage: str = "production", **policy: Any) -> Proof:
    """Verify a promotion whose verdict somebody changed, by a policy of their own."""
    made = promoted()
    asked = Policy.model_validate(_POLICY | policy)
    made.vault.policies.apply(asked, "ada")
    verdict = _verdict(made, asked, age=age, stage=stage)
    decide(made, change(verdict) if change else verdict)
    made.vault.audit.checkpoint(log_signer())
    return verify_bundle(made.bundle().to_bytes(), [log_signer().public])


def _without(*rules: str) -> Any:
    def change(verdict: dict[str, Any]) -> dict[str, Any]:
        kept = [one for one in verdict["results"] if one["rule"] not in rules]
        assert len(kept) == len(verdict["results"]) - len(rules)
        return {**verdict, "results": kept}

    return change


def _asking(**changes: Any) -> Any:
    return lambda verdict: {**verdict, "asked": {**verdict["asked"], **changes}}


def test_as_it_is() -> None:
    """What nobody changed holds."""
    proof = _proof()

    assert proof.holds, str(proof)


@pytest.mark.parametrize("rule", ["metrics.accuracy", "require[0]", "transition"])
def test_rule_left_out(rule: str) -> None:
    """No rule of the policy is left out, whether or not it can be judged again."""
    assert _proof(_without(rule)).exit_code == 4


def test_another_transition() -> None:
    """What a policy for staging allows does not lead to production."""
    assert _proof(transition={"to": "staging"}).exit_code == 4
    assert _proof(transition={"to": "production", "kind": "rollback"}).exit_code == 4


def test_old_verdict() -> None:
    """What could be said then cannot be said of a decision long after, nor before."""
    assert _proof(age=_DAY // 2).holds
    assert _proof(age=2 * _DAY).exit_code == 4
    assert _proof(age=-_DAY).exit_code == 4


def test_another_requester() -> None:
    """Who asks is who decides, so that nobody approves what they ask for under another name."""
    assert _proof(_asking(requester="somebody")).exit_code == 4


@pytest.mark.parametrize("stage", ["staging", "none", "archived"])
def test_where_it_stood(stage: str) -> None:
    """Where the version stood is what the ledger says: in production, by the decision before."""
    assert _proof(stage=stage).exit_code == 4


def test_nothing_told() -> None:
    """A verdict that does not tell what it saw, or no rule at all, is not believed."""

    def bare(verdict: dict[str, Any]) -> dict[str, Any]:
        return {**verdict, "asked": {}, "results": []}

    def lax(verdict: dict[str, Any]) -> dict[str, Any]:
        return {**bare(verdict), "mode": "warn"}

    found = _proof(bare).about("verdict tested")

    assert found is not None
    assert found.standing is Standing.MISSING
    assert _proof(lax).exit_code == 4


@pytest.mark.parametrize("name", ["policy", "policy_digest", "mode", "state", "results", "asked"])
@pytest.mark.parametrize("value", [[], {}, [[]], {"a": []}, 1, True, None, ""])
def test_odd_fields(stored: bytes, name: str, value: object) -> None:
    """A field of another kind is told, and nobody falls over it."""
    body = read(stored)
    decision = read(body["decision"].encode())
    decision["verdicts"][0][name] = value
    body["decision"] = spell(decision).decode()

    assert verify_bundle(spell(body), [log_signer().public]).exit_code == 4
