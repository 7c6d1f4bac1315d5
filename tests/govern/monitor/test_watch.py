"""A version that goes on failing is rolled back once, people are told, and little is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_vault.decide.policy.evidence import Subject
from mlflow_vault.decide.policy.health.judge import Condition, Sample
from mlflow_vault.errors import NotFoundError, StorageError
from mlflow_vault.format.decision import Stand
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Actor
from mlflow_vault.format.statement import Statement
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.monitor.observing import Watched
from mlflow_vault.govern.monitor.prometheus import URL
from mlflow_vault.govern.monitor.tallies import Memory, body_of, recall
from mlflow_vault.govern.policies import read
from mlflow_vault.testing.receiver import receiving
from mlflow_vault.testing.vaults import objects, store_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow_vault.govern.monitor.report import Looked, Report
    from mlflow_vault.testing.receiver import Receiver

Ward = Any  # conftest's
POLICY: Final = """
metadata: {name: credit-production}
transition: {to: production}
health:
  rules: [{name: auc, metric: live/auc, experiment: live, at_least: 0.7}]
  delay: 1m
on_failure: {rollback_to: last_healthy}
"""
QUIET: Final = """
metadata: {name: credit-production}
transition: {to: production}
health:
  rules: [{name: auc, metric: live/auc, experiment: live, at_least: 0.7, max_age: 1h}]
  failure_limit: 2
  inconclusive_limit: 2
  delay: 0s
on_failure: {alert: webhook}
"""


def only(report: Report) -> Looked:
    """The one thing that was looked at."""
    (found,) = report.looks
    return found


def fail(ward: Ward, times: int = 3) -> Report:
    """Look, as a metric is logged that is too low, again and again."""
    for _ in range(times):
        ward.log(0.5)
        report: Report = ward.look()
    return report


def told(receiver: Receiver) -> list[str]:
    """Which events somebody was alerted of."""
    return [json.loads(sent.body)["event"] for sent in receiver.sent]


def test_a_failing_version(ward: Ward, receiver: Receiver) -> None:
    """It goes at the third failure in a row, at once; then people are told."""
    ward.log(0.9)
    looks = [ward.look()]
    for _ in range(3):
        ward.log(0.5)
        looks.append(ward.look())

    assert [look.exit_code for look in looks] == [0, 1, 1, 1]
    assert [only(look).event for look in looks] == ["", "", "", "rolled_back"]
    assert only(looks[-1]).outcome == "rolled back to credit/1"
    assert ward.standing() == 1
    assert told(receiver) == ["rolled_back"]
    (decided,) = ward.logged("roll_back")
    assert "credit-production says that credit/2 fails: auc: " in decided["reason"]
    kept = [one.body for one in ward.kept(2)]
    assert [body["look"] for body in kept] == [1, 2, 3, 4, 5]
    assert [body["rules"]["auc"]["failures"] for body in kept] == [0, 1, 2, 3, 3]
    assert [body["condition"] for body in kept] == ["healthy", *["failing"] * 4]
    assert kept[-1]["alerts"] == {"rolled_back": {"webhook": True}}


def test_its_successor(ward: Ward) -> None:
    """What was logged while the failing version stood there is not held against the next one."""
    fail(ward)

    after = [ward.look(minutes=0.5), ward.look(minutes=2)]

    assert [only(look).condition for look in after] == [Condition.INCONCLUSIVE] * 2
    assert "it is judged after 1m" in only(after[0]).outcome
    assert "before this version counted" in only(after[1]).observations[0].reason
    assert ward.standing() == 1


def test_what_was_logged_too_early(ward: Ward) -> None:
    """A value that was logged before a version counts never does, however late it is looked at."""
    number = ward.promote()
    ward.time += 30
    ward.log(0.1)

    report = ward.look(minutes=5)

    assert only(report).number == number
    assert only(report).condition is Condition.INCONCLUSIVE
    assert "is from before this version counted" in only(report).observations[0].reason


def test_healthy_for_long(ward: Ward) -> None:
    """A version that stays healthy leaves one statement, however often it is looked at."""
    for _ in range(30):
        ward.log(0.9)
        report = ward.look()

    assert (report.exit_code, report.condition) == (0, Condition.HEALTHY)
    assert [one.body["rules"]["auc"]["healthy"] for one in ward.kept(2)] == [True]


def test_failing_for_long(ward: Ward, receiver: Receiver) -> None:
    """A version that stays failing, and is not rolled back, is told of once and leaves little."""
    ward.apply(QUIET)

    report = fail(ward, 20)

    assert only(report).event == "failing"
    assert report.exit_code == 1
    assert told(receiver) == ["failing"]
    assert len(ward.kept(2)) == 3
    assert ward.standing() == 2


def test_again(ward: Ward, receiver: Receiver) -> None:
    """Once it was healthy between, it is told of again."""
    ward.apply(QUIET)

    fail(ward, 3)
    ward.log(0.9)
    ward.look()
    fail(ward, 3)

    assert told(receiver) == ["failing", "failing"]


def test_one_sample(ward: Ward) -> None:
    """One value that was logged once is one failure, however often it is looked at."""
    ward.log(0.5)
    looks = [ward.look() for _ in range(6)]

    assert [look.exit_code for look in looks] == [1] * 6
    assert ward.standing() == 2
    assert len(ward.kept(2)) == 1


def test_in_a_row(ward: Ward) -> None:
    """A healthy look starts the count anew; one that cannot tell does not."""
    fail(ward, 2)
    ward.log(0.9)
    ward.look()
    fail(ward, 2)
    assert ward.standing() == 2
    ward.registry.measured.clear()
    ward.look()
    fail(ward, 1)

    assert ward.standing() == 1


def unreachable(*_: object) -> Sample:
    """Be a tracking server that is away."""
    raise StorageError("MLflow is away")


MISSING: Final[dict[str, Callable[[Ward], object]]] = {
    "missing": lambda ward: ward.registry.measured.clear(),
    "nan": lambda ward: ward.log(float("nan")),
    "infinite": lambda ward: ward.log(float("-inf")),
    "stale": lambda ward: setattr(ward, "time", ward.time + 7200),
    "future": lambda ward: setattr(ward, "time", ward.time - 120),
    "unreachable": lambda ward: setattr(ward.registry, "metric", unreachable),
}


@pytest.mark.parametrize("case", MISSING)
def test_inconclusive(case: str, ward: Ward, receiver: Receiver) -> None:
    """What is missing, stale, no number or out of reach is told, and nobody is rolled back."""
    ward.time += 3600
    ward.log(0.1)

    looks = []
    for _ in range(5):
        MISSING[case](ward)
        looks.append(ward.look(minutes=0.1))

    assert {look.exit_code for look in looks} == {3}
    assert [only(look).event for look in looks] == ["", *["inconclusive"] * 4]
    assert told(receiver) == ["inconclusive"]
    assert ward.standing() == 2
    assert len(ward.kept(2)) == 3


def test_a_clock_before_the_decision(ward: Ward) -> None:
    """A clock that is behind the decision judges nothing, and says so."""
    ward.log(0.1)
    ward.time -= 7200

    report = ward.look()

    assert report.exit_code == 3
    assert "check the clocks" in only(report).outcome
    assert ward.kept(2) == []


def test_modes(ward: Ward, receiver: Receiver) -> None:
    """`warn` tells people and moves nothing; `dry_run` only says what it sees."""
    text = QUIET.replace("alert", "rollback_to: last_healthy, alert")
    ward.apply(f"mode: warn\n{text}")
    warned = fail(ward, 2)
    ward.apply(f"mode: dry_run\n{text}")
    before = len(ward.kept(2))
    dry = fail(ward, 4)

    assert (only(warned).event, only(warned).outcome) == ("failing", "warn: nothing is rolled back")
    assert (only(dry).event, dry.exit_code) == ("", 1)
    assert "dry_run" in only(dry).outcome
    assert told(receiver) == ["failing"]
    assert len(ward.kept(2)) == before
    assert ward.standing() == 2


def test_staging(ward: Ward, receiver: Receiver) -> None:
    """A policy for staging watches what stands in staging."""
    ward.apply(QUIET.replace("-production", "-staging").replace("to: production", "to: staging"))
    number = ward.promote(to="staging")

    report = fail(ward, 2)

    assert {(one.number, one.stage, one.event) for one in report.looks} == {
        (number, "staging", "failing"),
        (2, "production", ""),
    }
    assert told(receiver) == ["failing"]


def test_nothing_to_go_back_to(ward: Ward, receiver: Receiver) -> None:
    """Where no healthy version stood before, that is told, and everything stays."""
    fail(ward)
    ward.time += 120

    report = fail(ward)

    assert only(report).event == "rollback_failed"
    assert "there is no healthy version of credit to go back to" in only(report).outcome
    assert told(receiver) == ["rolled_back", "rollback_failed"]
    assert ward.standing() == 1


def test_denied(ward: Ward, receiver: Receiver) -> None:
    """A policy for rollbacks that denies is heeded, and told."""
    ward.apply(
        "metadata: {name: frozen}\ntransition: {to: production, kind: rollback}\n"
        "require: \"tags.cleared = 'yes'\"\n"
    )

    report = fail(ward)
    later = [fail(ward, 10), ward.look(minutes=5)]

    assert only(report).event == "rollback_failed"
    assert "frozen, require[0]" in only(report).outcome
    assert "a rollback was refused 10m ago: it is asked for every 15m" in only(later[0]).outcome
    assert "frozen, require[0]" in only(later[1]).outcome
    assert told(receiver) == ["rollback_failed"]
    assert len(ward.logged("deny")) == 2
    assert ward.standing() == 2


def test_mlflow_does_not_show_it(ward: Ward, receiver: Receiver) -> None:
    """A rollback that is decided counts, though MLflow fails to show it; the next look mends it."""
    show = ward.registry.set_alias
    ward.registry.set_alias = unreachable

    report = fail(ward)
    ward.registry.set_alias = show
    ward.look(minutes=0.1)

    assert only(report).event == "rolled_back"
    assert only(report).outcome.startswith("rolled back to credit/1; but: ")
    assert told(receiver) == ["rolled_back"]
    assert ward.standing() == 1


def test_undelivered(ward: Ward, receiver: Receiver) -> None:
    """An alert that reaches nobody blocks no rollback; it is told, and in the audit log."""
    receiver.answer(500)

    report = fail(ward)

    assert ward.standing() == 1
    assert only(report).event == "rolled_back"
    assert report.exit_code == 1
    (problem,) = only(report).problems
    assert problem == f"webhook was not alerted: {receiver.url} answered 500; tried 2 times"
    (noted,) = ward.logged("alert")
    assert noted["undelivered"] == {"webhook": f"{receiver.url} answered 500; tried 2 times"}


def test_nobody_knows_that_nobody_can_say(ward: Ward, receiver: Receiver) -> None:
    """An alert that reaches nobody is an exit code of 1, whatever it was about."""
    receiver.answer(404)

    looks = [ward.look(), ward.look()]

    assert [look.exit_code for look in looks] == [3, 1]
    assert looks[1].condition is Condition.INCONCLUSIVE


def test_delivered_later(ward: Ward, receiver: Receiver) -> None:
    """While it goes on failing an alert is tried at each look; the log tells it once."""
    ward.apply(QUIET)
    receiver.answer(404)
    looks = [fail(ward, 2), fail(ward, 1)]
    receiver.answer(200)
    looks += [fail(ward, 1), fail(ward, 1)]

    assert [bool(only(look).problems) for look in looks] == [True, True, False, False]
    assert len(receiver.sent) == 3
    assert len(ward.logged("alert")) == 1
    assert ward.kept(2)[-1].body["alerts"] == {"failing": {"webhook": True}}


def test_broken_targets(ward: Ward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of targets that is wrong is told at every look, and blocks no rollback."""
    (tmp_path / "alerts.yaml").write_text("pager: {url: 'https://x/hunter2'}")
    monkeypatch.setenv("MLFLOW_VAULT_ALERTS", str(tmp_path / "alerts.yaml"))
    for _ in range(3):
        ward.log(0.5)
        ward.time += 60
        report = ward.vault.monitor("credit")

    assert "pager: Extra inputs" in report.problems[0]
    assert "hunter2" not in str(report)
    assert only(report).event == "rolled_back"
    assert ward.standing() == 1


def test_two_at_once(ward: Ward, receiver: Receiver) -> None:
    """Of two monitors one rolls back; the other is told, alerts nobody, and moves nothing."""
    fail(ward, 2)
    ward.log(0.5)
    asked = ward.registry.metric
    others = []

    def while_the_first_looks(*question: Any) -> Sample:
        ward.registry.metric = asked
        others.append(ward.look(minutes=0))
        found: Sample = asked(*question)
        return found

    ward.registry.metric = while_the_first_looks
    report = ward.look()

    assert [only(one).event for one in (*others, report)] == ["rolled_back", "lost"]
    assert "somebody else was first" in only(report).outcome
    assert report.exit_code == 1
    assert told(receiver) == ["rolled_back"]
    assert len(ward.logged("roll_back")) == 1
    assert ward.standing() == 1


def test_promoted_meanwhile(ward: Ward) -> None:
    """A version that was replaced while the monitor looked is not rolled back from."""
    fail(ward, 2)
    ward.log(0.5)
    asked = ward.registry.metric

    def while_it_looks(*question: Any) -> Sample:
        ward.registry.metric = asked
        ward.promote()
        found: Sample = asked(*question)
        return found

    ward.registry.metric = while_it_looks
    report = ward.look()

    assert only(report).event == "lost"
    assert ward.standing() == 3
    assert ward.logged("roll_back") == []


def test_two_policies(ward: Ward, receiver: Receiver) -> None:
    """Each policy counts for itself; once one rolled back, the others are asked another time."""
    ward.apply(POLICY.replace("credit-production", "zeal"))
    ward.log(0.9)
    both = ward.look()

    report = fail(ward)

    assert [one.policy for one in both.looks] == ["credit-production", "zeal"]
    assert [one.policy for one in report.looks] == ["credit-production"]
    assert told(receiver) == ["rolled_back"]
    assert len(ward.kept(2)) == 1 + 3 + 1 + 1 + 2


def test_counted_anew(ward: Ward) -> None:
    """Another policy counts anew, and so does another stay of the same version."""
    fail(ward, 2)
    ward.apply(POLICY)
    fail(ward, 2)
    assert ward.standing() == 2
    vault = ward.vault
    vault.promote("models:/credit/1", to="production")
    vault.promote("models:/credit/2", to="production")
    ward.time += 120
    fail(ward, 2)

    assert ward.standing() == 2
    fail(ward, 1)
    assert ward.standing() == 1


def test_damaged_memory(ward: Ward) -> None:
    """A model whose statements cannot be read is a problem; the others are looked at."""
    ward.promote("credit-other")
    ward.time += 120
    ward.log(0.9)
    ward.look()
    key = ward.kept(2)[0].key
    ward.store = store_of({**objects(ward.store), key: b"{}"})

    report = ward.look()

    assert [one.model for one in report.looks] == ["credit-other"]
    assert f"credit cannot be looked at: {key} is damaged" in report.problems[0]
    assert report.exit_code == 3


def test_names(ward: Ward) -> None:
    """One model is looked at by its name; one that no policy watches is an error."""
    long = "credit-" + "x" * 150 + "Y" * 40
    ward.promote(long)
    ward.apply("metadata: {name: fraud, models: fraud}\ntransition: {to: production}\n")
    ward.promote("fraud")
    ward.time += 120
    ward.log(0.9)

    assert [one.model for one in ward.look(long).looks] == [long]
    assert sorted(one.model for one in ward.look().looks) == ["credit", long]
    with pytest.raises(NotFoundError, match="no policy in force has health rules for 'fraud'"):
        ward.look("fraud")


GATE: Final = """
def drift(candidate, baseline, *, limit):
    assert baseline is None
    assert candidate["stages"] == ["production"]
    value = candidate["facts"]["metrics"]["auc"]
    return value > limit, f"{value} against {limit}"
def raises(candidate, baseline):
    raise RuntimeError("no data")
"""


def test_sources(
    ward: Ward, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow, Prometheus and functions are asked for real, and for this very version."""
    (tmp_path / "watching.py").write_text(GATE)
    monkeypatch.chdir(tmp_path)
    ward.apply("""
metadata: {name: credit-production}
transition: {to: production}
health:
  delay: 0s
  rules:
    - {name: own, metric: live/auc, require: "value >= metrics.auc - 0.05"}
    - {name: up, prometheus: 'errors{model="$model",version="$number"}', at_most: 0.1}
    - {name: drift, python: "watching:drift", args: {limit: 0.5}}
    - {name: raises, python: "watching:raises"}
""")
    number = ward.promote(metrics={"auc": 0.9})
    ward.time += 60
    ward.registry.measured[f"models:/credit/{number}", "live/auc"] = Sample(
        0.8, int(ward.time * 1000)
    )
    with receiving() as prometheus:
        data = {"resultType": "scalar", "result": [1.0, "0.05"]}
        prometheus.answer(200, body=json.dumps({"status": "success", "data": data}).encode())

        report = ward.look(environment={URL: prometheus.url})
        nowhere = ward.look()

    said = {one.rule: (one.condition.value, one.reason) for one in only(report).observations}
    assert said["own"] == ("failing", "value is 0.8; metrics.auc is 0.9")
    assert said["up"] == ("healthy", "0.05")
    assert said["drift"] == ("healthy", "0.9 against 0.5")
    assert said["raises"][0] == "inconclusive"
    assert "RuntimeError: no data" in said["raises"][1]
    assert b"model%3D%22credit%22%2Cversion%3D%223%22" in prometheus.sent[0].body
    up = next(one for one in only(nowhere).observations if one.rule == "up")
    assert up.reason == f"nobody said where Prometheus is: set {URL}"
    assert receiver.sent == []


def test_the_record_is_gone(ward: Ward) -> None:
    """A version whose record is damaged is watched all the same, and can be rolled back from."""
    digest = ward.vault.version("models:/credit/2").digest
    for found in list(ward.store.list("versions/")):
        if digest.raw.hex() in found.key:
            ward.store.delete(found.key)

    report = fail(ward)

    assert only(report).event == "rolled_back"
    assert ward.standing() == 1


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Lists and objects of *inner*."""
    names = st.sampled_from(["auc", "failing", "webhook", "failures"])
    return st.lists(inner, max_size=2) | st.dictionaries(names, inner)


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2**40) | st.sampled_from(["auc", "webhook", "1"]),
    nested,
    max_leaves=6,
)
BODIES: Final = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("look", "rules", "alerts", "refused", "condition"), JSON),
)


@settings(max_examples=150, deadline=None)
@given(body=BODIES)
def test_any_memory(body: dict[str, Any]) -> None:
    """Whatever a statement claims to remember is read as counts, or forgotten."""
    policy = read(POLICY)
    stand = Stand(2, Digest.of(b""), 0, 1)
    seen = Watched(
        Held("", "", "credit", 2), Subject("credit/2", "", "credit"), "production", stand
    )
    whole = {**body_of(Memory(1), policy, seen, ()), **body}
    said = Statement("", "credit", 2, stand.digest, "health", "", 0, Actor(), body=whole)

    found = recall([said], policy, seen)

    assert found.look >= 0
    assert all(tally.failures >= 0 for tally in found.tallies.values())
    kept = body_of(found, policy, seen, ())
    assert recall([replace(said, body=kept)], policy, seen) == found


EVENTS: Final = ["good", "bad", "same", "none"]


@settings(max_examples=20, deadline=None)
@given(events=st.lists(st.sampled_from(EVENTS), max_size=10))
def test_against_a_model(new_ward: Callable[[], Ward], events: list[str]) -> None:
    """Over processes that remember nothing, a version goes exactly when a plain count says so."""
    ward = new_ward()
    ward.apply(POLICY)
    ward.promote()
    ward.promote()
    ward.time += 120
    failures, last, gone = 0, "none", False

    for event in events:
        if event == "none":
            ward.registry.measured.clear()
        elif event != "same":
            ward.log(0.9 if event == "good" else 0.1)
        ward.look()
        last = last if event == "same" else event
        failures = 0 if last == "good" else failures + (event == "bad" and not gone)
        gone = gone or failures >= 3

        assert ward.standing() == (1 if gone else 2)


def test_stray_error(ward: Ward) -> None:
    """Whatever goes wrong with one model, the others are looked at, and go if they have to."""
    odd = POLICY.replace("credit-production", 'odd, models: "a-*"').replace("live/auc", "odd/auc")
    ward.apply(odd)
    ward.promote("a-model")
    ward.time += 120
    text: Any = "high"
    ward.registry.measured["live", "odd/auc"] = Sample(text, int(ward.time * 1000) + 100_000)

    report = fail(ward)

    assert "rolled_back" in {one.event for one in report.looks}, report.problems
    assert ward.standing() == 1
    assert report.problems[0].startswith("a-model cannot be looked at: TypeError: ")
    assert report.exit_code == 1
