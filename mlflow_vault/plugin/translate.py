"""Our errors in MLflow's words, so that a client, the proxy and the UI each act rightly.

The proxy answers with the HTTP status of an `MlflowException`'s code and turns anything
else into a 500; MLflow's clients try 408, 429 and most of the 500s again and give up on the rest.
So the code is the message, and this table is the whole of it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    ABORTED,
    DATA_LOSS,
    INVALID_PARAMETER_VALUE,
    NOT_IMPLEMENTED,
    PERMISSION_DENIED,
    RESOURCE_CONFLICT,
    RESOURCE_DOES_NOT_EXIST,
    RESOURCE_EXHAUSTED,
    TEMPORARILY_UNAVAILABLE,
)

from mlflow_vault.errors import (
    ConflictError,
    CorruptionError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    SealedError,
    SourceChangedError,
    StorageError,
    UnsupportedError,
    VaultError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_CODES: Final[dict[type[VaultError], int]] = {
    InvalidInputError: INVALID_PARAMETER_VALUE,  # 400
    NotFoundError: RESOURCE_DOES_NOT_EXIST,  # 404
    SealedError: PERMISSION_DENIED,  # 403
    ConflictError: RESOURCE_CONFLICT,  # 409
    SourceChangedError: ABORTED,  # 409
    CorruptionError: DATA_LOSS,  # 500
    UnsupportedError: NOT_IMPLEMENTED,  # 501
    PermissionDeniedError: PERMISSION_DENIED,  # 403
    StorageError: TEMPORARILY_UNAVAILABLE,  # 503, which clients try again
}
INSUFFICIENT_STORAGE: Final = 507


class SpoolFullError(MlflowException):  # type: ignore[misc]
    """The server holds as many bytes of unfinished uploads as it may (HTTP 507)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, error_code=RESOURCE_EXHAUSTED)

    def get_http_status_code(self) -> int:
        """Return 507: MLflow's own status for this code, 429, would be tried again at once."""
        return INSUFFICIENT_STORAGE


@contextmanager
def translated() -> Iterator[None]:
    """Raise every `VaultError` of the block as the `MlflowException` that says the same."""
    try:
        yield
    except VaultError as error:
        for kind, code in _CODES.items():
            if isinstance(error, kind):
                raise MlflowException(str(error), error_code=code) from error
        raise MlflowException(str(error)) from error
