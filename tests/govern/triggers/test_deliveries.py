"""Of webhooks only MLflow's own, fresh, first deliveries are taken, and they only wake."""

from __future__ import annotations

import json
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import pytest
from mlflow.webhooks.delivery import _generate_hmac_signature

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.govern.triggers.deliveries import Deliveries, Delivery

SECRET = "0123456789abcdef-é"
NOW = 1_800_000_000.0
CREATED = {"entity": "model_version", "action": "created", "data": {"name": "m", "version": "1"}}


def signed(told: Any = CREATED, id_: str = "a", at: float = NOW, secret: str = SECRET) -> Delivery:
    """A delivery, signed by MLflow's own code."""
    body = told if isinstance(told, str) else json.dumps(told)
    time = str(int(at))
    return Delivery(id_, time, _generate_hmac_signature(secret, id_, time, body), body.encode())


@pytest.fixture
def judge() -> Deliveries:
    """One that knows the secret."""
    return Deliveries([SECRET])


def test_taken(judge: Deliveries) -> None:
    """A new version wakes, by its model's name."""
    reply = judge.judge(signed(), NOW)

    assert (reply.status, reply.wakes, reply.name) == (HTTPStatus.ACCEPTED, True, "m")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "b"},
        {"timestamp": str(int(NOW) + 1)},
        {"body": json.dumps(CREATED | {"action": "deleted"}).encode()},
        {"body": b""},
        {"signature": ""},
        {"signature": "v1,"},
        {"signature": "v1," + "A" * 44},
        {"signature": "\udcff"},
        {"id": ""},
        {"timestamp": ""},
        {"timestamp": "-1"},
        {"timestamp": "1e9"},
        {"timestamp": "٣"},
        {"timestamp": "9" * 400},
    ],
)
def test_forged(judge: Deliveries, change: dict[str, Any]) -> None:
    """Whatever is not signed as it is wakes nobody, and does not use an id up."""
    good = signed()

    reply = judge.judge(replace(good, **change), NOW)

    assert (reply.status, reply.wakes) == (HTTPStatus.UNAUTHORIZED, False)
    assert judge.judge(good, NOW).wakes


def test_another_secret(judge: Deliveries) -> None:
    """A secret that is not ours signs nothing; of two that are ours either does."""
    other = "another-secret-of-16"

    assert judge.judge(signed(secret=other), NOW).status is HTTPStatus.UNAUTHORIZED
    assert Deliveries([SECRET, other]).judge(signed(secret=other), NOW).wakes


def test_replayed(judge: Deliveries) -> None:
    """A delivery is taken once for as long as it is fresh, and after that it is too old."""
    delivery = signed(at=NOW + 299)

    assert judge.judge(delivery, NOW).wakes
    for later in (0, 1, 299, 598):
        assert judge.judge(delivery, NOW + later).status is HTTPStatus.CONFLICT
    assert judge.judge(delivery, NOW + 600).status is HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("at", [NOW - 302, NOW + 302, 0])
def test_stale(judge: Deliveries, at: float) -> None:
    """What is older than five minutes, or from the future, is refused."""
    assert judge.judge(signed(at=at), NOW).status is HTTPStatus.UNAUTHORIZED


@pytest.mark.parametrize("event", ["prompt.created", "registered_model.created", "x.y"])
def test_ignored(judge: Deliveries, event: str) -> None:
    """Events that policies cannot care about, and unknown ones, are answered and wake nobody."""
    entity, action = event.split(".")

    reply = judge.judge(signed({"entity": entity, "action": action, "data": {}}), NOW)

    assert (reply.status, reply.wakes) == (HTTPStatus.OK, False)


@pytest.mark.parametrize("told", ["", "[]", "{}", "null", "[" * 100_000, '{"entity": 1}'])
def test_no_event(judge: Deliveries, told: str) -> None:
    """What is signed and says nothing is refused."""
    assert judge.judge(signed(told), NOW).status is HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    "told", [{"data": {"name": {"m": 1}}}, {"data": {}}, {"workspace": "risk"}, {"workspace": [1]}]
)
def test_any_name(judge: Deliveries, told: dict[str, Any]) -> None:
    """A name that is none, or one in another workspace, wakes for all."""
    reply = judge.judge(signed(CREATED | told), NOW)

    assert (reply.wakes, reply.name) == (True, "")


@pytest.mark.parametrize("secrets", [[], [""], ["short"], [SECRET, ""]])
def test_secrets(secrets: list[str]) -> None:
    """A secret that can be guessed is refused, and so is none."""
    with pytest.raises(InvalidInputError, match="16 characters"):
        Deliveries(secrets)


def test_long_name(judge: Deliveries) -> None:
    """A name that no model has is not kept: everything is looked at."""
    told = CREATED | {"data": {"name": "m" * 5000}}

    reply = judge.judge(signed(told), NOW)

    assert (reply.wakes, reply.name) == (True, "")
