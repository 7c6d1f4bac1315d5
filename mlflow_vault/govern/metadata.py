"""Metadata: what a committer declares of a version, and what a registered model requires of it.

What is required stands in a tag of the registered model, which anybody may set who may change the
registry; so nothing is taken to be there that should be.

Pure: no I/O.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import InvalidInputError, UnsupportedError
from mlflow_vault.format.stored_json import read_json
from mlflow_vault.format.version import finite
from mlflow_vault.govern.host import REQUIRED_TAG

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS: Final[dict[str, tuple[type, ...]]] = {
    "text": (str,),
    "number": (int, float),
    "flag": (bool,),
    "list": (list, tuple),
}


def declared(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return *metadata* as it comes back: a list for a tuple, text where JSON has no number."""
    try:
        return {str(key): finite(value) for key, value in metadata.items()}
    except RecursionError as cause:
        raise InvalidInputError("the metadata is nested too deeply to be kept as JSON") from cause


def spelled(wanted: Mapping[str, Any]) -> str:
    """Spell what a model requires as the text of a tag."""
    return json.dumps(wanted, sort_keys=True)


def parsed(said: str, name: str) -> dict[str, Any]:
    """Undo `spelled` for the registered model *name*.

    Raises:
        InvalidInputError: It is something else; the message says how to mend it.
    """
    try:
        return {str(key): dict(want) for key, want in read_json(said.encode()).items()}
    except (AttributeError, TypeError, ValueError) as cause:
        raise InvalidInputError(
            f"the tag {REQUIRED_TAG} of {name} says nothing ({cause}): declare anew what "
            "it requires, with vault.require"
        ) from cause


def missing(required: dict[str, Any], metadata: dict[str, Any]) -> list[str]:
    """Say what *metadata* lacks of what a model *required*; nothing if it is complete.

    Args:
        required: ``{key: {"type": "text" | "number" | "flag" | "list", "help": text}}``.
        metadata: What is declared.
    """
    said = []
    for key, want in sorted(required.items()):
        kind, help_ = str(want.get("type", "text")), str(want.get("help", ""))
        types = KINDS.get(kind)
        if types is None:
            raise UnsupportedError(f"metadata {key!r} is declared as {kind!r}; know {list(KINDS)}")
        value = metadata.get(key)
        fits = isinstance(value, types) and (kind == "flag" or not isinstance(value, bool))
        if not fits or value in ("", []):
            was = "is missing" if key not in metadata else f"is {value!r}"
            said.append(f"{key} ({kind}) {was}" + (f": {help_}" if help_ else ""))
    return said
