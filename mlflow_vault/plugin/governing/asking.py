"""Verbs by tags: how a client that has MLflow alone promotes, approves, rejects, rolls back.

A tag ``mlflow_vault.ask.<verb>`` of a model version is done, not stored:

    client.set_model_version_tag("credit", "3", "mlflow_vault.ask.approve", "looked at the errors")
    client.set_model_version_tag("credit", "3", "mlflow_vault.ask.promote", '{"to": "staging"}')

Its value is a reason in words, or a JSON object of what the verb takes.  Where it takes ``to`` and
is not told, it is the stage that the policies lead to, if that is one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.govern.host import ASK_TAG
from mlflow_vault.plugin.governing.scoping import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow_vault.govern.release.caller import Caller
    from mlflow_vault.govern.release.releases import Releases
    from mlflow_vault.plugin.governing.law import Law

LARGEST: Final = 256 << 10  # letters of a question: an envelope is some kilobytes
_TEXT: Final = (str,)
_NUMBER: Final = (int,)
_TAKES: Final[Mapping[str, Mapping[str, tuple[type, ...]]]] = {
    "promote": {"to": _TEXT, "reason": _TEXT, "seen": _NUMBER},
    "approve": {"to": _TEXT, "reason": _TEXT, "code": _TEXT, "envelope": (dict,)},
    "reject": {"to": _TEXT, "reason": _TEXT, "code": _TEXT, "envelope": (dict,)},
    "evidence": {"type": _TEXT, "name": _TEXT, "passed": (bool,), "values": (dict,)},
    "archive": {"reason": _TEXT, "seen": _NUMBER},
    "rollback": {"to": _TEXT, "reason": _TEXT, "undoes": _NUMBER},
}


def verb_of(key: str) -> str:
    """Return the verb that the tag *key* asks for; empty if it is no question.

    Raises:
        InvalidInputError: There is no such verb.
    """
    spelled = key.strip().lower()
    if not spelled.startswith(ASK_TAG):
        return ""
    verb = spelled.removeprefix(ASK_TAG)
    if verb not in _TAKES:
        raise InvalidInputError(f"{key} asks for nothing known; know {', '.join(sorted(_TAKES))}")
    return verb


def body_of(verb: str, text: str) -> dict[str, Any]:
    """Read what a client says with the tag of a *verb*.

    Raises:
        InvalidInputError: It is too long, or says what the verb does not take.
    """
    if len(text) > LARGEST:
        raise InvalidInputError(f"{ASK_TAG}{verb} says more than {LARGEST} letters")
    body: Any = {"reason": text.strip()} if text.strip() else {}
    if text.lstrip()[:1] == "{":
        try:
            body = json.loads(text)
        except (ValueError, RecursionError) as cause:
            raise InvalidInputError(f"{ASK_TAG}{verb} is no JSON: {cause}") from cause
    takes = {**_TAKES[verb], "request": _TEXT}
    for key, value in body.items():
        if key not in takes:
            raise InvalidInputError(f"{ASK_TAG}{verb} takes {', '.join(takes)}, and no {key!r:.80}")
        if not isinstance(value, takes[key]):
            kind = takes[key][0].__name__
            raise InvalidInputError(f"{ASK_TAG}{verb}: {key} should be {kind}, not {value!r:.80}")
    return dict(body)


def perform(
    law: Law, releases: Releases, caller: Caller, number: int, asked: tuple[str, Mapping[str, Any]]
) -> None:
    """Do what was *asked*, a verb and its body, of the version *number* of a model.

    Raises:
        DeniedError: A policy or a role does not allow it.
        InvalidInputError: It lacks what the verb needs.
    """
    verb, said = asked
    body = {"caller": caller, **said}
    reference = f"models:/{law.model}/{number}"
    if verb == "promote":
        body["to"] = body.get("to") or _only_stage(law)
        releases.promote(reference, **body)
    elif verb == "approve":
        releases.approve(reference, **body)
    elif verb == "reject":
        releases.reject(reference, **body)
    elif verb == "evidence":
        _needs(verb, body, "type", "name", "passed")
        releases.evidence(reference, **body)
    elif verb == "archive":
        _needs(verb, body, "reason")
        releases.archive(reference, **body)
    else:
        _needs(verb, body, "reason")
        body["to"] = _of_model(law, str(body.get("to", "")))
        releases.rollback(law.model, **body)


def _needs(verb: str, body: Mapping[str, Any], *keys: str) -> None:
    lacking = [key for key in keys if body.get(key) in (None, "")]
    if lacking:
        raise InvalidInputError(f"{ASK_TAG}{verb} needs {' and '.join(lacking)}")


def _of_model(law: Law, reference: str) -> str:
    """Spell a version of the model as its vault does: clients need not know of workspaces."""
    text = reference.strip().removeprefix("models:/")
    name, _, number = text.rpartition("/")
    own = name in {"", plain(law.model)} and number.isdecimal()
    return f"models:/{law.model}/{number}" if own else reference


def _only_stage(law: Law) -> str:
    stages = {
        policy.transition.to for policy in law.policies if policy.transition.kind == "promotion"
    }
    if len(stages) != 1:
        raise InvalidInputError(
            f'say to which stage: {ASK_TAG}promote = {{"to": "staging"}}, or {{"to": "production"}}'
        )
    return stages.pop()
