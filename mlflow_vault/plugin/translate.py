"""Our errors in MLflow's words, so that a client, the proxy and the UI each act rightly.

The proxy answers with the HTTP status of an `MlflowException`'s code and turns anything
else into a 500; MLflow's clients try 408, 429 and most of the 500s again and give up on the rest.
So the code is the message, and this table is the whole of it.

What a server says, it says to strangers: where its artifacts lie is none of their business, so
there a message leaves that out, and the log has it.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    ABORTED,
    DATA_LOSS,
    INTERNAL_ERROR,
    INVALID_PARAMETER_VALUE,
    NOT_IMPLEMENTED,
    PERMISSION_DENIED,
    RESOURCE_CONFLICT,
    RESOURCE_DOES_NOT_EXIST,
    RESOURCE_EXHAUSTED,
    TEMPORARILY_UNAVAILABLE,
)
from mlflow.store.artifact.artifact_repo import verify_artifact_path

from mlflow_vault.errors import (
    ConflictError,
    CorruptionError,
    DeniedError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    SealedError,
    SourceChangedError,
    StorageError,
    UnsupportedError,
    UntrustedError,
    VaultError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_logger = logging.getLogger(__name__)

_CODES: Final[dict[type[VaultError], int]] = {
    InvalidInputError: INVALID_PARAMETER_VALUE,  # 400
    NotFoundError: RESOURCE_DOES_NOT_EXIST,  # 404
    SealedError: PERMISSION_DENIED,  # 403
    ConflictError: RESOURCE_CONFLICT,  # 409
    SourceChangedError: ABORTED,  # 409
    CorruptionError: DATA_LOSS,  # 500
    UnsupportedError: NOT_IMPLEMENTED,  # 501
    UntrustedError: PERMISSION_DENIED,  # 403
    DeniedError: PERMISSION_DENIED,  # 403
    PermissionDeniedError: PERMISSION_DENIED,  # 403
    StorageError: TEMPORARILY_UNAVAILABLE,  # 503, which clients try again
}
INSUFFICIENT_STORAGE: Final = 507
HIDDEN: Final = "[artifact root]"


class SpoolFullError(MlflowException):  # type: ignore[misc]
    """The server holds as many bytes of unfinished uploads as it may (HTTP 507)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, error_code=RESOURCE_EXHAUSTED)

    def get_http_status_code(self) -> int:
        """Return 507: MLflow's own status for this code, 429, would be tried again at once."""
        return INSUFFICIENT_STORAGE


@contextmanager
def translated(hidden: Sequence[str] = ()) -> Iterator[None]:
    """Raise every `VaultError` of the block as the `MlflowException` that says the same.

    Args:
        hidden: Texts that the message must not tell, longer ones before those inside them.
    """
    try:
        yield
    except VaultError as error:
        said = str(error)
        for text in hidden:
            said = said.replace(text, HIDDEN)
        codes = (code for kind, code in _CODES.items() if isinstance(error, kind))
        told = MlflowException(said, error_code=next(codes, INTERNAL_ERROR))
        if said != str(error) and told.get_http_status_code() >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _logger.warning("A client was told this, but not where: %s", error)
        raise told from error


def verify_path(path: str | None) -> None:
    """Refuse a path that MLflow refuses, but as the client's mistake (400).

    MLflow itself calls it the server's (500), and its clients would try it again.
    """
    try:
        verify_artifact_path(path)
    except MlflowException as error:
        raise MlflowException.invalid_parameter_value(error.message) from error
