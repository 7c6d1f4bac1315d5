"""Alerts arrive, signed and harmless; one that cannot is tried again, told, and shows no secret."""

from __future__ import annotations

import base64
import hmac
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.govern.monitor.alerts.alert import Alert
from mlflow_vault.govern.monitor.alerts.delivery import (
    DELIVERY,
    SIGNATURE,
    TIMESTAMP,
    Alerts,
    Patience,
    message,
)
from mlflow_vault.govern.monitor.alerts.targets import VARIABLE, Email, Targets

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow_vault.testing.receiver import Receiver

QUICK: Final = Patience(tries=3, total=5, first_wait=0.01)
HOSTILE: Final = "<!channel> <https://evil|here> & @here \n\u202e\x1b[31m\r\nBcc: x@y.z"


def alert(**more: Any) -> Alert:
    """An alert about a version."""
    given: dict[str, Any] = {
        "id": "ab" * 16,
        "event": "rolled_back",
        "model": "credit",
        "number": 3,
        "stage": "production",
        "policy": "credit-production",
        "time": 1_700_000_000_000,
        "reasons": ("auc: live/auc: >= 0.7: 0.6 is less than 0.7",),
        "outcome": "rolled back to credit/2",
    }
    return Alert(**(given | more))


def reaching(targets: dict[str, Any], **environment: str) -> Alerts:
    """Reach *targets*."""
    return Alerts(Targets.model_validate(targets), environment, QUICK)


def test_webhook(receiver: Receiver) -> None:
    """A webhook gets JSON, and whoever has the secret can tell that it is ours and unchanged."""
    webhook = {"url": f"{receiver.url}/hook?a=b", "secret": {"env": "HOOK"}}

    failed = reaching({"webhook": webhook}, HOOK="k3y").deliver(alert(), ("webhook",))

    assert failed == {"webhook": ""}
    (sent,) = receiver.sent
    assert sent.path == "/hook?a=b"
    assert json.loads(sent.body) == alert().to_dict()
    assert json.loads(sent.body)["text"].startswith("credit/3 in production was failing and was")
    headers = {name.lower(): value for name, value in sent.headers.items()}
    delivery, at = headers[DELIVERY.lower()], headers[TIMESTAMP.lower()]
    signed = f"{delivery}.{at}.".encode() + sent.body
    proof = base64.b64encode(hmac.digest(b"k3y", signed, "sha256")).decode()
    assert headers[SIGNATURE.lower()] == f"v1,{proof}"
    assert (delivery, at) == ("ab" * 16, "1700000000")


def test_unsigned(receiver: Receiver) -> None:
    """Without a secret there is no signature."""
    reaching({"webhook": {"url": receiver.url}}).deliver(alert(), ("webhook",))

    assert SIGNATURE.lower() not in {name.lower() for name in receiver.sent[0].headers}


def test_slack(receiver: Receiver) -> None:
    """Slack gets its format, as text without markup: no mention, no link, no second line."""
    slack = {"url": {"env": "SLACK"}}
    hostile = alert(model=HOSTILE, reasons=(HOSTILE,), outcome=HOSTILE, policy=HOSTILE)

    failed = reaching({"slack": slack}, SLACK=f"{receiver.url}/services/T0/B0/xyz").deliver(
        hostile, ("slack",)
    )

    assert failed == {"slack": ""}
    told = json.loads(receiver.sent[0].body)
    assert told["mrkdwn"] is False
    assert not set("<>\x1b\r\u202e") & set(told["text"])
    assert "@here" not in told["text"]
    assert "&lt;!channel&gt;" in told["text"]
    assert len(told["text"].splitlines()) == 3


def test_again(receiver: Receiver) -> None:
    """What may pass is tried again, under the same id."""
    receiver.answer(503, 429, 200)

    failed = reaching({"webhook": {"url": receiver.url}}).deliver(alert(), ("webhook",))

    assert failed == {"webhook": ""}
    assert len(receiver.sent) == 3
    assert len({sent.body for sent in receiver.sent}) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 410])
def test_final(status: int, receiver: Receiver) -> None:
    """What will not pass is told at once; a redirect is not followed."""
    receiver.answer(status, Location=f"{receiver.url}/elsewhere")

    failed = reaching({"webhook": {"url": receiver.url}}).deliver(alert(), ("webhook",))

    assert failed == {"webhook": f"{receiver.url} answered {status}"}
    assert len(receiver.sent) == 1


def test_no_secret_is_told(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever fails, neither an address' path, nor a password, nor a key is repeated."""
    receiver.answer(500)
    host = receiver.url.removeprefix("http://")
    targets = {
        "slack": {"url": f"{receiver.url}/services/hunter2"},
        "webhook": {"url": f"http://me:hunter2@{host}/hunter2", "secret": {"env": "HOOK"}},
    }

    with caplog.at_level("DEBUG"):
        failed = reaching(targets, HOOK="hunter2").deliver(alert(), ("slack", "webhook"))

    assert failed == {
        "slack": f"{receiver.url} answered 500; tried 3 times",
        "webhook": f"{receiver.url} answered 500; tried 3 times",
    }
    assert "hunter2" not in caplog.text


def test_one_does_not_stop_another(receiver: Receiver) -> None:
    """A way that is not known, or fails, leaves the others."""
    targets = {"slack": {"url": {"env": "NOWHERE"}}, "webhook": {"url": receiver.url}}

    failed = reaching(targets).deliver(alert(), ("slack", "email", "webhook"))

    assert failed["slack"] == "slack.url: the variable NOWHERE is missing or empty"
    assert failed["email"] == f"nobody said where email is: name it in the file of {VARIABLE}"
    assert failed["webhook"] == ""


FILE: Final = """
slack: {url: {env: SLACK}}
webhook: {url: "https://ops.example.com/hook", secret: {file: /run/secrets/hook}}
email:
  host: smtp.example.com
  user: vault
  password: {file: /run/secrets/smtp}
  from: vault@example.com
  to: oncall@example.com
"""
WRONG: Final = {
    "slack: {}": "slack.url: Field required",
    "slack: {url: {}}": "say where it is",
    "slack: {url: {env: A, file: b}}": "say where it is",
    "webhook: {url: 'https://a', secret: hunter2}": "webhook.secret",
    "webhook: {url: 'https://a/hunter2', sekret: {env: A}}": "sekret: Extra inputs",
    "email: {host: h, from: a@b.c, to: []}": "email.to",
    "email: {host: h, from: 'a@b.c\\nhunter2', to: a@b.c}": "email.from",
    "email: {host: h, from: a@b.c, to: ['a@b.c, d@e.f']}": "email.to",
    "email: {host: h, from: a@b.c, to: a@b.c, user: u}": "belong together",
    "email: {host: h, from: a@b.c, to: a@b.c, user: u, password: {env: P}, tls: none}": "needs tls",
    "pager: {url: 'https://a/hunter2'}": "pager: Extra inputs",
    "webhook: [hunter2": "alerts.yaml:",
    "webhook: &a hunter2\nslack: *a": "alerts.yaml:",
}


def test_file(tmp_path: Path) -> None:
    """The file that the environment names says whom alerts reach; without one, nobody."""
    (tmp_path / "alerts.yaml").write_text(FILE)

    found = Targets.from_environment({VARIABLE: str(tmp_path / "alerts.yaml")})

    assert found.email is not None
    assert (found.email.port, found.email.tls, found.email.to) == (
        587,
        "starttls",
        ("oncall@example.com",),
    )
    assert Targets.from_environment({}) == Targets()
    (tmp_path / "empty.yaml").write_text("")
    assert Targets.from_environment({VARIABLE: str(tmp_path / "empty.yaml")}) == Targets()
    with pytest.raises(InvalidInputError, match="cannot be read: No such file"):
        Targets.from_environment({VARIABLE: str(tmp_path / "none.yaml")})


@pytest.mark.parametrize("text", WRONG)
def test_wrong_file(text: str, tmp_path: Path) -> None:
    """What is wrong with it is told by its place, and never by what stands there."""
    (tmp_path / "alerts.yaml").write_text(text)

    with pytest.raises(InvalidInputError) as found:
        Targets.from_environment({VARIABLE: str(tmp_path / "alerts.yaml")})

    assert WRONG[text] in str(found.value)
    assert "hunter2" not in str(found.value)


names = st.text(max_size=400)


@given(names, names, names, names)
def test_any_text(model: str, policy: str, reason: str, outcome: str) -> None:
    """No name or value makes a line of its own, in a subject or a text, nor breaks a format."""
    made = alert(model=model, policy=policy, reasons=(reason,), outcome=outcome or "-")
    email = Email.model_validate({"host": "h", "from": "a@b.c", "to": "d@e.f"})

    mail = message(made, email)

    assert len(made.text().splitlines()) == 3
    assert len(made.subject.splitlines()) == 1
    assert len(made.text()) < 1600
    assert [name for name, _ in mail.items()].count("To") == 1
    assert mail.as_bytes().count(b"\nBcc:") == 0
    json.dumps(made.to_dict()).encode()
    assert not set("<>") & set(made.to_slack()["text"])


def test_rests(receiver: Receiver) -> None:
    """Many models that fail at once do not wait for somebody who is away, each anew."""
    receiver.answer(503)
    alerts = reaching({"webhook": {"url": receiver.url}, "slack": {"url": receiver.url}})

    failed = [alerts.deliver(alert(), ("webhook",))["webhook"] for _ in range(3)]
    receiver.answer(200)

    assert "tried 3 times" in failed[0]
    assert failed[1:] == ["it could not be reached a moment ago"] * 2
    assert len(receiver.sent) == QUICK.tries
    assert alerts.deliver(alert(), ("slack",)) == {"slack": ""}
