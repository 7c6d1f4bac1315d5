"""Model versions as MLflow's registry tells of them, page by page.

It may have a hundred thousand, so here nothing is asked for each of them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException

from mlflow_vault.errors import NotFoundError
from mlflow_vault.govern.host import DIGEST_TAG, Held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

LOGGED: Final = re.compile(r"m-[0-9a-f]{32}")
_PROMPT: Final = "mlflow.prompt.is_prompt"
_PAGE: Final = 1000  # models, or versions, asked for at once


def is_prompt(tags: Mapping[str, str]) -> bool:
    """Whether a registered model, or a version of one, is a prompt of MLflow's."""
    return str(tags.get(_PROMPT, "")).lower() == "true"


def held_of(version: ModelVersion) -> Held:
    """Say in our words what a model version of MLflow's is, asking for nothing more."""
    source = str(version.source or "")
    return Held(
        uri=f"models:/{version.name}/{version.version}",
        location=source,
        name=str(version.name),
        number=int(version.version),
        model_id=str(version.model_id or "") or _logged_in(source),
        run_id=str(version.run_id or ""),
        digest=str(version.tags.get(DIGEST_TAG, "")),
        created=int(version.creation_timestamp or 0),
        author=str(version.user_id or ""),
        aliases=tuple(map(str, version.aliases or ())),
        tags={str(key): str(text) for key, text in version.tags.items()},
    )


def by_alias(client: MlflowClient, name: str, alias: str) -> ModelVersion:
    """Return the version that an alias of a registered model points at.

    Raises:
        NotFoundError: There is no such alias, which MLflow's databases call a wrong argument.
    """
    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code == "INVALID_PARAMETER_VALUE":
            raise NotFoundError(f"no version of {name} has the alias {alias}") from error
        raise


def filter_for(name: str) -> str | None:
    """Return the filter for a name, None for all where MLflow's language cannot spell it."""
    quotes = [quote for quote in ("'", '"') if quote not in name]
    return f"name = {quotes[0]}{name}{quotes[0]}" if quotes else None


def paged(search: Callable[..., Any], wanted: str | None, order: list[str]) -> Iterator[Any]:
    """Yield what is found on all pages of a *search*."""
    token = None
    while True:
        page = search(wanted, max_results=_PAGE, order_by=order, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _logged_in(source: str) -> str:
    parts = urlsplit(source)
    name = parts.path.strip("/").partition("/")[0]
    return name if parts.scheme == "models" and LOGGED.fullmatch(name) else ""
