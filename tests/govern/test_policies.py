"""Policies in files: read safely, told where they are wrong, tried, and their checks asked."""

from __future__ import annotations

import re
import textwrap
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mlflow_vault.decide.policy import Approval, Context, Policy, State, Subject
from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import Origin, Version
from mlflow_vault.govern import policies
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.policies import Past, backtest, check, examples, read, run_checks, subject

DOCS: Final = (Path(__file__).parents[2] / "docs" / "policies.md").read_text("utf-8")
LEAST: Final = "metadata: {name: p}\ntransition: {to: production}\n"
BLOCKS: Final = re.findall(r"```(\w+)\n(.*?)```", DOCS, re.DOTALL)


POLICIES: Final = [text for kind, text in BLOCKS if kind == "yaml" and "kind: Roles" not in text]


@pytest.mark.parametrize("block", POLICIES)
def test_docs(block: str) -> None:
    """Every policy in docs/policies.md is one, and says what its examples expect."""
    whole = block if "metadata:" in block else LEAST + block

    policy = read(whole, "docs/policies.md")

    assert len(policy.to_dict()) > 4
    assert [tried.problems for tried in examples(policy)] == [()] * len(policy.examples)
    assert read(yaml.safe_dump(policy.to_dict())) == policy


def test_docs_in_python(tmp_path: Path) -> None:
    """The policy in Python that docs/policies.md shows is one, too, and the same as in YAML."""
    (text,) = (text for kind, text in BLOCKS if kind == "python")
    file = tmp_path / "credit.py"
    file.write_text(text)
    same = """
        metadata: {name: credit-production, models: credit-*}
        transition: {from: staging, to: production}
        metrics: {accuracy: {threshold: 0.92, greater_is_better: true}}
        approvals: {min: 2, roles: risk, expires: 3d}
    """

    assert check(file).digest == read(textwrap.dedent(same)).digest


UNITS: Final = "units are ms, s, m, h, d, w"


def test_faults() -> None:
    """Every fault is told with line, column, the way to it, and what was meant perhaps."""
    text = (
        "metadata: {name: x}\n"
        "transition: {form: staging, to: produktion}\n"
        "metrics:\n"
        "  a: {treshold: 1}\n"
        "require:\n"
        "  - metrics.f >\n"
        "mode: enforced\n"
        "soak: {for: 3}\n"
        "approvals: {min: true}\n"
        "integrity: [a]\n"
        "egzamples: 1\n"
    )

    with pytest.raises(InvalidInputError) as caught:
        read(text, "p.yaml")

    assert str(caught.value).splitlines() == [
        "p.yaml:2:14: transition.form: there is no such key; did you mean from?",
        "p.yaml:2:33: transition.to: got 'produktion'; did you mean production?",
        "p.yaml:4:6: metrics.a.greater_is_better: it is missing",
        "p.yaml:4:7: metrics.a.treshold: there is no such key; did you mean threshold?",
        "p.yaml:6:5: require[0]: expected a number, text in quotes or a name, at column 12",
        "    metrics.f >",
        "               ^",
        "p.yaml:7:7: mode: got 'enforced'; did you mean enforce?",
        f"p.yaml:8:13: soak.for: expected a duration such as 7d, 72h or 90s; {UNITS}",
        "p.yaml:9:18: approvals.min: expected a valid integer",
        "p.yaml:10:12: integrity: expected a mapping: keys and their values",
        "p.yaml:11:1: egzamples: there is no such key; did you mean examples?",
    ]


REFUSED: Final = {
    "": "a policy is a mapping",
    "- 1": "a policy is a mapping",
    "a: [": "p:1:5: while parsing a flow node, expected the node content",
    "a: &x [1]\nb: *x": "p:2:4: write it out: \\*x is no part of a policy",
    "a: !!python/object/apply:os.system [x]": "p:1:4: tag:yaml.org,2002:python/object/apply:os",
    "a: !!binary aGk=": "p:1:4: tag:yaml.org,2002:binary is no part",
    "? [a]\n: b": "p:1:3: a key is text",
    "a: 1\na: 2": "p:2:1: the key 'a' stands here twice",
    "a: 1\n---\nb: 1": "expected a single document",
    "[" * 100: "nested deeper than 30",
    "x" * 300_000: "at most 262,144 characters",
    "\0": "it is no YAML",
    "a: " + "9" * 5000: "p:1:4: '9+' is no int",
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    """What says more than JSON could, or is meant to hurt, is refused."""
    with pytest.raises(InvalidInputError, match=REFUSED[text]):
        read(text, "p")


words = st.sampled_from(
    [
        *("metadata", "transition", "metrics", "require", "approvals", "examples", "checks", "to"),
        *("name", "given", "expect", "passed", "like", "candidate", "not", "production", "x", "1d"),
        *(": ", "\n", "\n  ", "\n- ", "{", "}", "[", "]", ", ", '"', "'", "&a ", "*a", "!!int "),
        *("1", "-1", ".nan", ".inf", "1e999", "0b1", "0x", "1:30", "~", "yes", "2026-01-01", "|\n"),
        *("9" * 400, "=", "<<", "#", "%", "\t", "\ud800", "\u2028", "---\n", "metrics.a > 1", "é"),
    ]
)


@settings(max_examples=500, deadline=None)
@given(text=st.lists(words, max_size=25).map("".join) | st.text(max_size=40), whole=st.booleans())
@example(text="a: 1:99999999999999999999.5\n", whole=True)
@example(text="metrics: {a: {threshold: 1e999, greater_is_better: true}}", whole=True)
def test_any_text(text: str, whole: bool) -> None:  # noqa: FBT001 - drawn
    """Any text is a policy or is refused, and nothing else happens."""
    with suppress(InvalidInputError):
        policy = read(LEAST + text if whole else text)
        assert read(yaml.safe_dump(policy.to_dict())).digest == policy.digest
        examples(policy)


_LEAVES: Final[st.SearchStrategy[Any]] = st.sampled_from(
    [None, True, 1, -1, 0.5, 10**400, "x", "1d", "passed", "production", "metrics.a > 1", [], {}]
)
_KEYS: Final = sorted(
    {key for part in [Policy] for key in part.model_json_schema()["properties"]}
    | {"from", "to", "name", "models", "given", "expect", "candidate", "approvals", "by", "age"}
    | {"threshold", "greater_is_better", "python", "packages", "numpy", "min", "not", "for", "in"}
)
_TREES: Final = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(_KEYS), _TREES, max_size=5))
def test_any_values(values: dict[str, Any]) -> None:
    """Any values under the keys of policies are a policy or are refused."""
    least: dict[str, Any] = {"metadata": {"name": "p"}, "transition": {"to": "production"}}
    with suppress(InvalidInputError):
        examples(read(yaml.safe_dump({**least, **values})))


def test_files(tmp_path: Path) -> None:
    """A file is read by its ending; what is no file, or no policy, is refused by its name."""
    good = tmp_path / "p.yml"
    good.write_bytes(b"\xef\xbb\xbf" + LEAST.encode())
    (tmp_path / "p.json").write_text('{"metadata": {"name": "p"}, "transition": {"to": "staging"}}')
    (tmp_path / "p.txt").write_text(LEAST)
    (tmp_path / "bad.yaml").write_bytes(b"\xff")

    assert check(good).name == check(tmp_path / "p.json").name == "p"
    with pytest.raises(NotFoundError, match="no policy at"):
        check(tmp_path / "none.yaml")
    for name, reason in {"p.txt": "expected a file", "bad.yaml": "is no UTF-8"}.items():
        with pytest.raises(InvalidInputError, match=reason):
            check(tmp_path / name)
    with pytest.raises(InvalidInputError, match="expected a file"):
        check(tmp_path)


PYTHON: Final = {
    "x = 1\n": "leaves no Policy under the name 'policy'",
    "\n\n1 / 0\n": r"p.py:3: it raised ZeroDivisionError: division by zero",
    "x = (\n": r"p.py:1: it raised SyntaxError",
    "import sys\nsys.exit(0)\n": r"p.py:2: it raised SystemExit",
    "from mlflow_vault.decide.policy import Policy\npolicy = Policy.model_validate({'mod': 1})\n": (
        r"p.py:2: mod: there is no such key; did you mean mode\?"
    ),
}


@pytest.mark.parametrize("text", PYTHON)
def test_bad_python(text: str, tmp_path: Path) -> None:
    """What goes wrong in a policy in Python is told with its line."""
    file = tmp_path / "p.py"
    file.write_text(text)

    with pytest.raises(InvalidInputError, match=PYTHON[text]):
        check(file)


def test_wrong_examples() -> None:
    """What the policy says against its own example is told, beside what was expected."""
    policy = read(
        LEAST
        + "metrics: {f1: {threshold: 0.9, greater_is_better: true}}\n"
        + "examples:\n"
        + "  - {name: low, given: {candidate: {metrics: {f1: 0.8}}}, expect: passed}\n"
        + "  - {name: other, like: low, expect: denied, because: [clock, metrics.f2]}\n"
    )

    low, other = examples(policy)

    assert not low.passed
    assert low.problems == ("expected passed, it is denied: p, metrics.f1: 0.8 does not reach 0.9",)
    assert other.verdict.state is State.DENIED
    assert "clock should stand against it, and does not" in other.problems
    assert "there is no rule 'metrics.f2'" in other.problems[1]
    assert "FAILED  'low': denied" in str(low)


GATES: Final = """
import os, subprocess, sys, time

def yes(candidate, baseline): return True
def no(candidate, baseline): return False, "too slow", {"p99": 31}
def told(candidate, baseline, *, limit):
    print("noise")
    value = candidate["facts"]["metrics"]["f1"]
    return {"passed": value > limit and baseline is None, "values": {"f1": value}}
def raises(candidate, baseline): raise RuntimeError("no GPU here")
def none(candidate, baseline): return None
def one(candidate, baseline): return 1
def leaves(candidate, baseline): sys.exit(0)
def dies(candidate, baseline): os.kill(os.getpid(), 9)
def floods(candidate, baseline): return True, "x" * 2_000_000
def hangs(candidate, baseline):
    late = "import time; time.sleep(2); open('survived', 'w')"
    subprocess.Popen([sys.executable, "-c", late])
    time.sleep(60)
class Of:
    @staticmethod
    def inner(candidate, baseline): return True
"""
SAID: Final = {
    "yes": (True, ""),
    "no": (False, "too slow"),
    "Of.inner": (True, ""),
    "raises": (None, "RuntimeError: no GPU here"),
    "none": (None, "neither True nor False"),
    "one": (None, "neither True nor False"),
    "leaves": (None, "it ended without an answer (exit code 0)"),
    "dies": (None, "it ended without an answer (exit code -9)"),
    "floods": (None, "its answer cannot be read"),
    "missing": (None, "has no attribute 'missing'"),
}
CANDIDATE: Final = Subject("fraud/3", "b3:1", "fraud", facts={"metrics": {"f1": 0.9}})


@pytest.fixture
def gates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of checks, which is the current one."""
    (tmp_path / "gates.py").write_text(GATES)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("gates")
def test_checks() -> None:
    """Only True passes: what raises, dies, says nothing or too much denies, with the reason."""
    asked = "".join(f"  - python: gates:{name}\n" for name in SAID)
    policy = read(f"{LEAST}checks:\n{asked}  - python: nowhere:f\n")

    *answers, nowhere = run_checks(policy, CANDIDATE, None)

    for answer, (name, (passed, reason)) in zip(answers, SAID.items(), strict=True):
        assert answer.check == f"gates:{name}"
        assert answer.passed is passed, answer
        assert reason in answer.reason
    assert answers[1].values == {"p99": 31}
    assert "No module named 'nowhere'" in nowhere.reason
    verdict = policies.judge(policy, CANDIDATE, None, Context(1, answers=(*answers, nowhere)))
    states = [one.state for one in verdict.results if one.rule.startswith("checks.")]
    assert states.count(State.PASSED) == 2


@pytest.mark.usefixtures("gates")
def test_arguments() -> None:
    """A check gets the versions and its arguments, and may print."""
    policy = read(
        LEAST + "checks: [{python: 'gates:told', args: {limit: 0.5}}, "
        "{python: 'gates:told', args: {limit: 0.95}}]\n"
    )

    yes, no = run_checks(policy, CANDIDATE, None)

    assert (yes.passed, dict(yes.values)) == (True, {"f1": 0.9})
    assert no.passed is False
    assert yes.check == 'gates:told {"limit":0.5}'


def test_hanging(gates: Path) -> None:
    """A check that hangs is ended in time, with what it started."""
    policy = read(LEAST + "checks: [{python: 'gates:hangs', timeout: 1500ms}]\n")
    start = time.monotonic()

    (answer,) = run_checks(policy, CANDIDATE, None)

    assert answer.passed is None
    assert answer.reason == "it did not answer within 1500ms"
    assert time.monotonic() - start < 20
    time.sleep(2)
    assert not (gates / "survived").exists()


def test_nothing_is_run(gates: Path) -> None:
    """Reading a policy in YAML and trying its examples asks no check."""
    (gates / "gates.py").write_text("open('ran', 'w')\ndef yes(c, b): return True\n")
    policy = read(
        LEAST + "checks: [{python: 'gates:yes'}]\n"
        "examples: [{name: x, given: {checks: {'gates:yes': true}}, expect: passed}]\n"
    )

    assert examples(policy)[0].passed
    assert not (gates / "ran").exists()
    assert run_checks(policy, CANDIDATE, None)[0].passed
    assert (gates / "ran").exists()


def test_subject() -> None:
    """A version is seen with what MLflow says now; who committed and who ran it are its authors."""
    facts = {"run": {"user": "runner"}, "metrics": {"f1": 0.9}, "tags": {"team": "old"}}
    version = Version(Digest.of(b"x"), "id", "fraud", 3, 7, "ann", Origin("", ""), (), facts=facts)
    held = Held("", "", "fraud", 3, aliases=("staging",), tags={"team": "risk"})
    policy = read(
        "metadata: {name: p}\ntransition: {from: staging, to: production}\n"
        "require: [\"tags.team = 'risk' AND metrics.f1 = 0.9 AND alias = 'staging'\"]\n"
    )

    seen = subject(version, held)

    assert seen.authors == ("ann", "runner")
    assert seen.stages == ("staging",)
    assert subject(version).stages == ("none",)
    assert policies.judge(policy, seen, None, Context(99)).passed
    assert policies.judge(policy, subject(version), None, Context(99)).denied


def test_backtest() -> None:
    """A new policy is judged against old promotions, with what was approved then."""
    metrics = "metrics: {f1: {threshold: %s, greater_is_better: true}}\napprovals: {min: 1}\n"
    old, new = read(LEAST + metrics % 0.8), read(LEAST + metrics % 0.9)
    history = []
    for value, allowed in ((0.85, True), (0.95, True), (0.99, False), (0.7, False)):
        one = Subject("m/1", "b3:1", "m", ("ann",), facts={"metrics": {"f1": value}})
        given = Approval("bob", "b3:1", str(old.digest), 5, authenticated=True)
        history.append(Past(one, None, Context(9, approvals=(given,)), str(old.digest), allowed))

    found = backtest(new, history)

    assert repr(found) == "Backtest(4 decisions, 1 would have been refused, 1 allowed)"
    assert [verdict.reasons[0] for verdict in found.refused] == [
        "p, metrics.f1: 0.85 does not reach 0.9"
    ]
    assert "0.85 does not reach 0.9" in str(found)
    assert found.to_dict()["refused"] == 1
    assert "<table>" in found._repr_html_()
