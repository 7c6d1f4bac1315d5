"""The commands of those who approve: give one a secret for one-time codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow_vault.cli.answer import Answer, shown
from mlflow_vault.govern.release.approving.factors import enroll as make_secret

if TYPE_CHECKING:
    from argparse import Namespace


def enroll(arguments: Namespace) -> Answer:
    """Make a secret for one-time codes, and show it this once.

    Raises:
        InvalidInputError: The user has one, or the file is not as it must be.
        UnsupportedError: The extra ``mfa`` is not installed.
    """
    uri = make_secret(
        arguments.file, arguments.user, issuer=arguments.issuer, replace=arguments.replace
    )
    lines = [
        f"Give this to {shown(arguments.user)}, for an authenticator app, and keep it nowhere:",
        shown(uri),
    ]
    return Answer({"user": arguments.user, "uri": uri}, lines)
