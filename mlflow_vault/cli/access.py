"""The command of rights at the object store: print what a role has to be allowed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mlflow_vault.cli.answer import Answer
from mlflow_vault.govern.access import documents
from mlflow_vault.store.address import Address

if TYPE_CHECKING:
    from argparse import Namespace


def policy(arguments: Namespace) -> Answer:
    """Print the documents that allow a role what its verbs need, and no more."""
    address = Address.parse(arguments.vault)
    found = documents(arguments.provider, arguments.role, address)
    return Answer(found, json.dumps(found, indent=2).splitlines())
