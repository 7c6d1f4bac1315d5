"""A policy is what it says and nothing else: unknown keys are refused, and it never changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mlflow_vault.decide.expression.tokens import UNITS
from mlflow_vault.decide.policy import Policy, json_schema
from mlflow_vault.decide.policy.durations import LONGEST, parse, rough, spell
from mlflow_vault.format import canonical

LEAST: Final[dict[str, Any]] = {"metadata": {"name": "p"}, "transition": {"to": "staging"}}
SCHEMA: Final = Path(__file__).parents[2] / "docs" / "policy.schema.json"
GOOD: Final[list[dict[str, Any]]] = [
    {},
    {"apiVersion": "mlflow-vault/v1", "kind": "PromotionPolicy", "mode": "warn"},
    {"metrics": {"a": {"threshold": 1, "greater_is_better": True}}},
    {"require": "metrics.a > 1"},
    {"require": ["metrics.a > 1", "baseline.tags.x = 'y' AND NOT version.signed"]},
    {"environment": {"packages": {"numpy": ">=2"}, "hardware": "gpus"}},
    {"approvals": {"min": 2, "not": "requester", "expires": "72h"}},
    {"soak": {"for": "1.5h"}},
    {"checks": [{"python": "a.b:c", "args": {"x": [1, {"y": None}]}, "timeout": "5m"}]},
    {"transition": {"from": ["none"], "to": "archived"}},
    {"on_failure": {"rollback_to": "last_healthy", "alert": ["slack"]}},
]
BAD: Final[list[dict[str, Any]]] = [
    {"metricz": {}},
    {"apiVersion": "mlflow-vault/v2"},
    {"mode": "loud"},
    {"metadata": {"name": "a b"}},
    {"transition": {"to": "production", "kind": "archive"}},
    {"metrics": {"a": {"threshold": True, "greater_is_better": True}}},
    {"metrics": {"a": {"threshold": "1", "greater_is_better": True}}},
    {"metrics": {"a": {"greater_is_better": 1, "threshold": 1}}},
    {"metrics": {"a": {"min_absolute_change": 0, "greater_is_better": True}}},
    {"metrics": {"a": {"min_relative_change": 2, "greater_is_better": True}}},
    {"approvals": {"min": 0}},
    {"approvals": {"expires": "soon"}},
    {"soak": {"for": "-1h"}},
    {"soak": {"for": "1y"}},
    {"checks": [{"python": "rm -rf"}]},
    {"baseline": "production"},
    {"evidence": [{"name": "x"}]},
    {"examples": [{"name": "x", "expect": "maybe"}]},
]
# What JSON Schema cannot say.
WORSE: Final[list[dict[str, Any]]] = [
    {"transition": {"to": "archived", "kind": "rollback"}},
    {"transition": {"to": "staging", "kind": "archival"}},
    {"metrics": {"a": {"greater_is_better": True}}},
    {"metrics": {"a": {"threshold": float("nan"), "greater_is_better": True}}},
    {"metrics": {"a": {"threshold": 10**400, "greater_is_better": True}}},
    {"require": "metrics.a >"},
    {"require": "1 > 0"},
    {"require": "baseline.signed"},
    {"require": "metrics.a > 1 metrics.b > 2"},
    {"require": "evidence.holdout"},
    {"environment": {"packages": {"numpy": "new"}}},
    {"checks": [{"python": "a:b", "timeout": "2h"}]},
    {"examples": [{"name": "x", "expect": "passed", "like": "y"}]},
    {"examples": [{"name": "x", "expect": "passed"}, {"name": "x", "expect": "passed"}]},
]


@pytest.mark.parametrize("more", GOOD)
def test_good(more: dict[str, Any]) -> None:
    """What a policy may say is read, and reads back as the same policy."""
    policy = Policy.model_validate({**LEAST, **more})

    again = Policy.model_validate(policy.to_dict())

    assert again == policy
    assert again.digest == policy.digest
    jsonschema.validate({**LEAST, **more}, json_schema())
    jsonschema.validate(policy.to_dict(), json_schema())


@pytest.mark.parametrize("more", BAD)
def test_bad(more: dict[str, Any]) -> None:
    """What means nothing is refused, by us and by editors."""
    with pytest.raises(ValidationError):
        Policy.model_validate({**LEAST, **more})
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**LEAST, **more}, json_schema())


@pytest.mark.parametrize("more", WORSE)
def test_worse(more: dict[str, Any]) -> None:
    """What only looks like a policy is refused."""
    with pytest.raises(ValidationError):
        Policy.model_validate({**LEAST, **more})


def test_published_schema() -> None:
    """Editors get the schema that policies are read by; `docs/policy.schema.json` is that one."""
    found = json_schema()
    jsonschema.Draft202012Validator.check_schema(found)

    assert json.loads(SCHEMA.read_text("utf-8")) == found


def test_frozen() -> None:
    """A policy does not change."""
    policy = Policy.model_validate(LEAST)

    with pytest.raises(ValidationError):
        setattr(policy, "mode", "warn")  # noqa: B010 - types forbid it, too


def test_digest() -> None:
    """The digest names what is decided: neither spelling, nor defaults, nor examples change it."""
    plain = Policy.model_validate({**LEAST, "soak": {"for": "24h"}, "require": "held"})
    same = Policy.model_validate(
        {
            "kind": "PromotionPolicy",
            "mode": "enforce",
            "require": ["held"],
            "soak": {"in": "staging", "for": "1d"},
            "examples": [{"name": "x", "expect": "denied"}],
            **LEAST,
        }
    )
    other = Policy.model_validate({**LEAST, "soak": {"for": "25h"}, "require": "held"})

    assert plain.digest == same.digest
    assert plain.digest != other.digest
    assert canonical.read(plain.canonical())["soak"] == {"for": "1d"}
    # Approvals are given under it: another digest for the same policy would void them all.
    assert (
        str(plain.digest) == "b3:8adc37e267e7bee9a8d6bdbdcdd76f8fefaf3a4f67448c2f3e4d0b9a7c9e7aea"
    )


@given(st.integers(0, LONGEST))
def test_durations(milliseconds: int) -> None:
    """A duration reads back as itself, within the precision that it is written with."""
    if milliseconds < 10**9:
        assert parse(spell(milliseconds)) == milliseconds
    assert rough(milliseconds)


@pytest.mark.parametrize(
    "text", ["", "1", "h", "1 h", "1h30m", "1e3h", "-1h", "9999999999d", True, 24, None]
)
def test_no_durations(text: object) -> None:
    """What is no duration is refused, with the units that there are."""
    with pytest.raises(ValueError, match=r"duration"):
        parse(text)


def test_units() -> None:
    """Policies and filters have the same units."""
    assert {unit: parse(f"1{unit}") for unit in UNITS} == UNITS
