"""Delivers an alert: by each way that the policy names, again where that may help, and no longer.

A webhook with a secret gets ``X-Mlflow-Vault-Signature: v1,<base64>``, the HMAC-SHA256 of
``<delivery>.<timestamp>.<body>``, as MLflow signs its own; delivery and timestamp are headers, too.
What cannot be delivered is told, and stops nobody: the version was rolled back before.
"""

from __future__ import annotations

import base64
import hmac
import json
import smtplib
import ssl
import time
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import TYPE_CHECKING, Final

from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from mlflow_vault.errors import InvalidInputError, StorageError
from mlflow_vault.govern.monitor.alerts.targets import VARIABLE, Email, Targets, endpoint_of
from mlflow_vault.govern.monitor.web import TIMEOUT, post

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlflow_vault.govern.monitor.alerts.alert import Alert
    from mlflow_vault.govern.monitor.web import Endpoint

SIGNATURE: Final = "X-Mlflow-Vault-Signature"
DELIVERY: Final = "X-Mlflow-Vault-Delivery"
TIMESTAMP: Final = "X-Mlflow-Vault-Timestamp"

_JSON: Final = {"Content-Type": "application/json", "User-Agent": "mlflow-vault"}
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_FINE: Final = range(200, 300)
_PERMANENT: Final = range(500, 600)  # of a mail server; 4xx is "not now"


class _LaterError(Exception):
    """It may work a little later."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one alert is tried.

    Attributes:
        tries: The first included.
        total: Seconds after which no try begins.
        first_wait: About what is waited before the second try, in seconds; it doubles each time.
        rest: Seconds that a way is left alone which was tried in vain, so that the rollbacks of
            many models wait for no mail server.
    """

    tries: int = 4
    total: float = 30
    first_wait: float = 0.5
    rest: float = 60


class Alerts:
    """The ways to reach people.

    Args:
        targets: Whom.
        environment: Where secrets may be.
        patience: How long one is tried.

    Attributes:
        fault: Why nobody at all can be reached; empty if that is not so.
    """

    fault = ""

    def __init__(
        self,
        targets: Targets,
        environment: Mapping[str, str],
        patience: Patience | None = None,
    ) -> None:
        self._targets = targets
        self._environment = environment
        self._patience = patience or Patience()
        self._resting: dict[str, float] = {}  # until when, by way

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str], patience: Patience | None = None
    ) -> Alerts:
        """Reach whom the file says that the environment names.

        A file that is wrong is a `fault` and no error: a bad version has to go all the same.
        """
        try:
            return cls(Targets.from_environment(environment), environment, patience)
        except InvalidInputError as error:
            broken = cls(Targets(), environment, patience)
            broken.fault = str(error)
            return broken

    def deliver(self, alert: Alert, ways: tuple[str, ...]) -> dict[str, str]:
        """Deliver *alert* by each of *ways*.

        Returns:
            For each way why it failed; empty where it did not.
        """
        return {way: self._deliver(alert, way) for way in ways}

    def _deliver(self, alert: Alert, way: str) -> str:
        if self.fault:
            return self.fault
        if time.monotonic() < self._resting.get(way, 0):
            return "it could not be reached a moment ago"
        try:
            attempt = self._attempt(alert, way)
        except InvalidInputError as error:
            return str(error)
        policy = Retrying(
            retry=retry_if_exception_type(_LaterError),
            stop=stop_after_attempt(self._patience.tries) | stop_before_delay(self._patience.total),
            wait=wait_random_exponential(multiplier=self._patience.first_wait, max=10),
            reraise=True,
        )
        try:
            policy(attempt)
        except _LaterError as error:
            self._resting[way] = time.monotonic() + self._patience.rest
            return f"{error}; tried {policy.statistics.get('attempt_number', 1)} times"
        except StorageError as error:
            return str(error)
        return ""

    def _attempt(self, alert: Alert, way: str) -> Callable[[], None]:
        """Return what delivers *alert* by *way*."""
        targets, environment = self._targets, self._environment
        if way == "slack" and targets.slack is not None:
            endpoint = endpoint_of(targets.slack.url, environment, "slack.url")
            return lambda: _post(endpoint, json.dumps(alert.to_slack()).encode(), _JSON)
        if way == "webhook" and targets.webhook is not None:
            endpoint = endpoint_of(targets.webhook.url, environment, "webhook.url")
            body = json.dumps(alert.to_dict()).encode()
            headers = _JSON | {DELIVERY: alert.id, TIMESTAMP: str(alert.time // 1000)}
            if targets.webhook.secret is not None:
                secret = targets.webhook.secret.read(environment, "webhook.secret")
                headers[SIGNATURE] = signature(secret, alert.id, headers[TIMESTAMP], body)
            return lambda: _post(endpoint, body, headers)
        if way == "email" and targets.email is not None:
            mail, email = message(alert, targets.email), targets.email
            password = email.password.read(environment, "email.password") if email.password else ""
            return lambda: _send(mail, email, password)
        raise InvalidInputError(f"nobody said where {way} is: name it in the file of {VARIABLE}")


def signature(secret: str, delivery: str, timestamp: str, body: bytes) -> str:
    """Return what the header `SIGNATURE` says: ``v1,`` and the HMAC-SHA256 in base64.

    >>> signature("key", "1", "0", b"{}")
    'v1,zGwIsEpWJehWI9SAZ35qk1GA7jOFwoNvVGoKfG/SvCI='
    """
    signed = f"{delivery}.{timestamp}.".encode() + body
    made = hmac.new(secret.encode(), signed, "sha256").digest()
    return f"v1,{base64.b64encode(made).decode()}"


def message(alert: Alert, email: Email) -> EmailMessage:
    """Return *alert* as a mail in plain text."""
    mail = EmailMessage()
    mail["Subject"] = alert.subject
    mail["From"] = email.from_
    mail["To"] = ", ".join(email.to)
    mail["Date"] = formatdate(alert.time / 1000)
    mail["Message-ID"] = make_msgid(alert.id, email.from_.rpartition("@")[2])
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(alert.text())
    return mail


def _post(endpoint: Endpoint, body: bytes, headers: Mapping[str, str]) -> None:
    try:
        response = post(endpoint, body, headers)
    except StorageError as error:
        raise _LaterError(str(error)) from None
    if response.status in _FINE:
        return
    said = f"{endpoint.shown} answered {response.status}"
    if response.status in _PASSING:
        raise _LaterError(said)
    raise StorageError(said)


def _send(mail: EmailMessage, email: Email, password: str) -> None:
    where = f"the mail server {email.host}:{email.port}"
    try:
        _talk(mail, email, password)
    except smtplib.SMTPRecipientsRefused as error:
        codes = {code for code, _ in error.recipients.values()}
        _fail(f"{where} refuses all recipients", final=all(code in _PERMANENT for code in codes))
    except smtplib.SMTPResponseException as error:
        # What the server says may repeat what we said to it: its code is enough.
        said = f"{where} answered {error.smtp_code} ({type(error).__name__})"
        _fail(said, final=error.smtp_code in _PERMANENT)
    except StorageError:
        raise
    except smtplib.SMTPNotSupportedError:
        _fail(f"{where} cannot do what is asked for: STARTTLS or a login", final=True)
    except ssl.SSLCertVerificationError:
        _fail(f"{where} shows a certificate that is not trusted", final=True)
    except UnicodeError:  # which may repeat the password
        _fail(f"{where} takes users and passwords in ASCII alone", final=True)
    except (OSError, smtplib.SMTPException) as error:
        told = getattr(error, "strerror", None) or type(error).__name__
        _fail(f"{where} cannot be reached: {told}", final=False)


def _fail(said: str, *, final: bool) -> None:
    raise (StorageError(said) if final else _LaterError(said)) from None


def _talk(mail: EmailMessage, email: Email, password: str) -> None:
    context = ssl.create_default_context()
    if email.tls == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            email.host, email.port, timeout=TIMEOUT, context=context
        )
    else:
        server = smtplib.SMTP(email.host, email.port, timeout=TIMEOUT)
    with server:
        if email.tls == "starttls":
            server.starttls(context=context)
        if email.user is not None:
            server.login(email.user, password)
        refused = server.send_message(mail, email.from_, list(email.to))
    if refused:  # the others have it: trying again would send it to them twice
        said = f"{len(refused)} of {len(email.to)} recipients are refused"
        raise StorageError(f"the mail server {email.host}:{email.port}: {said}")
