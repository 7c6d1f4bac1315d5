"""What may pass is tried again, within bounds; what is final is not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import ConflictError, NotFoundError, StorageError
from mlflow_vault.store.remote.retries import Patience, Transient, persist

if TYPE_CHECKING:
    from collections.abc import Callable

HASTY = Patience(first_wait=0.001, longest_wait=0.002)


def failing(errors: list[Exception]) -> Callable[[], str]:
    """Return what raises *errors*, one a call, and then returns."""

    def attempt() -> str:
        if errors:
            raise errors.pop(0)
        return "done"

    return attempt


@pytest.mark.parametrize("failures", range(5))
def test_passing(failures: int) -> None:
    """Up to four failures are unnoticed."""
    errors: list[Exception] = [Transient("busy")] * failures

    assert persist(failing(errors), HASTY) == "done"


def test_lasting() -> None:
    """The fifth is the last, and is a plain storage error that says how often it was tried."""
    errors: list[Exception] = [Transient("it is busy.") for _ in range(9)]

    with pytest.raises(StorageError, match=r"it is busy\. It was tried 5 times") as caught:
        persist(failing(errors), HASTY)

    assert type(caught.value) is StorageError
    assert len(errors) == 4


@pytest.mark.parametrize("error", [StorageError("x"), NotFoundError("x"), ConflictError("x")])
def test_final(error: Exception) -> None:
    """Any other error comes out at once, as it is."""
    errors = [error, error]

    with pytest.raises(type(error)) as caught:
        persist(failing(errors), HASTY)

    assert caught.value is error
    assert len(errors) == 1


def test_total() -> None:
    """No try begins after the time that is allowed, however many are left."""
    patience = Patience(tries=1000, total=0.3, first_wait=0.05, longest_wait=0.05)
    errors: list[Exception] = [Transient("busy") for _ in range(1000)]

    with pytest.raises(StorageError):
        persist(failing(errors), patience)

    assert len(errors) > 900
