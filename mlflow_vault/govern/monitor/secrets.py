"""Secrets: in a variable of the environment or in a file, never in a policy, a log or a message."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST: Final = 16 * 1024  # bytes


def read_secret(said: Mapping[str, str], environment: Mapping[str, str], what: str) -> str:
    """Return the secret that *said* names: ``{"env": "NAME"}`` or ``{"file": "/run/..."}``.

    Args:
        said: Where it is.
        environment: The variables that there are.
        what: What it is for, for messages.

    Raises:
        InvalidInputError: There is none, or it is more than a line.
    """
    name, path = said.get("env", ""), said.get("file", "")
    if name:
        text, where = environment.get(name, ""), f"the variable {name}"
    else:
        where = f"the file {path}"
        try:
            with Path(path).open("rb") as file:
                text = file.read(_LARGEST).decode("utf-8")
        except OSError as cause:
            raise InvalidInputError(
                f"{what}: {where} cannot be read: {cause.strerror or type(cause).__name__}"
            ) from None
        except UnicodeDecodeError:
            raise InvalidInputError(f"{what}: {where} is no text") from None
    text = text.strip()
    if not text:
        raise InvalidInputError(f"{what}: {where} is missing or empty")
    if not text.isprintable():
        raise InvalidInputError(f"{what}: {where} holds more than one line")
    return text
