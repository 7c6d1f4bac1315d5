"""What to roll back to: the last version that stood in production and is not known to be bad.

Bad is what somebody rolled back from, ever, and what monitoring saw failing last.  A number of
MLflow's may be another version by now, so versions are told apart by their digests.

Pure: decides only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.format.statement import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlflow_vault.format.decision import Decision, Stand
    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.statement import Statement

PRODUCTION: Final = "production"
_ROLL_BACK: Final = "roll_back"


@dataclass(frozen=True, slots=True)
class Fallen:
    """What stood in production before.

    Attributes:
        stands: Who stood there and does no longer, the latest first; each once.
        failed: The digests that somebody rolled back from.
    """

    stands: tuple[Stand, ...]
    failed: frozenset[Digest]

    def healthy(self) -> tuple[Stand, ...]:
        """Those that nobody rolled back from."""
        return tuple(one for one in self.stands if one.digest not in self.failed)


def fallen(decisions: Sequence[Decision]) -> Fallen:
    """Return what stood in production before.

    Args:
        decisions: All about one model, newest first.
    """
    now = decisions[0].after.get(PRODUCTION) if decisions else None
    stands: dict[Digest, Stand] = {}
    failed: set[Digest] = set()
    for decision in decisions:
        was = decision.before.get(PRODUCTION)
        if was is None or was == decision.after.get(PRODUCTION):
            continue
        if now is None or was.digest != now.digest:
            stands.setdefault(was.digest, was)
        if decision.action == _ROLL_BACK:
            failed.add(was.digest)
    return Fallen(tuple(stands.values()), frozenset(failed))


def is_failing(said: Iterable[Statement]) -> bool:
    """Whether monitoring saw a version failing when it looked last.

    Args:
        said: What was said of the version, oldest first.
    """
    last: Any = None
    for one in said:
        if one.kind == Kind.HEALTH and "condition" in one.body:
            last = one.body["condition"]
    return bool(last == "failing")
