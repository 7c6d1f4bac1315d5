"""In which order results come, and where a page of them ends.

A page token says after which row to go on, by what that row was sorted by, and for which question:
so a version that appears or goes between two pages makes none come twice or be left out, and a
token that belongs to another question is refused.  It also keeps what ``now`` was.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from mlflow_vault.decide.expression.complaint import complaint
from mlflow_vault.decide.expression.tokens import Kind, tokenise
from mlflow_vault.decide.expression.vocabulary import SEARCH
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_vault.decide.expression.tree import Field

_TOKEN_VERSION: Final = 1
_CHECK: Final = 16  # characters of the digests within a token

Sorted: TypeAlias = "list[int | float | str | None]"


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by *field*; what is missing comes last and NaN before that, in both directions."""

    field: Field
    descending: bool = False

    def __str__(self) -> str:
        return f"{self.field} {'DESC' if self.descending else 'ASC'}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next page begins.

    Attributes:
        now: What ``now`` was for the first page.
        after: What the last row was sorted by, its time and its id; empty before the first.
    """

    now: int
    after: Sorted


def parse_order(text: str) -> Order:
    """Read one item of ``order_by``: ``metrics.f1 DESC``, as MLflow writes it.

    >>> str(parse_order("metrics.`val/f1` desc"))
    'metrics.`val/f1` DESC'

    Raises:
        InvalidInputError: There is no such name, or it may have several values.
    """
    name, *rest = tokenise(text)
    if name.kind is not Kind.WORD:
        raise complaint(text, name.start, "expected a name: metrics.f1 DESC")
    try:
        field = SEARCH.field(name.text)
    except InvalidInputError as cause:
        raise complaint(text, name.start, str(cause)) from cause
    if field.many:
        raise complaint(text, name.start, f"{field} may have several values: it has no order")
    descending = rest[0].says("DESC")
    if rest[0].says("ASC", "DESC"):
        rest = rest[1:]
    if rest[0].kind is not Kind.END:
        raise complaint(text, rest[0].start, "expected ASC, DESC or the end")
    return Order(field, descending)


def question(filter_string: str, orders: Sequence[Order]) -> str:
    """Return a short name of what is asked, that pages of one answer share."""
    asked = json.dumps([filter_string, *map(str, orders)])
    return _check(asked.encode())


def spell_token(asked: str, place: Place) -> str:
    """Spell the token with which the next page is asked for."""
    body = json.dumps([_TOKEN_VERSION, asked, place.now, place.after]).encode()
    return base64.urlsafe_b64encode(_check(body).encode() + body).decode()


def read_token(token: str, asked: str, columns: int) -> Place:
    """Undo `spell_token`.

    Args:
        token: The token.
        asked: What is asked now.
        columns: How many values a row is sorted by.

    Raises:
        InvalidInputError: It is no token, or one of another question.
    """
    try:
        stored = base64.b64decode(token, altchars=b"-_", validate=True)
        check, body = stored[:_CHECK], stored[_CHECK:]
        if _check(body).encode() != check:
            raise InvalidInputError("the page token is damaged: start again without it")
        version, of, now, after = json.loads(body)
    except (binascii.Error, RecursionError, TypeError, ValueError) as cause:
        raise InvalidInputError("that is no page token: start again without it") from cause
    if version != _TOKEN_VERSION or of != asked:
        raise InvalidInputError("the page token is of another search: start again without it")
    sound = isinstance(after, list) and len(after) == columns and isinstance(now, int)
    if not sound or not all(isinstance(one, int | float | str | None) for one in after):
        raise InvalidInputError("the page token is damaged: start again without it")
    return Place(now, after)


def _check(data: bytes) -> str:
    return Digest.of(data).raw.hex()[:_CHECK]
