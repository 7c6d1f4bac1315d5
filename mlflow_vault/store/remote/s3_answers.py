"""What a failure of S3 means: obstore's exceptions, in the vault's words.

obstore tells some failures apart by class and the rest in prose only, so the status is read out
of its message; `tests/servers/objectstores` asks a real server for each, so a release that words
them differently is noticed.

Pure: no I/O.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from obstore.exceptions import AlreadyExistsError, UnauthenticatedError

from mlflow_vault.errors import (
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    StorageError,
)
from mlflow_vault.store.remote.retries import TRANSIENT_STATUSES, Transient

if TYPE_CHECKING:
    from mlflow_vault.errors import VaultError

PAST_END: Final = 416  # a span that begins where the object ends, or later
NOT_IMPLEMENTED: Final = 501

_CONFLICT: Final = 409
_DENIED: Final = frozenset({401, 403})
_STATUS: Final = re.compile(r"non-2xx status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<]{1,300})</Message>")
# Codes that come with the status 400 and pass by themselves.
_TRANSIENT_CODES: Final = frozenset({"RequestTimeout", "SlowDown", "InternalError"})
# What is wrong with a request itself, rather than with what it is allowed to do.
_REGION_CODES: Final = frozenset(
    {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}
)


class Refused(StorageError):  # noqa: N818 - one of the store's, told apart inside it
    """A final answer that one operation or another knows a meaning of.

    Attributes:
        status: HTTP's.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def meaning(cause: Exception, action: str, permission: str) -> VaultError:
    """Return *cause* as an error of the vault's.

    Args:
        cause: What obstore raised.
        action: What was tried, as in "get vault-s3://bucket/key".
        permission: What AWS would have to allow for it.
    """
    text = str(cause).partition("\n\nDebug source")[0]
    found = _STATUS.search(text)
    status = int(found[1]) if found else 0
    code = _first(_CODE, text)
    said = f"{status} {code} {_first(_MESSAGE, text)}".strip() if status else _without_url(text)
    failed = f"cannot {action}: {said}."
    if isinstance(cause, FileNotFoundError):
        return NotFoundError(failed)
    if code in _REGION_CODES or "incorrectly configured region" in text:
        return StorageError(f"{failed} Set AWS_DEFAULT_REGION to the bucket's region.")
    if status in _DENIED or isinstance(cause, UnauthenticatedError):
        return PermissionDeniedError(f"{failed} It needs {permission}, and credentials that hold.")
    if isinstance(cause, AlreadyExistsError) and status != _CONFLICT:
        return ConflictError(f"{failed} It exists already: read it and compare.")
    transient = (
        # A conflict is a create or a delete of the same key under way: it may end either way.
        status in {*TRANSIENT_STATUSES, _CONFLICT}
        or code in _TRANSIENT_CODES
        or "HTTP error" in text  # no answer, or half of one
    )
    return Transient(failed) if transient else Refused(failed, status)


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def _without_url(text: str) -> str:
    """Return obstore's prose without the URL, which *action* says more shortly."""
    return re.sub(r"Error performing [A-Z]+ \S+ in \S+ - ", "", text).rstrip(".")
