r"""One value from Prometheus: an instant query, by the address that the operator gave.

    MLFLOW_VAULT_PROMETHEUS_URL          http://prometheus:9090, also with a user and a password
    MLFLOW_VAULT_PROMETHEUS_TOKEN_FILE   a file with a bearer token

``$model``, ``$number``, ``$stage`` and ``$digest`` in a query stand for the version's, spelled so
that no name can end the text it stands in: what is not harmless becomes ``\xHH``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from mlflow_vault.decide.policy.health.judge import Sample
from mlflow_vault.errors import InvalidInputError, StorageError
from mlflow_vault.govern.monitor.secrets import read_secret
from mlflow_vault.govern.monitor.web import TIMEOUT, Endpoint, post

if TYPE_CHECKING:
    from collections.abc import Mapping

URL: Final = "MLFLOW_VAULT_PROMETHEUS_URL"
TOKEN_FILE: Final = "MLFLOW_VAULT_PROMETHEUS_TOKEN_FILE"  # noqa: S105 - the name of a variable

_NAMED: Final = re.compile(r"\$(model|number|stage|digest)\b")
_HARMLESS: Final = re.compile(rb"[A-Za-z0-9_.:/ @-]")
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_FINE: Final = 200
_SHOWN: Final = 300


def endpoint_of(environment: Mapping[str, str]) -> Endpoint | None:
    """Return where Prometheus is, None if nobody said.

    Raises:
        InvalidInputError: It is no address, or the token cannot be read.
    """
    url = environment.get(URL, "").strip()
    if not url:
        return None
    endpoint = Endpoint.parse(url, URL)
    if path := environment.get(TOKEN_FILE, ""):
        token = read_secret({"file": path}, environment, TOKEN_FILE)
        if not token.isascii():
            raise InvalidInputError(f"{TOKEN_FILE}: a token is plain ASCII")
        endpoint = endpoint.adding(Authorization=f"Bearer {token}")
    return endpoint


def filled(query: str, names: Mapping[str, str]) -> str:
    r"""Put what *names* says into *query*.

    >>> filled('errors{model="$model"}', {"model": 'a"} or vector(0)'})
    'errors{model="a\\x22\\x7d or vector\\x280\\x29"}'
    """
    return _NAMED.sub(lambda found: _spelled(names[found[1]]), query)


def query(endpoint: Endpoint, text: str, *, timeout: float = TIMEOUT) -> Sample:
    """Ask for the value of *text* now; whatever goes wrong is in the sample."""
    try:
        asked = urlencode({"query": text}).encode()
        response = post(endpoint.below("/api/v1/query"), asked, _FORM, timeout=timeout)
    except StorageError as error:
        return Sample(reason=str(error))
    try:
        told: Any = json.loads(response.body)
    except (RecursionError, ValueError):
        told = None
    if not isinstance(told, dict):
        return Sample(reason=f"{endpoint.shown} answered {response.status}, and no JSON")
    if response.status != _FINE or told.get("status") != "success":
        said = f"{told.get('errorType', 'error')}: {told.get('error', 'no reason given')}"
        return Sample(reason=f"{endpoint.shown} answered {response.status}, {said:.{_SHOWN}}")
    return _sample(told.get("data"), endpoint)


def _sample(found: Any, endpoint: Endpoint) -> Sample:
    """Read what the API calls data: a scalar, or a vector of one element."""
    try:
        kind, result = found["resultType"], found["result"]
        if kind == "vector":
            if not result:
                return Sample(reason=f"{endpoint.shown} finds nothing")
            if len(result) > 1:
                said = f"{endpoint.shown} finds {len(result)} series: aggregate them to one"
                return Sample(reason=said)
            pair = result[0]["value"]
        elif kind == "scalar":
            pair = result
        else:
            return Sample(reason=f"{endpoint.shown} answered a {kind:.20}: ask for one value")
        return Sample(float(pair[1]), source=endpoint.shown)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError):
        return Sample(reason=f"{endpoint.shown} answered what Prometheus would not")


def _spelled(name: str) -> str:
    raw = name.encode("utf-8", "backslashreplace")
    return "".join(
        chr(byte) if _HARMLESS.match(bytes([byte])) else f"\\x{byte:02x}" for byte in raw
    )
