"""Deliveries of MLflow's webhooks: is one MLflow's own, is it fresh, and is it the first of its id.

MLflow signs what it sends with a secret that both sides know (HMAC-SHA256):

    X-MLflow-Delivery-Id    random, another one for each delivery
    X-MLflow-Timestamp      seconds since 1970
    X-MLflow-Signature      v1,<base64 over "<id>.<timestamp>.<body>">

Nothing that a delivery says is believed beyond "look again": it names no actor, and whoever has
the secret can send any.  So the worst that a stolen secret does is a round that finds nothing.

No I/O; who calls tells the time.  Written down in docs/triggers.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence

ID: Final = "X-MLflow-Delivery-Id"
TIMESTAMP: Final = "X-MLflow-Timestamp"
SIGNATURE: Final = "X-MLflow-Signature"
SCHEME: Final = "v1,"

FRESH: Final = 300  # seconds that a delivery may be old, or the clocks may differ
LARGEST: Final = 1 << 20  # bytes of a body: descriptions and tags are in it
SHORTEST: Final = 16  # characters of a secret; shorter ones can be guessed from one delivery
_REMEMBERED: Final = 100_000  # ids; 160 deliveries each second before one has to wait
_LONGEST: Final = 128  # characters of an id; MLflow's have 36
_NAME: Final = 1000  # characters of a model's name; MLflow's databases take 256
_DIGITS: Final = 12  # of a time: enough for 30,000 years
WAKING: Final = frozenset(
    (
        "model_version.created",
        "model_version_tag.set",
        "model_version_tag.deleted",
        "model_version_alias.created",
        "model_version_alias.deleted",
    )
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came in.

    Attributes:
        id: As the header says; empty if there is none.
        timestamp: As the header says.
        signature: As the header says.
        body: The bytes that are signed.
    """

    id: str
    timestamp: str
    signature: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered, and whether to look again.

    Attributes:
        status: For the sender.
        said: For the sender, who may be a stranger.
        wakes: Whether something happened that policies may care about.
        name: The registered model that it happened to; empty if it could be any.
    """

    status: HTTPStatus
    said: str
    wakes: bool = False
    name: str = ""


class Deliveries:
    """Tells deliveries of MLflow from others; may be asked from many threads.

    Ids are remembered in memory for as long as their delivery is fresh.  After a start an old one
    may be taken again, which costs one round.

    Args:
        secrets: Any of them may have signed, so that a secret can be replaced.

    Raises:
        InvalidInputError: There is none, or one that can be guessed.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        if not secrets or any(len(secret) < SHORTEST for secret in secrets):
            raise InvalidInputError(
                f"a webhook's secret has at least {SHORTEST} characters; make one with "
                "`openssl rand -base64 32`, and give the same to MLflow and to us"
            )
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._seen: dict[str, float] = {}  # until when, by id
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        return f"Deliveries({len(self._secrets)} secrets)"

    def judge(self, delivery: Delivery, now: float) -> Reply:
        """Say what to answer; a delivery that is taken is taken once.

        Args:
            delivery: What came in.
            now: Seconds since 1970.
        """
        if not self._is_signed(delivery):  # first: strangers learn nothing else
            return Reply(HTTPStatus.UNAUTHORIZED, "no signature of this webhook's secret")
        sent = int(delivery.timestamp)
        if abs(now - sent) > FRESH:
            return Reply(HTTPStatus.UNAUTHORIZED, "too old, or a clock is wrong")
        try:
            told: Any = json.loads(delivery.body)
            event = f"{told['entity']}.{told['action']}"
            name, workspace = told["data"].get("name"), told.get("workspace")
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
            return Reply(HTTPStatus.BAD_REQUEST, "no event of MLflow's")
        refused = self._remember(delivery.id, now, sent + FRESH)
        if refused is not None:
            return refused
        if event not in WAKING:
            return Reply(HTTPStatus.OK, "ignored")
        # A name means little without its workspace; looking at everything is always right.
        is_known = isinstance(name, str) and len(name) <= _NAME and workspace in (None, "default")
        known = name if is_known else ""
        return Reply(HTTPStatus.ACCEPTED, "taken", wakes=True, name=known)

    def _is_signed(self, delivery: Delivery) -> bool:
        said, time = delivery.signature, delivery.timestamp
        odd = not 0 < len(delivery.id) <= _LONGEST or not delivery.id.isascii()
        if odd or not (time.isascii() and time.isdecimal() and len(time) <= _DIGITS):
            return False
        told = f"{delivery.id}.{time}.".encode() + delivery.body
        digests = [hmac.digest(secret, told, hashlib.sha256) for secret in self._secrets]
        good = [(SCHEME + base64.b64encode(one).decode()).encode() for one in digests]
        given = said.encode("utf-8", "replace")
        # All are compared, so that the time it takes does not tell which secret is in use.
        return any([hmac.compare_digest(given, one) for one in good])  # noqa: C419

    def _remember(self, id_: str, now: float, until: float) -> Reply | None:
        with self._turn:
            if self._seen.get(id_, 0) >= now:
                return Reply(HTTPStatus.CONFLICT, "taken before")
            if len(self._seen) >= _REMEMBERED:
                self._seen = {one: end for one, end in self._seen.items() if end >= now}
            if len(self._seen) >= _REMEMBERED:
                return Reply(HTTPStatus.SERVICE_UNAVAILABLE, "too many; come again")
            self._seen[id_] = until
        return None
