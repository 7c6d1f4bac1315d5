"""Whom alerts reach: a file of the operator's, which ``MLFLOW_VAULT_ALERTS`` names.

    slack: {url: {env: SLACK_WEBHOOK}}
    webhook: {url: "https://ops.example.com/hook", secret: {file: /run/secrets/hook}}
    email:
      host: smtp.example.com
      user: vault
      password: {file: /run/secrets/smtp}
      from: vault@example.com
      to: [oncall@example.com]

Secrets are in variables or in files.  Policies say which kinds to alert, never where those are.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlflow_vault.decide.policy.parts import Several, Text
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.govern.monitor.secrets import read_secret
from mlflow_vault.govern.monitor.web import Endpoint
from mlflow_vault.govern.policies.yaml_tree import LARGEST, read_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE: Final = "MLFLOW_VAULT_ALERTS"


class _Part(BaseModel):
    """A part of the file; its errors never repeat what it says."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Secret(_Part):
    """Where a secret is."""

    env: Text | None = None
    file: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Secret:
        if (self.env is None) is (self.file is None):
            raise ValueError("say where it is: {env: NAME} or {file: PATH}")
        return self

    def read(self, environment: Mapping[str, str], what: str) -> str:
        """Return it.

        Raises:
            InvalidInputError: It is not there.
        """
        return read_secret(self.model_dump(exclude_none=True), environment, what)


Mailbox = Annotated[Text, Field(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$")]


class Slack(_Part):
    """An incoming webhook of Slack's, or of what speaks its format; its address is the secret."""

    url: Text | Secret


class Webhook(_Part):
    """Any receiver of JSON; with a secret every alert is signed."""

    url: Text | Secret
    secret: Secret | None = None


class Email(_Part):
    """A mail server, from whom and to whom."""

    host: Text
    port: Annotated[int, Field(strict=True, ge=1, le=65535)] = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    user: Text | None = None
    password: Secret | None = None
    from_: Mailbox = Field(validation_alias="from")
    to: Annotated[Several[Mailbox], Field(min_length=1)]

    @model_validator(mode="after")
    def _covered(self) -> Email:
        if (self.user is None) is not (self.password is None):
            raise ValueError("user and password belong together")
        if self.password is not None and self.tls == "none":
            raise ValueError("a password needs tls: starttls or tls")
        return self


class Targets(_Part):
    """Whom alerts reach."""

    slack: Slack | None = None
    webhook: Webhook | None = None
    email: Email | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Targets:
        """Read the file that the environment names; nobody is reached without.

        Raises:
            InvalidInputError: It is missing, or is no such file.
        """
        name = environment.get(VARIABLE, "")
        if not name:
            return cls()
        try:
            with Path(name).open("rb") as file:
                text = file.read(LARGEST + 1).decode("utf-8-sig")
        except OSError as cause:
            said = cause.strerror or type(cause).__name__
            raise InvalidInputError(f"{VARIABLE}: {name} cannot be read: {said}") from None
        except UnicodeDecodeError:
            raise InvalidInputError(f"{VARIABLE}: {name} is no UTF-8") from None
        told: Any = read_tree(text, name).value
        try:
            return cls.model_validate(told if told is not None else {})
        except ValidationError as cause:
            faults = cause.errors(include_url=False, include_input=False, include_context=False)
            lines = [
                f"{name}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults
            ]
            raise InvalidInputError("\n".join(lines)) from None


def endpoint_of(url: str | Secret, environment: Mapping[str, str], what: str) -> Endpoint:
    """Return the address that *url* is, or names.

    Raises:
        InvalidInputError: It is none, or is not there.
    """
    text = url if isinstance(url, str) else url.read(environment, what)
    return Endpoint.parse(text, what)
