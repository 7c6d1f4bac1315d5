"""Cuts a filter into words, numbers, quoted text and signs.

The shapes are those that `sqlparse` gives MLflow, so that both read the same:

- a name goes on over its dots: ``tags.mlflow.source.name``, ``metrics.`val/f1```;
- quoted text is taken as it stands between its outer quotes, with no escapes (lists have them, see
  `text_of_element`); ``''`` and a backslash before a quote do not end it.

New are durations, ``7d``, and the signs of arithmetic.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mlflow_vault.decide.expression.complaint import complaint, nearest

UNITS: Final = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}

_BACKTICKED: Final = r"`(?:``|[^`])*`"
_DOUBLE: Final = r'"(?:""|\\"|[^"])*"'
_SINGLE: Final = r"'(?:''|\\'|[^'])*'"
_PIECE: Final = rf"(?:\w+|{_BACKTICKED}|{_DOUBLE}|{_SINGLE}|\[[^\]\[]+\])"
_TOKEN: Final = re.compile(
    rf"""\s*(?:
      (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?P<unit>\w*)
    | (?P<text>{_SINGLE})
    | (?P<word>(?:[^\W\d]\w*|{_BACKTICKED}|{_DOUBLE})(?:\.{_PIECE})*)
    | (?P<comparator>[<>=!~]+)
    | (?P<comment>--|/\*|\#)
    | (?P<sign>[-+*(),])
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)
_ESCAPE: Final = (
    r"\\(?:\n|[\\'\"abfnrtv]|[0-3]?[0-7]{1,2}"
    r"|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^{}]+\})"
)
_WITHIN: Final = {quote: re.compile(f"{_ESCAPE}|{quote}{quote}") for quote in ("'", '"')}


class Kind(Enum):
    """What a token is."""

    NUMBER = "number"
    DURATION = "duration"
    TEXT = "text"  # in single quotes
    WORD = "word"  # a name, a keyword, or text in double quotes
    COMPARATOR = "comparator"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a filter.

    Attributes:
        kind: What it is.
        text: As it stands in the filter; of a duration its number.
        start: Its offset.
        stop: The offset behind it.
        unit: Milliseconds that a duration counts.
    """

    kind: Kind
    text: str
    start: int
    stop: int
    unit: int = 1

    def says(self, *words: str) -> bool:
        """Whether this is one of the keywords or signs *words*, which are in upper case."""
        return self.kind in {Kind.WORD, Kind.SIGN} and self.text.upper() in words

    @property
    def quoted(self) -> bool:
        """Whether this is text in single or double quotes."""
        single = self.kind is Kind.TEXT
        double = self.kind is Kind.WORD and re.fullmatch(_DOUBLE, self.text) is not None
        return single or double


def tokenise(text: str) -> list[Token]:
    """Cut *text* into tokens, the last of which is its end.

    Raises:
        InvalidInputError: Something in it is no token.
    """
    tokens: list[Token] = []
    at = 0
    while not tokens or tokens[-1].kind is not Kind.END:
        found = _TOKEN.match(text, at)
        if found is None or found["comment"]:
            raise _odd(text, at)
        at = found.end()
        if found["number"] is not None:
            tokens.append(_number(text, found))
            continue
        kind = str(found.lastgroup)
        tokens.append(Token(Kind(kind), found[kind], found.start(kind), at))
    return tokens


def text_of_element(token: Token, text: str) -> str:
    r"""Read quoted text within a list, where MLflow reads Python's literals.

    Two quotes inside therefore vanish there, and ``\n`` is a line break.

    Raises:
        InvalidInputError: It names a character that there is not.
    """
    quote = token.text[0]

    def read(found: re.Match[str]) -> str:
        return str(ast.literal_eval(f'"{found[0]}"')) if found[0][0] == "\\" else ""

    try:
        return _WITHIN[quote].sub(read, token.text[1:-1])
    except (SyntaxError, ValueError) as cause:
        raise complaint(text, token.start, f"there is no such character ({cause})") from cause


def _number(text: str, found: re.Match[str]) -> Token:
    start, stop, unit = found.start("number"), found.end(), found["unit"]
    if not unit:
        return Token(Kind.NUMBER, found["number"], start, stop)
    if unit not in UNITS:
        raise complaint(
            text,
            found.start("unit"),
            f"{unit!r} is no unit of a duration; known are {', '.join(UNITS)}",
        )
    return Token(Kind.DURATION, found["number"], start, stop, UNITS[unit])


def _odd(text: str, at: int) -> Exception:
    """Say why there is no token at *at*."""
    at += len(text[at:]) - len(text[at:].lstrip())
    letter = text[at]
    if letter in "'\"`":
        return complaint(text, at, f"the {letter} is never closed")
    if text.startswith(("--", "/*", "#"), at):
        return complaint(text, at, "comments are no part of a filter")
    if letter in "/:@.[":
        return complaint(
            text, at, f"unexpected {letter!r}; a name with it is quoted: metrics.`val/f1`"
        )
    return complaint(text, at, f"unexpected {letter!r}; {nearest(letter, ['AND', 'OR', 'NOT'])}")
