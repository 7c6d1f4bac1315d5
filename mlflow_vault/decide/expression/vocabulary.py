"""The names that a filter may use, and what each holds.

MLflow's names, in all spellings that MLflow takes, and those of versions.  A policy knows more than
a search: it adds names, and the scope ``baseline``::

    POLICY = SEARCH.extended({"evidence": {"age": Type.DURATION}}, scopes={"baseline"})
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.expression.complaint import nearest
from mlflow_vault.decide.expression.tree import Field, Type
from mlflow_vault.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

_SPELLINGS: Final = {
    "metrics": "metric",
    "parameter": "param",
    "parameters": "param",
    "params": "param",
    "tags": "tag",
    "attr": "attribute",
    "attributes": "attribute",
    "run": "attribute",
    "version": "attribute",
    "datasets": "dataset",
}
_PLURALS: Final = {"metric": "metrics", "param": "params", "tag": "tags"}
_RENAMED: Final = {
    "Created": "created",
    "creation_timestamp": "created",
    "run name": "run_name",
    "Run name": "run_name",
    "Run Name": "run_name",
    "version_number": "number",
    "source": "source_path",
    "aliases": "alias",
}
_ATTRIBUTES: Final = {
    "artifact_uri": Type.TEXT,
    "author": Type.TEXT,
    "created": Type.TIME,
    "digest": Type.TEXT,
    "end_time": Type.TIME,
    "experiment": Type.TEXT,
    "experiment_id": Type.TEXT,
    "git_branch": Type.TEXT,
    "git_commit": Type.TEXT,
    "git_dirty": Type.FLAG,
    "held": Type.FLAG,
    "id": Type.TEXT,
    "mlflow_version": Type.TEXT,
    "model_id": Type.TEXT,
    "model_type": Type.TEXT,
    "name": Type.TEXT,
    "number": Type.NUMBER,
    "python": Type.TEXT,
    "run_id": Type.TEXT,
    "run_name": Type.TEXT,
    "size": Type.NUMBER,
    "source_path": Type.TEXT,
    "start_time": Type.TIME,
    "status": Type.TEXT,
    "user_id": Type.TEXT,
}
_MANY: Final = {
    "attribute": {"alias", "flavor", "parent", "stage"},
    "dataset": {"b3", "context", "digest", "name"},
}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Which names there are.

    Attributes:
        open: Kinds of which any key may be asked, and what those hold.
        closed: Kinds of which the keys are known, and what each holds.
        scopes: Whom but the version itself may be asked.
    """

    open: Mapping[str, Type]
    closed: Mapping[str, Mapping[str, Type]]
    scopes: frozenset[str] = frozenset()

    def extended(
        self, names: Mapping[str, Mapping[str, Type]], *, scopes: AbstractSet[str] = frozenset()
    ) -> Vocabulary:
        """Return this vocabulary with more *names*, by kind, and *scopes*."""
        closed = dict(self.closed)
        for kind, keys in names.items():
            closed[kind] = {**closed.get(kind, {}), **keys}
        return replace(self, closed=closed, scopes=self.scopes | scopes)

    def field(self, name: str) -> Field:
        """Return the field that *name* spells, which may be quoted in parts, as MLflow reads it.

        >>> SEARCH.field("metrics.`val/f1`")
        Field(kind='metric', key='val/f1', scope='', type=<Type.NUMBER: 'a number'>, many=False)

        Raises:
            InvalidInputError: There is no such name; it says which may be meant.
        """
        scope, _, rest = name.partition(".")
        if rest and scope in self.scopes:
            name = rest
        else:
            scope = ""
        head, dot, key = name.partition(".")
        if not dot:
            head, key = "attribute", name
        kind = _SPELLINGS.get(_bare(head, "`"), _bare(head, "`"))
        key = _bare(_bare(key, "'", '"'), "`")
        if kind in self.open:
            return Field(kind, key, scope, self.open[kind])
        if kind not in self.closed:
            known = [_PLURALS.get(kind, kind) for kind in (*self.open, *self.closed)]
            known += self.scopes
            raise InvalidInputError(f"there is no {head}.<name>; {nearest(head, known)}")
        key = _RENAMED.get(key, key) if kind == "attribute" else key
        many = key in _MANY.get(kind, ())
        if key not in self.closed[kind]:
            called = f"no {kind} called {key!r}" if dot else f"nothing called {key!r}"
            raise InvalidInputError(f"there is {called}; {nearest(key, self.closed[kind])}")
        return Field(kind, key, scope, self.closed[kind][key], many)


SEARCH: Final = Vocabulary(
    open=MappingProxyType(
        {
            "metric": Type.NUMBER,
            "param": Type.LOOSE,
            "tag": Type.LOOSE,
            "metadata": Type.LOOSE,
        }
    ),
    closed=MappingProxyType(
        {
            "attribute": _ATTRIBUTES | dict.fromkeys(_MANY["attribute"], Type.TEXT),
            "dataset": dict.fromkeys(_MANY["dataset"], Type.TEXT),
        }
    ),
)


def _bare(name: str, *quotes: str) -> str:
    """*name* without the quotes around it, if it begins and ends with the same of *quotes*."""
    for quote in quotes:
        if len(name) > 1 and name.startswith(quote) and name.endswith(quote):
            return name[1:-1]
    return name
