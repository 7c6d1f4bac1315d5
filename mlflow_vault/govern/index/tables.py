"""The tables of the index, and where in them each field lies.

    meta       whose this is, of which release, and the digest of what MLflow said last
    versions   one row each; a column for each attribute
    names      the number of each field of which there may be any
    numbers    metrics: of a field, of a version; NULL is NaN
    texts      params, metadata and tags as recorded; beside the text the number it reads as
    live       tags as MLflow has them; one here hides the recorded one
    many       aliases, stages, datasets, flavors, parents: several values of a version

All but `versions` are sorted by field, so that a condition reads what concerns it alone.
"""

from __future__ import annotations

from typing import Final

from mlflow_vault.decide.expression.tree import Field, Type
from mlflow_vault.decide.expression.vocabulary import SEARCH
from mlflow_vault.errors import InvalidInputError

SCHEMA_VERSION: Final = 1  # a file of another one is made again

_ATTRIBUTES: Final = [SEARCH.field(key) for key in sorted(SEARCH.closed["attribute"])]
COLUMNS: Final = tuple(field.key for field in _ATTRIBUTES if not field.many)

_COLUMNS_SQL: Final = ", ".join(
    f"{field.key} {'TEXT' if field.type is Type.TEXT else 'INTEGER'}"
    for field in _ATTRIBUTES
    if not field.many
)
_ROW: Final = "field INTEGER, version INTEGER"
_SORTED: Final = "PRIMARY KEY (field, version)) WITHOUT ROWID"
SCHEMA: Final = (
    "CREATE TABLE meta (vault TEXT, schema INTEGER, told TEXT)",
    (
        f"CREATE TABLE versions (row INTEGER PRIMARY KEY, record TEXT UNIQUE, {_COLUMNS_SQL}, "
        "UNIQUE (held, id))"
    ),
    "CREATE INDEX called ON versions (name, number)",
    "CREATE TABLE names (field INTEGER PRIMARY KEY, kind TEXT, key TEXT, UNIQUE (kind, key))",
    f"CREATE TABLE numbers ({_ROW}, value REAL, {_SORTED}",
    f"CREATE TABLE texts ({_ROW}, value TEXT NOT NULL, number REAL, {_SORTED}",
    f"CREATE TABLE live ({_ROW}, value TEXT NOT NULL, number REAL, {_SORTED}",
    f"CREATE TABLE many ({_ROW}, value TEXT, PRIMARY KEY (field, version, value)) WITHOUT ROWID",
)
CHILDREN: Final = ("numbers", "texts", "live", "many")


def table_of(field: Field) -> str:
    """Return the table that holds *field*.

    Raises:
        InvalidInputError: None does; only a policy can ask for it.
    """
    if field.scope:
        raise InvalidInputError(f"{field}: a search compares a version with no other one")
    if field.many:
        return "many"
    if field.kind == "attribute" and field.key in COLUMNS:
        return "versions"
    table = {"metric": "numbers", "param": "texts", "metadata": "texts", "tag": "live"}.get(
        field.kind
    )
    if table is None:
        raise InvalidInputError(f"{field} cannot be searched for")
    return table
