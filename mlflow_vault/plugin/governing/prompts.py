"""What is a prompt, which MLflow keeps as a registered model, and what only says so.

Prompts pass untouched.  A client may send the tag that marks one with anything, so what could be
loaded as a model is none: a version is a prompt if its source is one of MLflow's placeholders.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlflow.prompt.constants import IS_PROMPT_TAG_KEY

from mlflow_vault.plugin.governing.spelling import folded

if TYPE_CHECKING:
    from collections.abc import Iterable

OWN_TAGS: Final = "mlflow_vault."
# What MLflow's clients, its stores and its pages write where a model would have its location.
PLACEHOLDERS: Final = frozenset({"dummy-source", "prompt-template"})


def is_own(key: str) -> bool:
    """Whether the tag *key* is the vault's, in any spelling."""
    return folded(key or "").startswith(OWN_TAGS)


def is_mark(key: str) -> bool:
    """Whether the tag *key* is the one that marks a prompt, in any spelling."""
    return folded(key or "") == str(IS_PROMPT_TAG_KEY)


def says_prompt(tags: Iterable[Any]) -> bool:
    """Whether *tags*, by name or one by one, say that what has them is a prompt."""
    told = tags if isinstance(tags, dict) else {tag.key: tag.value for tag in tags}
    return str(told.get(IS_PROMPT_TAG_KEY, "")).lower() == "true"


def is_prompt(model: Any) -> bool:
    """Whether a registered model says that it is a prompt."""
    return bool(model._is_prompt())  # noqa: SLF001 - MLflow takes the tag out of what it shows


def is_prompt_version(source: str, tags: Iterable[Any]) -> bool:
    """Whether MLflow means a prompt: it says so, and there is nothing to load.

    The tag alone is not believed: any client can send it along.

    Args:
        source: Where it says that its files are.
        tags: Its tags, by name or one by one.
    """
    return source in PLACEHOLDERS and says_prompt(tags)
