"""What a failure of S3 means: obstore's exceptions, in the vault's words.

obstore tells some failures apart by class and the rest in prose only, so the status is read out
of its message; `tests/servers/objectstores` asks a real server for each, so a release that words
them differently is noticed.

**What a server answers is not repeated** but for its code and message: a refused signature comes
back with the request that was signed, and that has the session's token in it.

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
_FULL: Final = 507
_DENIED: Final = frozenset({401, 403})
_STATUS: Final = re.compile(r"non-2xx status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<]{1,300})</Message>")
_HOST: Final = re.compile(r"https?://[^/\s]+")
_DEBUG: Final = "\n\nDebug source"
_NO_BUCKET: Final = "NoSuchBucket"
# Codes that come with the status 400 and pass by themselves.
_TRANSIENT_CODES: Final = frozenset({"RequestTimeout", "SlowDown", "InternalError"})
_ROOM: Final = "Make room there or raise the quota, then try again."
_CREDENTIALS: Final = "Get new credentials, then try again."
# What is wrong with a request itself, whatever its status is: nothing that a permission mends.
_ADVICE: Final = {
    **dict.fromkeys(
        (
            "AuthorizationHeaderMalformed",
            "PermanentRedirect",
            "IllegalLocationConstraintException",
        ),
        "Set AWS_DEFAULT_REGION to the bucket's region.",
    ),
    _NO_BUCKET: "There is no such bucket: make it, or look at its name and at the endpoint "
    "(AWS_ENDPOINT_URL_S3).",
    "RequestTimeTooSkewed": "Set this machine's clock: the server's says otherwise.",
    **dict.fromkeys(
        ("QuotaExceeded", "QuotaExceededException", "InsufficientCapacity", "XMinioStorageFull"),
        _ROOM,
    ),
    **dict.fromkeys(("ExpiredToken", "TokenRefreshRequired", "InvalidToken"), _CREDENTIALS),
    "InvalidObjectState": "It was moved to an archive: restore it, then read again.",
}
# Why nothing came back, as obstore's dump of its causes tells, and what else there is to do.
_ENDPOINT: Final = "Look at the endpoint (AWS_ENDPOINT_URL_S3) and at the network."
_SILENCES: Final = (
    ("InvalidCertificate", "its certificate is not trusted", "Name its authority: AWS_CA_BUNDLE."),
    ("InvalidContentType", "it speaks no TLS", "Write http:// in AWS_ENDPOINT_URL_S3."),
    ("dns error", "its name has no address", _ENDPOINT),
    ("ConnectionRefused", "nobody listens there", _ENDPOINT),
    ("kind: Timeout", "it did not answer in time", _ENDPOINT),
    ("kind: Connect,", "it could not be reached", _ENDPOINT),
)
_FINAL_SILENCES: Final = frozenset({"InvalidCertificate", "InvalidContentType"})


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
    found = _STATUS.search(str(cause))
    if found:
        return _answered(cause, int(found[1]), action, permission)
    return _unanswered(cause, action, permission)


def shortened(cause: Exception) -> Exception:
    """Return *cause* without what the server said, which may repeat what was signed."""
    text, _, dump = str(cause).partition(_DEBUG)
    head = text.partition("<")[0]
    told = "Http" in dump and "Status {" not in dump and "<" not in text
    cause.args = (f"{head}{_DEBUG}{dump}" if told else head,)
    return cause


def _answered(cause: Exception, status: int, action: str, permission: str) -> VaultError:
    """Return what it means that a server answered with *status*."""
    text = str(cause).partition(_DEBUG)[0]
    code = _first(_CODE, text)
    failed = f"cannot {action}: " + f"{status} {code} {_first(_MESSAGE, text)}".strip()
    failed = f"{failed.rstrip('.')}."
    advice = _ADVICE.get(code, _ROOM if status == _FULL else "")
    if advice:
        return Refused(f"{failed} {advice}", status)
    if isinstance(cause, FileNotFoundError):
        return NotFoundError(f"{failed} There is no such object.")
    if status in _DENIED:
        return PermissionDeniedError(
            f"{failed} It needs {permission}, credentials that hold, and a clock that is right."
        )
    if isinstance(cause, AlreadyExistsError) and status != _CONFLICT:
        return ConflictError(f"{failed} It exists already: read it and compare.")
    # A conflict is a create or a delete of the same key under way: it may end either way.
    if status in {*TRANSIENT_STATUSES, _CONFLICT} or code in _TRANSIENT_CODES:
        return Transient(failed)
    return Refused(f"{failed} Ask who runs that server; trying again is safe.", status)


def _unanswered(cause: Exception, action: str, permission: str) -> VaultError:
    """Return what it means that no answer came, or half of one."""
    text, _, dump = str(cause).partition(_DEBUG)
    failed = f"cannot {action}: {_without_url(text)}."
    if "incorrectly configured region" in text:
        return Refused(f"{failed} {_ADVICE['PermanentRedirect']}", 0)
    if isinstance(cause, UnauthenticatedError):
        return PermissionDeniedError(f"{failed} It needs {permission}. {_CREDENTIALS}")
    if "HTTP error" not in text:
        return Refused(f"{failed} Ask who runs that server; trying again is safe.", 0)
    host = _first(_HOST, text + dump) or "the server"
    for clue, what, advice in _SILENCES:
        if clue in dump:
            said = f"cannot {action}: no answer from {host}, {what}. {advice}"
            return Refused(said, 0) if clue in _FINAL_SILENCES else Transient(said)
    return Transient(f"cannot {action}: the connection to {host} broke.")


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[found.re.groups] if found else ""


def _without_url(text: str) -> str:
    """Return obstore's prose without the URL, which *action* says more shortly."""
    return re.sub(r"Error performing [A-Z]+ \S+ in \S+ - ", "", text).rstrip(".")
