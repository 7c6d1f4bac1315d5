"""Lists behind IN: text as Python reads it, for so MLflow does, or numbers.

    ('a', "b",)    (('a', 'b'))    ('it' 's')    (1, 2.5, -3)

Two texts beside each other are one text, in MLflow as in Python.  That may be a forgotten comma,
so where the filter is read strictly it is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow_vault.decide.expression.complaint import complaint
from mlflow_vault.decide.expression.tokens import Kind, Token, text_of_element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_vault.errors import InvalidInputError


def read_list(
    text: str, tokens: Sequence[Token], at: int
) -> tuple[tuple[str, ...] | tuple[float, ...], int, InvalidInputError | None]:
    """Read the list of the filter *text* that begins at the token *at*.

    Returns:
        Its values, the token behind it, and what is wrong with it if one is strict.

    Raises:
        InvalidInputError: There is no list, or it is empty or mixed.
    """
    first = at
    while tokens[at].says("("):  # parentheses around the whole list say nothing
        at += 1
    depth = at - first
    if not depth:
        raise complaint(text, tokens[at].start, "expected a list: ('a', 'b')")
    values: list[str | float] = []
    loose: InvalidInputError | None = None
    while not tokens[at].says(")"):
        value, at, beside = _element(text, tokens, at)
        loose = loose or beside
        values.append(value)
        if tokens[at].says(","):
            at += 1
        elif not tokens[at].says(")"):
            raise complaint(text, tokens[at].start, "expected , or ) in the list")
    for _ in range(depth):
        if not tokens[at].says(")"):
            raise complaint(text, tokens[at].start, "expected ) behind the list")
        at += 1
    if not values:
        raise complaint(text, tokens[first].start, "expected values: the list is empty")
    words = tuple(value for value in values if isinstance(value, str))
    numbers = tuple(value for value in values if not isinstance(value, str))
    if words and numbers:
        raise complaint(text, tokens[first].start, "a list holds text or numbers, not both")
    return words or numbers, at, loose


def _element(
    text: str, tokens: Sequence[Token], at: int
) -> tuple[str | float, int, InvalidInputError | None]:
    token = tokens[at]
    if not token.quoted:
        negative = token.says("-")
        at += negative
        token = tokens[at]
        if token.kind is not Kind.NUMBER:
            hint = f": {token.text!r}" if token.kind is Kind.WORD else ""
            raise complaint(text, token.start, f"expected text in quotes or a number{hint}")
        value = float(token.text)
        return -value if negative else value, at + 1, None
    pieces, loose = [text_of_element(token, text)], None
    while tokens[at + 1].quoted:
        at += 1
        loose = loose or complaint(text, tokens[at].start, "expected , or ) in the list")
        pieces.append(text_of_element(tokens[at], text))
    return "".join(pieces), at + 1, loose
