"""What MLflow answers, in our errors: the one place where the words of both meet."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mlflow.exceptions import MlflowException

from mlflow_vault.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
    VaultError,
)
from mlflow_vault.plugin.capturing.masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterator

_MISSING: Final = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
_WRONG: Final = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE"}
_DENIED: Final = "PERMISSION_DENIED"
_LOST: Final = {"RESOURCE_CONFLICT", "ABORTED"}


@contextmanager
def translated(uri: str, what: str) -> Iterator[None]:
    """Raise our error for what MLflow at *uri* raises when it is asked for *what*.

    Raises:
        NotFoundError: It has no such thing.
        InvalidInputError: It does not understand the question.
        PermissionDeniedError: It does not allow it.
        ConflictError: Somebody else was first.
        StorageError: Anything else.
    """
    try:
        yield
    except VaultError:
        raise
    except MlflowException as error:
        # What failed may name a URL, and that may hold a password.
        said = masked(f"MLflow at {uri}, asked for {what}: {error.message}")
        if error.error_code in _MISSING:
            raise NotFoundError(said) from error
        if error.error_code in _WRONG:
            raise InvalidInputError(said) from error
        if error.error_code == _DENIED:
            raise PermissionDeniedError(said) from error
        if error.error_code in _LOST:
            raise ConflictError(said) from error
        raise StorageError(said) from error
    except Exception as error:  # its databases and its stores of artifacts raise their own
        said = masked(f"MLflow at {uri}, asked for {what}, failed: {error!r}")
        raise StorageError(said) from error
