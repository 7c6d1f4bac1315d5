"""Whatever the network does at whichever request: nothing is lost, nothing hangs, errors advise.

Every deed is done once to count its requests, then with a fault at each of them in turn: one that
passes, which nobody may notice, and one that stays, which ends in an error that says what to do.
Afterwards, with the faults gone, what was there before is whole, and doing it again succeeds.
"""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from typing import Any, Final

import pytest
from mlflow.exceptions import MlflowException

from mlflow_vault.errors import VaultError
from mlflow_vault.testing.proxy import Mishap, Trouble

WRITES: Final = ("init", "inline", "chunked", "delta", "folder", "delete")
READS: Final = ("list", "read", "span", "verify", "export")
MLFLOW: Final = ("log_artifact", "log_artifacts", "list_artifacts", "download")
DEEDS: Final = (*WRITES, *READS, *MLFLOW)
FOREVER: Final = 1_000_000  # requests
DEADLINE: Final = 60.0  # seconds for a deed, whatever else this machine does
OTHERS: Final = (
    *(Mishap(Trouble.REFUSED, status=status) for status in (429, 500, 503)),
    Mishap(Trouble.TRUNCATED),
    Mishap(Trouble.RESET),
)
RANDOM: Final = (*OTHERS, Mishap(Trouble.LOST), Mishap(Trouble.LATE))
SEEDS: Final = range(2)
RATE: Final = 0.3  # of requests that fail


def passing(at: int) -> list[list[Mishap]]:
    """What passes after the *at*-th request: a lost answer, and one of the others in turn."""
    return [[Mishap(Trouble.LOST, at=at)], [replace(OTHERS[at % len(OTHERS)], at=at)]]


def lasting(at: int) -> list[list[Mishap]]:
    """What stays from the *at*-th request on: lost answers, and refusals of all or of writes."""
    refused = Mishap(Trouble.REFUSED, at=at, times=FOREVER)
    denied = replace(refused, at=1, status=403, code="AccessDenied")
    others = [[refused], [replace(denied, method=method) for method in ("PUT", "DELETE")]]
    return [[Mishap(Trouble.LOST, at=at, times=FOREVER)], others[at // 2 % len(others)]]


def plans(deed: str, at: int, both: list[list[Mishap]]) -> list[tuple[int, list[Mishap]]]:
    """*both* and a number for each; of a deed of MLflow's, which a vault does, one of them."""
    numbered = [(2 * at + number, plan) for number, plan in enumerate(both)]
    return numbered[at % 2 :][:1] if deed in MLFLOW else numbered


def test_all(lab: Any) -> None:
    """Every deed is tried."""
    assert set(DEEDS) == set(lab.deeds)


@pytest.mark.parametrize("deed", DEEDS)
def test_passing(lab: Any, watch: Any, deed: str) -> None:
    """A fault that passes changes nothing, at any request, also where the server had done it."""
    _, counted = lab.through([], deed, 0)
    expected, struck = {}, 0
    for at in range(1, counted.counts.total() + 1):
        for number, plan in plans(deed, at, passing(at)):
            done, proxy = watch.within(DEADLINE, partial(lab.through, plan, deed, number))

            struck += len(proxy.struck)
            expected.update(done)
    lab.check(expected)
    assert struck >= counted.counts.total() / 2


@pytest.mark.parametrize("deed", DEEDS)
def test_lasting(lab: Any, watch: Any, deed: str) -> None:
    """A fault that stays, from any request on, is an error that advises; again, it gets done."""
    _, counted = lab.through([], deed, 0)
    expected, complained, failed = {}, [], 0
    for at in range(1, counted.counts.total() + 1):
        for number, plan in plans(deed, at, lasting(at)):
            try:
                done, _ = watch.within(DEADLINE, partial(lab.through, plan, deed, number))
            except (VaultError, MlflowException) as error:
                complained += watch.complaints(error)
                failed += 1
                done = lab.again(deed, number)
            expected.update(done)
    lab.check(expected)
    assert complained == []
    assert failed >= counted.counts.total() / 4


@pytest.mark.parametrize("seed", SEEDS)
def test_at_random(lab: Any, watch: Any, seed: int) -> None:
    """Over a network that fails at random every deed gets done, and what got done stays."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    expected, complained = {}, []
    for number, deed in enumerate(chance.sample(DEEDS, len(DEEDS)) * 2):
        for _ in range(5):
            plan = [
                replace(chance.choice(RANDOM), at=at, seconds=chance.uniform(0, 0.05))
                for at in range(1, 100)
                if chance.random() < RATE
            ]
            try:
                done, _ = watch.within(DEADLINE, partial(lab.through, plan, deed, number))
            except (VaultError, MlflowException) as error:
                complained += watch.complaints(error)
            else:
                expected.update(done)
                break
        else:
            pytest.fail(f"{deed} never got done; seed {seed}")
    lab.check(expected)
    assert complained == [], f"seed {seed}"
