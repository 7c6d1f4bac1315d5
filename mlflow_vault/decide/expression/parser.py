"""Reads the filter language: MLflow's, and more.

    filter     := [any]
    any        := all (OR all)*
    all        := one (AND one)*
    one        := NOT one | "(" any ")" | condition
    condition  := sum COMPARATOR sum | name [NOT] IN list | sum [NOT] (LIKE | ILIKE) text
                | name IS [NOT] NULL | name
    sum        := product (("+" | "-") product)*
    product    := value ("*" value)*
    value      := ["-"] number | ["-"] duration | text | true | false | now | name

A name is ``kind.key`` or an attribute's alone; see `vocabulary`.

MLflow skips what joins its comparisons: it takes ``a AND``, ``AND a``, ``a AND AND b`` and ``a b``.
So does `parse`, unless it is *strict* or the filter goes beyond MLflow's language: then somebody
may have forgotten an OR.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from mlflow_vault.decide.expression.complaint import complaint
from mlflow_vault.decide.expression.lists import read_list
from mlflow_vault.decide.expression.operands import FLIPPED, among, calculate, compare, flag
from mlflow_vault.decide.expression.tokens import Kind, Token, tokenise
from mlflow_vault.decide.expression.tree import (
    NOW,
    And,
    Arithmetic,
    Constant,
    Expression,
    Field,
    Missing,
    Not,
    Operand,
    Or,
    Type,
)
from mlflow_vault.decide.expression.vocabulary import SEARCH, Vocabulary
from mlflow_vault.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

# What people write needs none of these.  They keep a stranger's filter within what Python's stack
# and SQLite take: its parser stops at 100 open symbols, which 15 parentheses may come to, and it
# takes 1,000 conditions in a row.
MAX_LENGTH: Final = 200_000  # characters
MAX_DEPTH: Final = 10  # parentheses and NOTs within each other
MAX_CONDITIONS: Final = 400
MAX_ELEMENTS: Final = 10_000  # of all lists
MAX_TERMS: Final = 32  # of one sum

EVERYTHING: Final = And(())


def parse(text: str, vocabulary: Vocabulary = SEARCH, *, strict: bool = False) -> Expression:
    """Read the filter *text*.

    Args:
        text: The filter; empty for everything.
        vocabulary: The names it may use.
        strict: Whether conditions that are not properly joined are refused, as in a policy.

    Raises:
        InvalidInputError: It is no filter; the message shows where, and what was expected.

    >>> str(parse("metrics.f1>.9 and (tags.team='risk' or not params.lr < 0.1)"))
    "metrics.f1 > 0.9 AND (tags.team = 'risk' OR NOT params.lr < 0.1)"
    """
    if not text:
        return EVERYTHING
    if len(text) > MAX_LENGTH:
        raise InvalidInputError(
            f"a filter has at most {MAX_LENGTH:,} characters, this one {len(text):,}"
        )
    return _Parser(text, vocabulary).read(strict=strict)


class _Parser:
    """One pass over the tokens of one filter."""

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self._text = text
        self._vocabulary = vocabulary
        self._tokens = tokenise(text)
        self._at = 0
        self._depth = 0
        self._conditions = 0
        self._elements = 0
        self._loose: InvalidInputError | None = None  # what MLflow skips
        self._beyond = False  # MLflow's language

    def read(self, *, strict: bool) -> Expression:
        """Read everything there is."""
        found = self._any()
        if self._at + 1 < len(self._tokens):
            raise self._complaint(f"expected AND, OR or the end, not {self._token.text!r}")
        if self._loose is not None and (strict or self._beyond):
            raise self._loose
        return found

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _take(self, *words: str) -> bool:
        """Whether the next token is one of *words*, which is then behind us."""
        if self._token.says(*words):
            self._at += 1
            return True
        return False

    def _complaint(self, message: str, token: Token | None = None) -> InvalidInputError:
        return complaint(self._text, (token or self._token).start, message)

    def _any(self) -> Expression:
        parts = [self._all()]
        while self._take("OR"):
            self._beyond = True
            parts.append(self._all())
        return _flat(Or, parts)

    def _all(self) -> Expression:
        parts: list[Expression] = []
        joined = False  # by an AND before the next condition
        while True:
            if self._token.says("AND"):
                if joined or not parts:
                    self._skip("expected a condition before AND")
                joined = True
                self._at += 1
            elif self._token.kind is Kind.END or self._token.says("OR", ")", ","):
                break
            else:
                if parts and not joined:
                    self._skip(f"expected AND, OR or the end, not {self._token.text!r}")
                parts.append(self._one())
                joined = False
        if joined:
            self._skip("expected a condition behind AND")
        elif not parts:
            raise self._complaint("expected a condition: metrics.f1 > 0.9")
        return _flat(And, parts)

    def _skip(self, message: str) -> None:
        """Remember the first thing that MLflow skips, and we too, perhaps."""
        self._loose = self._loose or self._complaint(message)

    def _one(self) -> Expression:
        if not self._token.says("NOT", "("):
            return self._condition()
        self._beyond = True
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._complaint(f"parentheses and NOTs lie deeper than {MAX_DEPTH}")
        found: Expression
        opened = self._token
        if self._take("NOT"):
            found = Not(self._one())
        else:
            self._at += 1
            found = self._any()
            if not self._take(")"):
                raise self._complaint(f"expected ) for the ( at column {opened.start + 1}")
        self._depth -= 1
        return found

    def _condition(self) -> Expression:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise self._complaint(f"a filter has at most {MAX_CONDITIONS} conditions")
        start = self._token
        left = self._sum(name=True)
        if self._token.kind is Kind.COMPARATOR:
            comparator = self._comparator()
            return self._pair(left, comparator, self._token)
        negated = self._take("NOT")
        word = self._token
        if self._take("LIKE", "ILIKE"):
            found = self._pair(left, word.text.upper(), self._token)
            return Not(found) if negated else found
        if self._take("IN"):
            return self._among(left, start, negated=negated)
        if not negated and self._take("IS"):
            negated = self._take("NOT")
            if not self._take("NULL"):
                raise self._complaint("expected NULL or NOT NULL")
            return Missing(self._named(left, start), negated)
        if negated:
            raise self._complaint("expected LIKE, ILIKE or IN behind NOT")
        self._beyond = True
        return self._checked(self._token, lambda: flag(left))

    def _pair(self, left: Operand, comparator: str, at: Token) -> Expression:
        right = self._sum(name=False)
        return self._checked(at, lambda: compare(left, comparator, right))

    def _comparator(self) -> str:
        token = self._token
        if token.text not in FLIPPED:
            meant = {"==": "=", "<>": "!=", "=<": "<=", "=>": ">="}.get(token.text)
            hint = f"did you mean {meant}?" if meant else f"known are {', '.join(FLIPPED)}"
            raise self._complaint(f"there is no {token.text}; {hint}")
        self._at += 1
        return token.text

    def _among(self, left: Operand, start: Token, *, negated: bool) -> Expression:
        field, opened = self._named(left, start), self._token
        values, self._at, loose = read_list(self._text, self._tokens, self._at)
        self._elements += len(values)
        if self._elements > MAX_ELEMENTS:
            raise self._complaint(f"lists have at most {MAX_ELEMENTS:,} values together", opened)
        self._loose = self._loose or loose
        return self._checked(opened, lambda: among(field, values, negated=negated))

    def _named(self, operand: Operand, start: Token) -> Field:
        if not isinstance(operand, Field) or operand == NOW:
            raise self._complaint("expected a name here", start)
        return operand

    def _sum(self, *, name: bool) -> Operand:
        return self._chain(("+", "-"), lambda: self._product(name=name))

    def _product(self, *, name: bool) -> Operand:
        return self._chain(("*",), lambda: self._value(name=name))

    def _chain(self, signs: tuple[str, ...], read: Callable[[], Operand]) -> Operand:
        """Read terms with *signs* between them, which bind to the left."""
        left, terms = read(), 1
        while self._token.says(*signs):
            sign = self._token
            terms += 1
            if terms > MAX_TERMS:
                raise self._complaint(f"there are at most {MAX_TERMS} terms in a row", sign)
            self._at += 1
            left = self._calculated(sign, left, read())
        return left

    def _calculated(self, sign: Token, left: Operand, right: Operand) -> Arithmetic:
        self._beyond = True
        return self._checked(sign, lambda: calculate(sign.text, left, right))

    def _value(self, *, name: bool) -> Operand:
        """Read one value; text in double quotes is a *name* where one is expected."""
        sign = -1 if self._take("-") else 1
        token = self._token
        self._at += 1
        if token.kind in {Kind.NUMBER, Kind.DURATION}:
            kind = Type.NUMBER if token.kind is Kind.NUMBER else Type.DURATION
            value = self._checked(token, lambda: _number(token.text))
            return Constant(sign * value * token.unit, kind)
        if sign < 0:
            raise self._complaint("expected a number behind -", token)
        if token.kind is Kind.TEXT or (token.quoted and not name):
            return Constant(token.text[1:-1])
        if token.kind is not Kind.WORD or token.says("AND", "OR", "NOT", "IN", "IS", "LIKE"):
            expected = "a name: metrics.f1" if name else "a number, text in quotes or a name"
            raise self._complaint(f"expected {expected}", token)
        if token.says("TRUE", "FALSE") and not name:
            return Constant(token.says("TRUE"), Type.FLAG)
        if token.says("NOW"):
            return NOW
        return self._checked(token, lambda: self._field(token, name=name))

    def _field(self, token: Token, *, name: bool) -> Field:
        try:
            return self._vocabulary.field(token.text)
        except InvalidInputError as cause:
            if name or "." in token.text:
                raise
            raise InvalidInputError(f"text is written in quotes: {token.text!r}") from cause

    def _checked(self, token: Token, make: Callable[[], _T]) -> _T:
        """Return what *make* makes, its complaint pointing at *token*."""
        try:
            return make()
        except InvalidInputError as cause:
            raise self._complaint(str(cause), token) from cause


def _flat(join: type[And | Or], parts: list[Expression]) -> Expression:
    """Join *parts*; those that are joined in the same way already lie beside the others."""
    flat: list[Expression] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, join) else [part])
    once = tuple(dict.fromkeys(flat))  # what is said twice is said once
    return once[0] if len(once) == 1 else join(once)


def _number(text: str) -> int | float:
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError as cause:
        raise InvalidInputError(f"that is no number: {cause}") from cause
