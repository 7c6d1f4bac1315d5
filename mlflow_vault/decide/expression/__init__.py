"""The filter language of searches and policies: MLflow's, and more.

`parse` makes a tree of frozen values; `evaluate` and `judge` ask it of one version; the index turns
it into SQL.

What MLflow's searches for runs and for model versions accept means the same here; where those two
differ, what versions have counts.  Beyond that: OR, NOT, parentheses, IN for numbers, IS NULL for
everything, arithmetic, one field against another, ``params.lr < 0.01`` for text that reads as a
number, times and durations.  Refused is only what MLflow accepts and nobody can mean: a key that is
no name (``params. = 'x'``, ``params.a b IS NULL``), one value against a list (``run_id = ('a')``),
prefixes and tuples within lists; and what is longer or deeper than `parser` says.

Pure: no I/O.
"""

from __future__ import annotations

from mlflow_vault.decide.expression.evaluate import Lookup, Value, evaluate, judge
from mlflow_vault.decide.expression.parser import parse
from mlflow_vault.decide.expression.tree import NOW, Expression, Field, Type, fields
from mlflow_vault.decide.expression.vocabulary import SEARCH, Vocabulary

__all__ = [
    "NOW",
    "SEARCH",
    "Expression",
    "Field",
    "Lookup",
    "Type",
    "Value",
    "Vocabulary",
    "evaluate",
    "fields",
    "judge",
    "parse",
]
