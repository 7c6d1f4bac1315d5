"""Turns a filter into SQL that gives exactly the versions that `evaluate` finds.

SQL text is made of constants of this module alone; names and values are bound.

Each condition becomes the set of versions for which it is true or, below a NOT, false: NOT is
pushed down to the conditions, where something missing is in neither set.  So AND and OR need no
third value::

    NOT (metrics.f1 > 0.9 AND held)

    (row IN (those with an f1 that is not > 0.9) OR held = 0)

Sets are read once, in the order in which they lie, where a question for each version would be a
search for each.
"""

# ruff: noqa: S608 - SQL is made of our own words alone; names and values are bound

from __future__ import annotations

from typing import Final, TypeAlias

from mlflow_vault.decide.expression.tree import (
    NOW,
    Among,
    And,
    Arithmetic,
    Compare,
    Constant,
    Expression,
    Field,
    Flag,
    Missing,
    Not,
    Operand,
    Or,
    Type,
    fields,
)
from mlflow_vault.govern.index.known import NONE_IS_KNOWN, clean
from mlflow_vault.govern.index.tables import table_of

Bound: TypeAlias = "int | float | str | None"

_LARGEST: Final = 2**63 - 1
_PATTERNS: Final = {"LIKE": "is_like", "ILIKE": "is_ilike"}


class Compiler:
    """Collects the values to bind while it makes SQL about the table ``versions AS v``.

    Attributes:
        values: What to bind, by name.
    """

    def __init__(self, now: int) -> None:
        self.values: dict[str, Bound] = {}
        self._now = now

    def bind(self, value: Bound) -> str:
        """Return the place of *value* in the SQL."""
        if isinstance(value, str):
            value = clean(value)
        elif isinstance(value, int) and abs(value) > _LARGEST:
            value = float("inf") if value > 0 else float("-inf")  # as far as any number kept here
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def condition(self, node: Expression, *, wanted: bool = True) -> str:
        """Return SQL that is true where *node* is true or, if not *wanted*, where it is false.

        Raises:
            InvalidInputError: It asks what only a policy can know.
        """
        match node:
            case Not():
                return self.condition(node.part, wanted=not wanted)
            case And() | Or():
                join = " AND " if isinstance(node, And) is wanted else " OR "
                parts = [self.condition(part, wanted=wanted) for part in node.parts]
                return f"({join.join(parts)})" if parts else str(int(wanted))
            case Flag():
                table_of(node.field)
                return f"v.{node.field.key} = {int(wanted)}"
            case Missing():
                return self._missing(node.field, wanted=wanted is not node.negated)
            case Among():
                column = "number" if node.numeric else "value"
                listed = ", ".join(map(self.bind, node.values))
                test = f"{{{column}}} {'NOT IN' if node.negated else 'IN'} ({listed})"
                return self._fits(node.field, test, wanted=wanted)
            case Compare():
                return self._compare(node, wanted=wanted)

    def scalar(self, operand: Operand, *, numeric: bool) -> str:
        """Return SQL for the value of *operand* of one version, NULL where it is missing or NaN."""
        match operand:
            case Constant():
                return self.bind(operand.value)
            case Arithmetic():
                left = self._side(operand.left, within=operand.operator)
                right = self._side(operand.right, within=f"{operand.operator} on the right")
                return f"{left} {operand.operator} {right}"
            case Field():
                pass
        if operand == NOW:
            return self.bind(self._now)
        table = table_of(operand)
        if table == "versions":
            return f"v.{operand.key}"
        column = "number" if numeric and table != "numbers" else "value"
        where = f"field = {self._number_of(operand)} AND version = v.row"
        found = f"(SELECT {column} FROM {table} WHERE {where})"
        if table != "live":
            return found
        recorded = f"(SELECT {column} FROM texts WHERE {where})"
        return f"CASE WHEN {self._there(operand, 'live')} THEN {found} ELSE {recorded} END"

    def rank(self, field: Field) -> str:
        """Return SQL that sorts values first, NaN second and what is missing last."""
        value = self.scalar(field, numeric=False)
        there = self._there(field, "numbers") if table_of(field) == "numbers" else "0"
        return f"CASE WHEN {value} IS NOT NULL THEN 0 WHEN {there} THEN 1 ELSE 2 END"

    def _side(self, operand: Operand, *, within: str) -> str:
        """Return SQL for one side of a calculation, with as few parentheses as it takes."""
        sql = self.scalar(operand, numeric=True)
        if not isinstance(operand, Arithmetic):
            return f"CAST({sql} AS REAL)"
        binds = within in {"+", "-"} or (operand.operator == "*" and within != "* on the right")
        return sql if binds else f"({sql})"

    def _compare(self, node: Compare, *, wanted: bool) -> str:
        if not isinstance(node.right, Constant) or not isinstance(node.left, Field):
            return self._calculated(node, wanted=wanted)
        column = "number" if node.numeric else "value"
        right = self.bind(node.right.value)
        if node.left == NOW:
            test = f"{self.bind(self._now)} {node.comparator} {right}"
            return test if wanted else f"NOT {test}"
        if node.comparator in _PATTERNS:
            return self._fits(
                node.left, f"{_PATTERNS[node.comparator]}({{value}}, {right})", wanted=wanted
            )
        test = f"{{{column}}} {node.comparator} {right}"
        if node.comparator == "!=" and table_of(node.left) == "numbers":
            test = f"({test} OR {{number}} IS NULL)"  # NaN
        return self._fits(node.left, test, wanted=wanted)

    def _calculated(self, node: Compare, *, wanted: bool) -> str:
        """Compare values of each version, where no constant says which of a set to read."""
        left = self.scalar(node.left, numeric=node.numeric)
        right = self.scalar(node.right, numeric=node.numeric)
        test = f"{left} {node.comparator} {right}"
        if not wanted:
            return f"NOT ({test})"
        if node.comparator != "!=" or not node.numeric:
            return f"({test})"
        there = " AND ".join(map(self._present, (*fields(node.left), *fields(node.right))))
        return f"({there} AND ({test} OR ({test}) IS NULL))"

    def _fits(self, field: Field, test: str, *, wanted: bool) -> str:
        """Return SQL for the versions of which a value of *field* passes *test*, or fails it."""
        table = table_of(field)
        if table == "versions":
            test = test.format(value=f"v.{field.key}", number=f"v.{field.key}")
            return f"({test})" if wanted else f"NOT ({test})"
        test = test.format(value="value", number="value" if table == "numbers" else "number")
        if table == "many":
            if wanted:
                return f"v.row IN ({self._those(field, table, test)})"
            none = f"v.row NOT IN ({self._those(field, table, test)})"
            known = f"v.row IN ({self._those(field, table)})"
            return none if field in NONE_IS_KNOWN else f"({none} AND {known})"
        return self._single(field, test if wanted else f"NOT ({test})")

    def _single(self, field: Field, test: str = "1") -> str:
        """Return SQL for the versions that have a *field*, and one that passes *test*."""
        table = table_of(field)
        found = f"v.row IN ({self._those(field, table, test)})"
        if table != "live":
            return found
        hidden = f"version NOT IN ({self._those(field, table)})"
        return f"({found} OR v.row IN ({self._those(field, 'texts', test)} AND {hidden}))"

    def _missing(self, field: Field, *, wanted: bool) -> str:
        table = table_of(field)
        if table == "versions":
            return f"v.{field.key} IS {'' if wanted else 'NOT '}NULL"
        found = self._single(field)
        return f"NOT {found}" if wanted else found

    def _those(self, field: Field, table: str, test: str = "1") -> str:
        return f"SELECT version FROM {table} WHERE field = {self._number_of(field)} AND ({test})"

    def _there(self, field: Field, table: str) -> str:
        where = f"field = {self._number_of(field)} AND version = v.row"
        return f"EXISTS (SELECT 1 FROM {table} WHERE {where})"

    def _present(self, field: Field) -> str:
        if field != NOW and table_of(field) == "numbers":
            return self._there(field, "numbers")
        return f"{self.scalar(field, numeric=field.type is not Type.TEXT)} IS NOT NULL"

    def _number_of(self, field: Field) -> str:
        kind, key = self.bind(field.kind), self.bind(field.key)
        return f"(SELECT n.field FROM names AS n WHERE n.kind = {kind} AND n.key = {key})"
