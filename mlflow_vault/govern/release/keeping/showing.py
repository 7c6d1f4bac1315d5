"""Makes MLflow's registry show what was decided: aliases, and a tag that names the stage.

Everything here may be repeated.  A version that MLflow no longer has, or under whose number it has
another one by now, is shown nowhere: an alias never points at what was not decided.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from mlflow_vault.errors import NotFoundError
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.index.known import STAGE_TAG

if TYPE_CHECKING:
    from mlflow_vault.decide.transitions import Showing
    from mlflow_vault.format.digest import Digest
    from mlflow_vault.govern.host import Host

_log = logging.getLogger(__name__)


def show(host: Host, model: str, wanted: Showing) -> None:
    """Let MLflow show the registered model *model* as *wanted* says.

    Raises:
        VaultError: MLflow does not answer, or does not let us.
    """
    numbers = {number for number in wanted.aliases.values() if number is not None}
    there = {number for number in numbers if _has(host, model, number, wanted.digests.get(number))}
    # What stands somewhere now is set first, so that no reader finds a stage empty in between.
    for alias, number in wanted.aliases.items():
        if number in there:
            host.set_alias(model, alias, number)
    for alias, number in wanted.aliases.items():
        if number not in there:
            with suppress(NotFoundError):
                host.delete_alias(model, alias)
    for number, stage in sorted(wanted.stages.items()):
        held = Held(f"models:/{model}/{number}", "", model, number)
        with suppress(NotFoundError):
            if stage is not None and (number in there or number not in numbers):
                host.tag(held, {STAGE_TAG: stage})
            else:
                host.untag(held, [STAGE_TAG])


def _has(host: Host, model: str, number: int, digest: Digest | None) -> bool:
    """Whether MLflow has the version that was decided about."""
    try:
        held = host.resolve(f"models:/{model}/{number}")
    except NotFoundError:
        _log.warning("MLflow has no %s/%s, so it cannot show where that stands", model, number)
        return False
    if digest is None or held.digest in {"", str(digest)}:
        return True
    _log.warning(
        "MLflow has another version under %s/%s than was decided about, %s: it is shown nowhere",
        model,
        number,
        digest,
    )
    return False
