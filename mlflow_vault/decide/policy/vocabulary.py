"""What a condition of a policy may ask: all that a search may, and what only a policy knows.

    version.signature_compatible, version.environment_compatible, version.verified, version.signed
    baseline.metrics.f1, baseline.number       of what the candidate is compared with
    evidence.holdout.age, evidence.holdout.passed, evidence.holdout.accuracy
    environment.python, environment.memory     of what production has

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.expression import SEARCH, Field, Type, Vocabulary, fields, parse
from mlflow_vault.errors import InvalidInputError

if TYPE_CHECKING:
    from mlflow_vault.decide.expression import Expression

FLAGS: Final = (
    "signature_compatible",
    "environment_compatible",
    "verified",
    "signed",
)
_ENVIRONMENT: Final = {
    "python": Type.TEXT,
    "platform": Type.TEXT,
    "cpu": Type.TEXT,
    "memory": Type.NUMBER,
    "gpu": Type.TEXT,
}
_OF_EVIDENCE: Final = {"age": Type.DURATION, "passed": Type.FLAG}


@dataclass(frozen=True, slots=True)
class PolicyVocabulary(Vocabulary):
    """The names of searches, and ``evidence.<name>.<fact>``, which are as open as evidence is."""

    def field(self, name: str) -> Field:
        """Return the field that *name* spells.

        Raises:
            InvalidInputError: There is no such name; it says which may be meant.
        """
        head, _, rest = name.partition(".")
        if head == "evidence":
            return _of_evidence(rest)
        # Two arguments: a slotted dataclass is made anew, which the short form does not notice.
        found = Vocabulary.field(self, name)
        if found.scope and found.kind == "attribute" and found.key in FLAGS:
            raise InvalidInputError(f"{found.key} is asked of the candidate: version.{found.key}")
        if found.scope and found.kind == "environment":
            raise InvalidInputError("environment is what production has: it has no scope")
        if found.kind == "environment" and found.key == "gpu":
            return Field(found.kind, found.key, "", found.type, many=True)
        return found


def _of_evidence(rest: str) -> Field:
    name, dot, fact = _bare(rest).rpartition(".")
    name, fact = _bare(name), _bare(fact)
    if not dot or not name or not fact:
        raise InvalidInputError(
            "evidence is asked by its name: evidence.holdout.age, evidence.holdout.passed"
        )
    return Field("evidence", f"{name}.{fact}", "", _OF_EVIDENCE.get(fact, Type.LOOSE))


def _bare(name: str) -> str:
    """*name* without the backticks around it."""
    inner = name[1:-1]
    return inner if name == f"`{inner}`" and "`" not in inner else name


_EXTENDED: Final = SEARCH.extended(
    {"attribute": dict.fromkeys(FLAGS, Type.FLAG), "environment": _ENVIRONMENT},
    scopes={"baseline"},
)
POLICY: Final = PolicyVocabulary(_EXTENDED.open, _EXTENDED.closed, _EXTENDED.scopes)


def read_condition(text: str) -> Expression:
    """Read one condition of a policy; one that asks nothing is refused.

    >>> str(read_condition("metrics.f1>baseline.metrics.f1 and evidence.holdout.passed"))
    'metrics.f1 > baseline.metrics.f1 AND evidence.`holdout.passed`'

    Raises:
        InvalidInputError: It is no condition; the message shows where.
    """
    found = parse(text, POLICY, strict=True)
    if not any(True for _ in fields(found)):
        raise InvalidInputError("the condition is empty: write metrics.f1 > 0.9")
    return found
