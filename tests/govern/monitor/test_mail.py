"""Mails arrive at a real server, over STARTTLS or TLS and with a login, or the reason is told."""

from __future__ import annotations

import datetime as dt
import email
import os
import socket
import ssl
from contextlib import contextmanager
from email import policy
from typing import TYPE_CHECKING, Any, Final

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mlflow_vault.govern.monitor.alerts.alert import Alert
from mlflow_vault.govern.monitor.alerts.delivery import Alerts, Patience
from mlflow_vault.govern.monitor.alerts.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Its own use of asyncio; what it warns about is not ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd")

HOST: Final = "localhost"
QUICK: Final = Patience(tries=3, total=5, first_wait=0.01)
ALERT: Final = Alert(
    id="ab" * 16,
    event="failing",
    model="crédit\nBcc: x@y.z",
    number=3,
    stage="production",
    policy="credit-production",
    time=1_700_000_000_000,
    reasons=("auc: 0.6 is less than 0.7",),
)


class Mailbox:
    """Keeps what it is sent; answers each recipient with the next of `answers`, if any is left."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.logins: list[LoginPassword] = []
        self.answers: list[str] = []

    async def handle_RCPT(  # noqa: N802 - as aiosmtpd calls it
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        """Take a recipient."""
        if self.answers and (answer := self.answers.pop(0)):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a mail."""
        self.mails.append(envelope)
        return "250 OK"

    def login(self, *given: Any) -> AuthResult:
        """Let in who knows the password."""
        self.logins.append(given[-1])
        known = given[-1] == LoginPassword(b"vault", b"hunter2")
        return AuthResult(success=known, handled=known)


class _Server(Controller):
    """Serves on a port that is free."""

    def __init__(self, mailbox: Mailbox, **more: Any) -> None:
        self.bound = socket.create_server(("127.0.0.1", 0))
        super().__init__(mailbox, "127.0.0.1", self.bound.getsockname()[1], **more)

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self.bound, ssl=self.ssl_context)


@contextmanager
def serving(mailbox: Mailbox, **more: Any) -> Iterator[int]:
    """Serve on a free port of this machine."""
    server = _Server(mailbox, **more)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and its certificate for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """What a server of that name shows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def deliver(port: int, **more: Any) -> str:
    """Send the alert; return why that failed."""
    target = {
        "host": HOST,
        "port": port,
        "from": "vault@example.com",
        "to": ["a@example.com", "b@example.com"],
        **more,
    }
    alerts = Alerts(Targets.model_validate({"email": target}), {"PASSWORD": "hunter2"}, QUICK)
    return alerts.deliver(ALERT, ("email",))["email"]


def test_mail() -> None:
    """A mail has a subject of one line, plain text, and both recipients."""
    mailbox = Mailbox()

    with serving(mailbox) as port:
        failed = deliver(port, tls="none")

    assert failed == ""
    (envelope,) = mailbox.mails
    assert envelope.rcpt_tos == ["a@example.com", "b@example.com"]
    mail = email.message_from_bytes(envelope.content, policy=policy.default)
    assert mail["Subject"] == "crédit\ufffdBcc: x@y.z/3 in production is failing"
    assert mail["Bcc"] is None
    assert mail.get_content_type() == "text/plain"
    assert "- auc: 0.6 is less than 0.7" in mail.get_content()


def test_starttls(tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A login happens behind STARTTLS, with a server that is trusted."""
    mailbox = Mailbox()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    login = {"user": "vault", "password": {"env": "PASSWORD"}}

    with serving(
        mailbox,
        tls_context=tls,
        require_starttls=True,
        authenticator=mailbox.login,
        auth_required=True,
    ) as port:
        failed = deliver(port, **login)

    assert failed == ""
    assert len(mailbox.mails) == 1
    assert mailbox.logins == [LoginPassword(b"vault", b"hunter2")]


def test_tls(tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS from the first byte works, too."""
    mailbox = Mailbox()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    with serving(mailbox, ssl_context=tls) as port:
        failed = deliver(port, tls="tls")

    assert failed == ""
    assert len(mailbox.mails) == 1


def test_a_stranger(tls: ssl.SSLContext) -> None:
    """A server that is not trusted gets neither the mail nor the password, and is asked once."""
    mailbox = Mailbox()

    with serving(mailbox, tls_context=tls, authenticator=mailbox.login) as port:
        failed = deliver(port, user="vault", password={"env": "PASSWORD"})

    assert failed == f"the mail server {HOST}:{port} shows a certificate that is not trusted"
    assert (mailbox.mails, mailbox.logins) == ([], [])


def test_no_downgrade() -> None:
    """A server that does not offer STARTTLS gets nothing."""
    mailbox = Mailbox()

    with serving(mailbox) as port:
        failed = deliver(port)

    assert failed.endswith("cannot do what is asked for: STARTTLS or a login")
    assert mailbox.mails == []


def test_wrong_password(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong password is told, and not repeated."""
    mailbox = Mailbox()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    login = {"user": "other", "password": {"env": "PASSWORD"}}

    with serving(mailbox, tls_context=tls, authenticator=mailbox.login) as port:
        failed = deliver(port, **login)

    assert failed == f"the mail server {HOST}:{port} answered 535 (SMTPAuthenticationError)"
    assert "hunter2" not in failed


def test_odd_password(
    tls: ssl.SSLContext, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password that cannot be sent is told, and not repeated."""
    mailbox = Mailbox()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("PASSWORD", "hunter2\u00e9")
    email_ = {"host": HOST, "from": "a@example.com", "to": "b@example.com", "user": "vault"}

    with serving(mailbox, tls_context=tls, authenticator=mailbox.login) as port:
        targets = {"email": {**email_, "port": port, "password": {"env": "PASSWORD"}}}
        alerts = Alerts(Targets.model_validate(targets), os.environ, QUICK)
        failed = alerts.deliver(ALERT, ("email",))["email"]

    assert failed.endswith("takes users and passwords in ASCII alone")
    assert "hunter2" not in failed
    assert mailbox.mails == []


def test_not_now() -> None:
    """Who is told to come back later does, and sends it once."""
    mailbox = Mailbox()
    mailbox.answers = ["451 later", "451 later"]

    with serving(mailbox) as port:
        failed = deliver(port, tls="none")

    assert failed == ""
    assert len(mailbox.mails) == 1


def test_refused() -> None:
    """All recipients refused is final; some of them is told, and nobody gets it twice."""
    mailbox = Mailbox()

    with serving(mailbox) as port:
        mailbox.answers = ["550 no", "550 no"]
        nobody = deliver(port, tls="none")
        mailbox.answers = ["550 no", ""]
        one = deliver(port, tls="none")

    assert nobody == f"the mail server {HOST}:{port} refuses all recipients"
    assert one == f"the mail server {HOST}:{port}: 1 of 2 recipients are refused"
    assert [envelope.rcpt_tos for envelope in mailbox.mails] == [["b@example.com"]]


def test_nobody_there() -> None:
    """Where nobody listens it is tried again, and told."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    failed = deliver(port, tls="none")

    assert failed.endswith("cannot be reached: Connection refused; tried 3 times")
