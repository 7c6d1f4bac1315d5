"""The calls that the matrix tries: each of MLflow's that changes something, and most that read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow.entities.model_registry import ModelVersionTag
from mlflow.prompt.constants import IS_PROMPT_TAG_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.testing.enforcement.world import World

REQUIRED: Final = "mlflow_vault.required_metadata"


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call, as a server makes it.

    Attributes:
        name: What MLflow calls it.
        text: What it does, for the table.
        arguments: Its arguments; those that can be called are called with the world first.
    """

    name: str
    text: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.text}" if self.text else self.name

    def make(self, world: World) -> object:
        """Make this call."""
        made = (one(world) if callable(one) else one for one in self.arguments)
        return getattr(world.store, self.name)(*made)


def _tag(key: str, text: str = "true") -> ModelVersionTag:
    return ModelVersionTag(key, text)  # a registered model's has the same attributes


def _source(world: World) -> str:
    return f"{world.root}/1/{3:032x}/artifacts/model"


def _other(world: World) -> Any:
    return world.store.get_model_version("other", "1")


def _aliases() -> Iterator[tuple[Any, ...]]:
    to = "set_registered_model_alias"
    yield to, "`production` to version 3", "credit", "production", "3"
    yield to, "`production` to version 1, which stands there", "credit", "production", "1"
    yield to, "`staging` to version 3", "credit", "staging", "3"
    yield to, "`Production` to version 3", "credit", "Production", "3"
    yield to, "`archived` to version 3", "credit", "archived", "3"
    yield to, "`champion`, with which candidates are compared", "credit", "champion", "3"
    yield to, "`shadow`, of no policy", "credit", "shadow", "3"
    yield to, "`production` of `other`", "other", "production", "3"
    for alias in ("production", "champion"):
        yield "delete_registered_model_alias", f"`{alias}`", "credit", alias
    for number, stage in (
        *(("3", stage) for stage in ("Production", "Staging", "Archived")),
        *(("1", stage) for stage in ("Archived", "None")),
    ):
        text = f"version {number} to `{stage}`"
        yield "transition_model_version_stage", text, "credit", number, stage, False


def _versions() -> Iterator[tuple[Any, ...]]:
    marked = [_tag(IS_PROMPT_TAG_KEY)]
    yield "create_model_version", "of `credit`", "credit", _source
    yield "create_model_version", "a model called a prompt", "credit", _source, None, marked
    yield "copy_model_version", "version 1 of `other` to `credit`", _other, "credit"
    yield "update_model_version", "the description", "credit", "3", "new"
    yield "delete_model_version", "version 3, which stands nowhere", "credit", "3"
    yield "delete_model_version", "version 1, which stands in production", "credit", "1"
    yield "set_model_version_tag", "`team`", "credit", "3", _tag("team")
    for key in ("mlflow_vault.digest", "mlflow_vault.stage", "MLFLOW_VAULT.stage"):
        yield "set_model_version_tag", f"`{key}`", "credit", "3", _tag(key)
    for key in ("team", "mlflow_vault.digest"):
        yield "delete_model_version_tag", f"`{key}`", "credit", "3", key


def _verbs() -> Iterator[tuple[Any, ...]]:
    for number, verb, body in (
        ("3", "promote", '{"to": "production"}'),
        ("3", "approve", '{"to": "production"}'),
        ("3", "reject", '{"to": "production", "reason": "too slow"}'),
        ("3", "evidence", '{"type": "test-result", "name": "holdout", "passed": true}'),
        ("3", "archive", "no longer needed"),
        ("1", "rollback", '{"to": "credit/4", "reason": "it fails"}'),
    ):
        key = f"mlflow_vault.ask.{verb}"
        yield "set_model_version_tag", f"`{key}`", "credit", number, _tag(key, body)


def _models() -> Iterator[tuple[Any, ...]]:
    yield "create_registered_model", "`other-2`", "other-2"
    yield "create_registered_model", f"`other-2` with `{REQUIRED}`", "other-2", [_tag(REQUIRED)]
    yield "update_registered_model", "the description", "credit", "new"
    yield "rename_registered_model", "`credit` to `debit`", "credit", "debit"
    yield "delete_registered_model", "`credit`", "credit"
    yield "delete_registered_model", "`other`", "other"
    for key in ("team", REQUIRED, "mlflow_vault.governed", IS_PROMPT_TAG_KEY):
        yield "set_registered_model_tag", f"`{key}`", "credit", _tag(key, "{}")
    for key in ("team", REQUIRED):
        yield "delete_registered_model_tag", f"`{key}`", "credit", key


def _prompts() -> Iterator[tuple[Any, ...]]:
    yield "create_prompt", "", "farewell"
    yield "create_prompt_version", "", "greeting", "Say {{it}}"
    yield "set_prompt_alias", "`production`", "greeting", "production", 1
    yield "delete_prompt_alias", "`production`", "greeting", "production"
    yield "set_prompt_tag", "", "greeting", "team", "risk"
    yield "delete_prompt_tag", "", "greeting", "team"
    yield "set_prompt_version_tag", "", "greeting", 1, "team", "risk"
    yield "delete_prompt_version_tag", "", "greeting", 1, "team"
    yield "delete_prompt_version", "", "greeting", 1
    yield "delete_prompt", "", "greeting"


def _reads() -> Iterator[tuple[Any, ...]]:
    yield "get_registered_model", "", "credit"
    yield "search_registered_models", ""
    yield "get_latest_versions", "", "credit"
    yield "get_model_version", "", "credit", "1"
    yield "get_model_version_by_alias", "", "credit", "production"
    yield "get_model_version_download_uri", "", "credit", "1"
    yield "search_model_versions", "", "name = 'credit'"
    yield "get_prompt", "", "greeting"
    yield "get_prompt_version", "", "greeting", 1
    yield "get_prompt_version_by_alias", "", "greeting", "champion"
    yield "search_prompts", ""


TRIED: Final = tuple(
    Call(name, text, tuple(arguments))
    for some in (_aliases, _versions, _verbs, _models, _prompts, _reads)
    for name, text, *arguments in some()
)
