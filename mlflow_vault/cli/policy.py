"""The commands of policies: check one, try its examples, judge a version by it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mlflow_vault.cli.answer import Answer, count_text, shown
from mlflow_vault.cli.versions import vault_for
from mlflow_vault.decide.policy.roles import roles_schema
from mlflow_vault.govern import policies

if TYPE_CHECKING:
    from argparse import Namespace


def check(arguments: Namespace) -> Answer:
    """Say whether a file is a policy, or roles.

    Raises:
        InvalidInputError: It is neither; the message has line, column and what may have been meant.
    """
    found = policies.check_document(arguments.file)
    kind, what = ("roles", "roles") if found.kind == "Roles" else ("policy", "a policy")
    line = f"{shown(found.name)} is {what}: {found.digest}"
    return Answer({kind: found.name, "digest": str(found.digest)}, [line])


def test(arguments: Namespace) -> Answer:
    """Try the examples that a policy carries."""
    tried = policies.examples(policies.check(arguments.file))
    failed = [one for one in tried if not one.passed]
    lines = [line for one in tried for line in shown_lines(str(one))]
    lines.append(f"{count_text(len(tried), 'example')}, {len(failed)} failed")
    return Answer({"examples": [one.to_dict() for one in tried]}, lines, bool(tried) and not failed)


def judge(arguments: Namespace) -> Answer:
    """Judge a version as things are; nothing is moved or stored."""
    policy = policies.check(arguments.file)
    verdict = vault_for(arguments).judge(arguments.reference, policy, baseline=arguments.baseline)
    lines = shown_lines(str(verdict))
    return Answer(verdict.to_dict(), lines, verdict.passed, code=verdict.exit_code)


def schema(arguments: Namespace) -> Answer:
    """Write the JSON Schema of policies or roles, for editors."""
    found = roles_schema() if arguments.of == "roles" else policies.json_schema()
    return Answer(found, json.dumps(found, indent=2).splitlines())


def shown_lines(text: str) -> list[str]:
    """Spell each line of *text* so that it cannot steer a terminal."""
    return [shown(line) for line in text.splitlines()]
