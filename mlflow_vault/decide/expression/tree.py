"""What a filter says, as plain data: the tree that is evaluated, compiled and shown.

    metrics.f1 > 0.9 AND NOT tags.team = 'risk'

    And((Compare(Field(metric f1), ">", Constant(0.9)),
         Not(Compare(Field(tag team), "=", Constant("risk")))))

Nodes are frozen and hold no text of the filter; ``str`` spells one for people, in the words that
`parse` reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator


class Type(Enum):
    """What a field or a constant holds, in the words of an error."""

    NUMBER = "a number"
    TEXT = "text"
    LOOSE = "text, or a number where it reads as one"  # params and tags: MLflow keeps them as text
    FLAG = "true or false"
    TIME = "a time"  # milliseconds since 1970
    DURATION = "a duration"  # milliseconds


_QUOTED: Final = {"AS", "CASE", "FROM", "IN", "USING", "VALUES"}  # keywords even behind a dot


@dataclass(frozen=True, slots=True)
class Field:
    """Something a version may have.  Equal are those of one name.

    Attributes:
        kind: ``metric``, ``param``, ``tag``, ``attribute``, ``dataset``, ...
        key: Its name among those.
        scope: Whose: empty for the version itself, ``baseline`` for what it is compared with.
        type: What it holds.
        many: It may hold several values, of which one that fits is enough.
    """

    kind: str
    key: str
    scope: str = ""
    type: Type = field(default=Type.TEXT, compare=False)
    many: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        if self.kind == "now":
            return self.kind
        plain = self.key.isidentifier() and self.key.isascii() and self.key.upper() not in _QUOTED
        quote = '"' if "`" in self.key else "`"
        key = self.key if plain else f"{quote}{self.key}{quote}"
        plural = f"{self.kind}s" if self.kind in {"metric", "param", "tag"} else self.kind
        name = key if self.kind == "attribute" and plain else f"{plural}.{key}"
        return f"{self.scope}.{name}" if self.scope else name


NOW: Final = Field("now", "", type=Type.TIME)


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the filter gives."""

    value: bool | int | float | str
    type: Type = Type.TEXT

    def __str__(self) -> str:
        if isinstance(self.value, bool):
            return str(self.value).lower()
        if isinstance(self.value, str):
            quote = '"' if "'" in self.value else "'"
            return f"{quote}{self.value}{quote}"
        if self.type is Type.DURATION:
            return f"{self.value:g}ms" if isinstance(self.value, float) else f"{self.value}ms"
        if self.value in (float("inf"), float("-inf")):
            return "1e999" if self.value > 0 else "-1e999"
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """*left* ``+``, ``-`` or ``*`` *right*, in floating point."""

    operator: str
    left: Operand
    right: Operand
    type: Type = Type.NUMBER

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}"


@dataclass(frozen=True, slots=True)
class Compare:
    """*left* ``=``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``LIKE`` or ``ILIKE`` *right*.

    *numeric* says whether numbers are compared or text; a constant never stands alone on the left.
    """

    left: Operand
    comparator: str
    right: Operand
    numeric: bool

    def __str__(self) -> str:
        return f"{self.left} {self.comparator} {self.right}"


@dataclass(frozen=True, slots=True)
class Among:
    """*field* is, or with *negated* is not, one of *values*: all text, or all numbers."""

    field: Field
    values: tuple[str, ...] | tuple[float, ...]
    negated: bool = False

    @property
    def numeric(self) -> bool:
        """Whether numbers are compared, or text."""
        return not isinstance(self.values[0], str)

    def __str__(self) -> str:
        values = ", ".join(repr(value) for value in self.values)
        return f"{self.field} {'NOT IN' if self.negated else 'IN'} ({values})"


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no *field*, or with *negated* there is one.  Never unknown."""

    field: Field
    negated: bool = False

    def __str__(self) -> str:
        return f"{self.field} IS {'NOT NULL' if self.negated else 'NULL'}"


@dataclass(frozen=True, slots=True)
class Flag:
    """*field* is true."""

    field: Field

    def __str__(self) -> str:
        return str(self.field)


@dataclass(frozen=True, slots=True)
class Not:
    """*part* is false: neither true nor unknown."""

    part: Expression

    def __str__(self) -> str:
        return f"NOT {_inner(self.part)}"


@dataclass(frozen=True, slots=True)
class And:
    """All *parts* are true; with none, everything is."""

    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return " AND ".join(map(_inner, self.parts))


@dataclass(frozen=True, slots=True)
class Or:
    """One of *parts* is true."""

    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return " OR ".join(map(_inner, self.parts))


Operand: TypeAlias = Field | Constant | Arithmetic
Expression: TypeAlias = Compare | Among | Missing | Flag | Not | And | Or


def fields(node: Expression | Operand) -> Iterator[Field]:
    """Yield the fields that *node* asks for, as they stand, repeated where they repeat."""
    match node:
        case Field():
            yield node
        case Constant():
            return
        case Arithmetic() | Compare():
            yield from fields(node.left)
            yield from fields(node.right)
        case Among() | Missing() | Flag():
            yield node.field
        case Not():
            yield from fields(node.part)
        case And() | Or():
            for part in node.parts:
                yield from fields(part)


def _inner(part: Expression) -> str:
    return f"({part})" if isinstance(part, And | Or) else str(part)
