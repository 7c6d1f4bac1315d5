"""A candidate accepts what production accepts, and production has what it was made with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_vault.decide.policy import Context, Policy, State, Subject, judge

if TYPE_CHECKING:
    from mlflow_vault.decide.policy.verdict import Result


def column(type_: str = "double", name: str = "x", **more: Any) -> dict[str, Any]:
    """Return a column as MLflow spells it."""
    return {"type": type_, "name": name, "required": True, **more}


def tensor(*shape: int, dtype: str = "float32") -> dict[str, Any]:
    """Return a tensor as MLflow spells it."""
    return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}


def judged(rule: str, asked: Any, new: Any, old: Any, measured: Any = None) -> Result:
    """Return what *rule* says to facts of the same name."""
    policy = Policy.model_validate(
        {"metadata": {"name": "x"}, "transition": {"to": "staging"}, rule: asked}
    )
    one = Subject("m/2", "b3:1", "m", facts={rule: new})
    other = Subject("m/1", "b3:2", "m", facts={rule: old})
    verdict = judge(policy, one, other, Context(1, environment=measured))
    (result,) = (one for one in verdict.results if one.rule == rule)
    return result


def fits(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether a signature with *new* accepts what one with *old* accepts."""
    whole: dict[str, Any] = {"inputs": [], "outputs": None, "params": None}
    return judged("signature", {}, {**whole, **new}, {**whole, **old}).state is State.PASSED


OPTIONAL: Final = column(name="y", required=False)
OBJECT: Final = column("object", properties={"a": {"type": "long", "required": True}})
WIDER: Final = column(
    "object",
    properties={"a": {"type": "long", "required": True}, "b": {"type": "long", "required": False}},
)
INPUTS: Final = [
    ([column()], [column()], True),
    ([column()], [column(), OPTIONAL], True),
    ([column()], [column(), column(name="y")], False),
    ([column(), OPTIONAL], [column(), column(name="y")], False),
    ([column(), OPTIONAL], [column()], True),
    ([column("float")], [column("double")], True),
    ([column("integer")], [column("long")], True),
    ([column("integer")], [column("double")], True),
    ([column("double")], [column("float")], False),
    ([column("long")], [column("double")], False),
    ([column("string")], [column("any")], True),
    ([column("any")], [column("string")], False),
    ([column("array", items={"type": "float"})], [column("array", items={"type": "double"})], True),
    ([column("array", items={"type": "long"})], [column("array", items={"type": "string"})], False),
    ([column("map", values={"type": "long"})], [column("map", values={"type": "long"})], True),
    ([OBJECT], [WIDER], True),
    ([WIDER], [OBJECT], False),
    ([{"type": "double"}], [{"type": "double"}], True),
    ([{"type": "double"}, {"type": "double"}], [{"type": "double"}], False),
    ([tensor(-1, 3)], [tensor(-1, 3)], True),
    ([tensor(4, 3)], [tensor(-1, 3)], True),
    ([tensor(-1, 3)], [tensor(4, 3)], False),
    ([tensor(-1, 3)], [tensor(-1, 4)], False),
    ([tensor(-1, 3)], [tensor(-1, 3, dtype="float64")], False),
    ([tensor(-1, 3)], [tensor(-1, 3, 1)], False),
]


@pytest.mark.parametrize(("old", "new", "holds"), INPUTS)
def test_inputs(old: Any, new: Any, *, holds: bool) -> None:
    """Whoever calls production can call the candidate in the same way."""
    assert fits({"inputs": old}, {"inputs": new}) is holds


def test_outputs() -> None:
    """What production returned is returned, with a type that callers can take."""
    whole = [column("long", "label"), column("double", "score")]

    assert fits({"outputs": whole}, {"outputs": [*whole, column("double", "extra")]})
    assert fits({"outputs": [column("double")]}, {"outputs": [column("float")]})
    assert not fits({"outputs": whole}, {"outputs": whole[:1]})
    assert not fits({"outputs": [column("float")]}, {"outputs": [column("double")]})
    assert not fits({"outputs": [column()]}, {"outputs": [column(required=False)]})
    assert not fits({"outputs": [{"type": "long"}]}, {"outputs": [{"type": "long"}] * 2})


def test_params() -> None:
    """What could be given to production can be given to the candidate."""
    one = {"name": "t", "type": "double", "default": 0.1, "shape": None}

    assert fits({}, {"params": [one]})
    assert fits({"params": [{**one, "type": "float"}]}, {"params": [one]})
    assert not fits({"params": [one]}, {})
    assert not fits({"params": [one]}, {"params": [{**one, "shape": [-1]}]})


def test_parts() -> None:
    """A policy may leave parts of the signature out."""
    old, new = {"inputs": [column()]}, {"inputs": [column("string")]}

    assert judged("signature", {"inputs": False}, new, old).state is State.PASSED
    told = judged("signature", {}, new, old).reason
    assert told == "inputs 'x' takes string, the baseline takes double"


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["inputs", "type", "name", "items", "properties", "tensor-spec", "shape"]
            )
            | st.sampled_from(["python", "packages", "numpy", "gpus", "platform", "cpu", "memory"]),
            inner | st.sampled_from(["array", "object", "map", "tensor", "double", "1.2", ">=1"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(json, json)
def test_odd_facts(new: Any, old: Any) -> None:
    """Facts may be anything: the answer is a verdict, never an error."""
    hard = {"packages": {"*": "minor", "numpy": ">=1"}, "hardware": ["cpu", "gpus", "memory"]}
    for rule, asked in (("signature", {}), ("environment", {**hard, "python": "exact"})):
        assert judged(rule, asked, new, old).state in {State.PASSED, State.DENIED}
        assert judged(rule, asked, {"inputs": new}, {"inputs": old}).reason
        assert judged(rule, asked, {"packages": new}, {"packages": old}).reason


HAS: Final = {
    "python": "3.11.9",
    "packages": {"numpy": "2.4.6", "scikit-learn": "1.6.1", "torch": "2.6.0+cpu"},
    "platform": "Linux 6.1.0 x86_64",
    "cpu": "8 x AMD EPYC",
    "memory": 8 << 30,
    "gpus": ["A100"],
}
ENVIRONMENTS: Final[list[tuple[dict[str, Any], dict[str, Any], str]]] = [
    ({}, {"python": "3.11.1", "packages": {"numpy": "2.0.0"}}, ""),
    ({}, {"python": "3.12.0"}, "the candidate was made with python 3.12.0, production has 3.11.9"),
    ({"python": "major"}, {"python": "3.9"}, ""),
    ({"python": "exact"}, {"python": "3.11.1"}, "made with python 3.11.1"),
    ({"python": "ignore"}, {"packages": {"numpy": "2.1"}}, ""),
    ({}, {"packages": {"numpy": "2.1"}}, "python is missing for the candidate"),
    ({}, {"python": "3.11", "packages": {"numpy": "1.26"}}, "made with numpy 1.26"),
    ({}, {"python": "3.11", "packages": {"pandas": "1.26"}}, ""),
    ({}, {"python": "3.11", "packages": {"numpy": "1!2.4.6"}}, "made with numpy 1!2.4.6"),
    ({"packages": {"pandas": "major"}}, {"python": "3.11"}, "pandas is missing in production"),
    ({"packages": {"numpy": "minor"}}, {"python": "3.11", "packages": {"numpy": "2.3"}}, "2.3"),
    ({"packages": {"numpy": "ignore"}}, {"python": "3.11", "packages": {"numpy": "1"}}, ""),
    ({}, {"python": "3.11", "packages": {"Scikit_Learn": ">=1.5"}}, ""),
    ({}, {"python": "3.11", "packages": {"scikit-learn": ">=1.7"}}, "asks for scikit-learn >=1.7"),
    ({}, {"python": "3.11", "packages": {"numpy": ""}}, ""),
    ({"packages": {"numpy": "major"}}, {"python": "3.11", "packages": {"numpy": ""}}, "asks for"),
    ({"packages": {"torch": ">=2.4,<3"}}, {"python": "3.11", "packages": {"torch": "2.5"}}, ""),
    ({"packages": {"torch": "<2.6"}}, {"python": "3.11", "packages": {"torch": "2.5"}}, "2.6.0"),
    ({"packages": {"torch": "<3"}}, {"python": "3.11"}, "made with no known version of torch"),
    ({"hardware": ["gpus"]}, {"python": "3.11", "gpus": ["A100"]}, ""),
    ({"hardware": ["gpus"]}, {"python": "3.11", "gpus": ["H100"]}, "production has no H100"),
    ({"hardware": ["gpus"]}, {"python": "3.11"}, ""),
    ({"hardware": "memory"}, {"python": "3.11", "memory": 4 << 30}, ""),
    ({"hardware": "memory"}, {"python": "3.11", "memory": 9 << 30}, "bytes of memory"),
    ({"hardware": "memory"}, {"python": "3.11"}, "memory is not known"),
    ({"hardware": "cpu"}, {"python": "3.11", "cpu": "2 x AMD EPYC"}, ""),
    ({"hardware": "platform"}, {"python": "3.11", "platform": "Linux 5.10 x86_64"}, ""),
    ({"hardware": "platform"}, {"python": "3.11", "platform": "Linux 5.10 arm64"}, "arm64"),
    ({}, {}, "environment is missing"),
]


@pytest.mark.parametrize(("asked", "made", "problem"), ENVIRONMENTS)
def test_environment(asked: dict[str, Any], made: dict[str, Any], problem: str) -> None:
    """Python, packages and hardware fit, or it says which does not."""
    result = judged("environment", asked, made, HAS)

    assert result.state is (State.DENIED if problem else State.PASSED)
    assert problem in result.reason


ASKED: Final = [
    ({}, "<=26.3", "<=26.3", True),
    ({}, "<=26.3", "<=25", False),
    ({}, "<=26.3", "25.1", True),
    ({}, "25.1", "<=26.3", False),
    ({}, "", "<=26.3", True),
    ({}, "", "", True),
    ({"packages": {"pip": "minor"}}, "<=26.3", "<=26.3", True),
    ({"packages": {"pip": "exact"}}, "<=26.3", "<=26.3", False),
    ({"packages": {"pip": "major"}}, "", "", False),
]


@pytest.mark.parametrize(("asked", "made", "has", "holds"), ASKED)
def test_requirements(asked: dict[str, Any], made: str, has: str, *, holds: bool) -> None:
    """Models say what they ask for: the same words are compatible, others only with a version."""
    python = {"python": "3.11"}
    sides = ({**python, "packages": {"pip": side}} for side in (made, has))

    assert (judged("environment", asked, *sides).state is State.PASSED) is holds


def test_production() -> None:
    """What was measured goes before what the policy says, and that before the baseline's."""
    made = {"python": "3.11.7"}
    declared = {"production": {"python": "3.12.0"}}
    old = {"python": "3.13.0"}

    assert "3.13.0" in judged("environment", {}, made, old).reason
    assert "3.12.0" in judged("environment", declared, made, old).reason
    assert judged("environment", declared, made, old, made).state is State.PASSED
