"""The commands of what is in force: apply, withdraw, list, show, and try against the past.

In a command line nobody proves who they are: what is applied is noted as by who runs the process,
unverified.  Who may write to the vault's store may apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import yaml

from mlflow_vault.cli.answer import Answer, shown, table
from mlflow_vault.cli.policy import shown_lines
from mlflow_vault.cli.versions import vault_for
from mlflow_vault.decide.policy import Policy
from mlflow_vault.decide.policy.matching import is_for
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.govern import policies
from mlflow_vault.govern.committing import user

if TYPE_CHECKING:
    from argparse import Namespace

    from mlflow_vault.govern.policies.reading import Document
    from mlflow_vault.govern.policies.shelf import Applied

_DIGITS: Final = 15  # of a digest in a table, its prefix included


def apply(arguments: Namespace) -> Answer:
    """Let documents be in force, all of them or, where one is wrong, none.

    Raises:
        InvalidInputError: One is no policy and no roles, or fails its own examples.
        ConflictError: Somebody else applied something under one of their names.
    """
    documents = [policies.check_document(file) for file in arguments.files]
    _refuse_twice(documents)
    for document in documents:
        policies.refuse_failing(document)
    force, actor = vault_for(arguments, "").policies, user()
    applied = [force.apply(document, actor) for document in documents]
    lines = [line for one in applied for line in _told(one, actor)]
    return Answer({"applied": [one.to_dict() for one in applied]}, lines)


def withdraw(arguments: Namespace) -> Answer:
    """Let what is in force under a name be so no longer.

    Raises:
        NotFoundError: Nothing was ever applied under this name.
    """
    actor = user()
    found = vault_for(arguments, "").policies.withdraw(arguments.name, actor)
    return Answer(found.to_dict(), _told(found, actor))


def listed(arguments: Namespace) -> Answer:
    """List what is in force."""
    found = [
        one
        for one in vault_for(arguments, "").policies.documents()
        if not arguments.model or not isinstance(one, Policy) or is_for(one, arguments.model)
    ]
    rows = [(shown(one.name), str(one.digest)[:_DIGITS], shown(_about(one))) for one in found]
    lines = table(("name", "digest", "about"), rows) if rows else ["nothing is in force"]
    values = [{**one.to_dict(), "digest": str(one.digest)} for one in found]
    return Answer({"documents": values}, lines)


def show(arguments: Namespace) -> Answer:
    """Show what is in force under a name, and what was.

    Raises:
        NotFoundError: Nothing was ever applied under this name.
    """
    history = vault_for(arguments, "").policies.history(arguments.name)
    lines = [
        f"# {one.number}: {one.digest or 'withdrawn'}{'' if one != history[-1] else ', now'}"
        for one in history
    ]
    document = history[-1].document
    if document is not None:
        told = yaml.dump(document.to_dict(), Dumper=yaml.SafeDumper, sort_keys=False)
        lines += shown_lines(told)
    return Answer({"history": [one.to_dict() for one in history]}, lines)


def backtest(arguments: Namespace) -> Answer:
    """Say what a policy would have said of past promotions; nothing is moved or stored.

    Raises:
        InvalidInputError: It is no policy, or not for that model.
    """
    policy = policies.check(arguments.file)
    releases = vault_for(arguments, "").releases
    models = [arguments.model] if arguments.model else list(releases.models())
    models = [name for name in models if is_for(policy, name)]
    if arguments.model and not models:
        raise InvalidInputError(f"{policy.name} is not for the model {arguments.model!r}")
    asked = policy.transition
    history = [
        past
        for name in models
        for past in releases.history(name, policy=policy.name, to=asked.to, kind=asked.kind)
    ]
    found = policies.backtest(policy, history)
    return Answer({"models": models, **found.to_dict()}, shown_lines(str(found)))


def _refuse_twice(documents: list[Document]) -> None:
    names = [document.name for document in documents]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInputError(f"two of these files are called {name!r}")


def _told(one: Applied, actor: str) -> list[str]:
    if not one.changed:
        return [f"{shown(one.name)} stays as it is{'' if one.digest else ': withdrawn'}"]
    what = f"in force: {one.digest}" if one.digest else "withdrawn"
    return [f"{shown(one.name)} is {what}; noted as by {shown(actor)!r} (unverified)"]


def _about(document: Document) -> str:
    if not isinstance(document, Policy):
        return f"roles: {', '.join(sorted(document.roles))}"
    asked = document.transition
    mode = "" if document.mode == "enforce" else f" ({document.mode})"
    return f"{', '.join(document.metadata.models)}: {asked.kind} to {asked.to}{mode}"
