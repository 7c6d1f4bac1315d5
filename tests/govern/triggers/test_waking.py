"""Wake-ups come together into rounds, and none is lost."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.govern.triggers.waking import Waker

if TYPE_CHECKING:
    from collections.abc import Iterator

SOON = 10.0  # seconds


class Work:
    """Notes what it was asked; fails, or waits, as it is told."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails: dict[str, int] = {}
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, name: str) -> bool:
        """Work."""
        self.asked.append(name)
        self.gate.wait(SOON)
        left = self.fails.get(name, 0)
        self.fails[name] = left - 1
        if left > 1:
            raise OSError(name)
        return left <= 0

    def wait_for(self, count: int) -> list[str]:
        """Wait until it was asked that often."""
        end = time.monotonic() + SOON
        while len(self.asked) < count and time.monotonic() < end:
            time.sleep(0.005)
        return list(self.asked)


@pytest.fixture
def work() -> Work:
    """Work that goes well."""
    return Work()


@pytest.fixture
def waker(work: Work) -> Iterator[Waker]:
    """Somebody who does it."""
    made = Waker(work, pause=0.02, retry=0.05)
    made.start()
    yield made
    work.gate.set()
    made.close()


def test_joined(waker: Waker, work: Work) -> None:
    """A hundred events while a round runs are one more round."""
    work.gate.clear()
    waker.wake("m")
    work.wait_for(1)
    for _ in range(50):
        waker.wake("m")
        waker.wake("n")

    work.gate.set()

    assert work.wait_for(3) == ["m", "m", "n"]
    time.sleep(0.1)
    assert len(work.asked) == 3


def test_everything(waker: Waker, work: Work) -> None:
    """Everything includes each."""
    for name in ("m", "", "n"):
        waker.wake(name)

    assert work.wait_for(1) == [""]
    time.sleep(0.1)
    assert work.asked == [""]


def test_many(waker: Waker, work: Work) -> None:
    """Beyond a thousand names everything is looked at instead."""
    for number in range(1500):
        waker.wake(str(number))

    assert work.wait_for(1) == [""]


def test_again(waker: Waker, work: Work) -> None:
    """What failed or raised is done again until it goes well, and no longer."""
    work.fails["m"] = 2

    waker.wake("m")

    assert work.wait_for(3) == ["m", "m", "m"]
    time.sleep(0.3)
    assert len(work.asked) == 3


def test_not_held_up(waker: Waker, work: Work) -> None:
    """One that goes on failing does not keep others waiting, nor they it."""
    work.fails["bad"] = 1000
    waker.wake("bad")
    end = time.monotonic() + SOON
    while work.asked.count("bad") < 3 and time.monotonic() < end:
        waker.wake("good")
        time.sleep(0.01)

    assert work.asked.count("bad") >= 3
    assert work.asked.count("good") >= 3


def test_every(work: Work) -> None:
    """Everything is looked at now and then, as time itself lets policies pass."""
    waker = Waker(work, pause=0, every=0.03)
    waker.start()

    found = work.wait_for(3)

    waker.close()
    assert found[:3] == ["", "", ""]


def test_closed(work: Work) -> None:
    """Closing waits for the round that runs, and begins no other."""
    waker = Waker(work, pause=0)
    waker.start()
    waker.wake("m")
    work.wait_for(1)

    waker.close()
    waker.wake("n")

    time.sleep(0.05)
    assert work.asked == ["m"]
    Waker(work).close()


def test_many_fail(work: Work) -> None:
    """Of a thousand names that fail and more, everything is tried again instead."""
    names = {f"m-{number}": 1 for number in range(1200)}
    work.fails |= names
    waker = Waker(work, pause=0, retry=0.5)
    waker.start()
    for start in (0, 600):
        for name in list(names)[start : start + 600]:
            waker.wake(name)
        work.wait_for(start + 600)

    asked = work.wait_for(1201)

    waker.close()
    assert asked[1200:1201] == [""]
