"""YAML as plain values, and the line and column that each of them stands at.

Only what JSON could say is read: no tags but those of text, numbers, true, false and null; no
anchors that are used again, which can make a small file a large one; no key twice.  What YAML 1.1
takes for a date stays text, and so does every key (``on``, ``no``, ``1``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import yaml

from mlflow_vault.errors import InvalidInputError

LARGEST: Final = 256 * 1024  # bytes; policies that people write have a hundredth of that
DEEPEST: Final = 30
_TAG: Final = "tag:yaml.org,2002:"
_TEXTS: Final = {_TAG + kind for kind in ("str", "timestamp", "merge", "value")}

Path: TypeAlias = "tuple[str | int, ...]"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands, counted from one."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Tree:
    """What a file says.

    Attributes:
        value: As plain values.
        keys: Where the key of each value stands, by the way to it.
        places: Where each value stands.
    """

    value: Any
    keys: dict[Path, Place] = field(default_factory=dict)
    places: dict[Path, Place] = field(default_factory=dict)

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Return where the value at *path* stands, or its key; or what is nearest above it."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(1, 1))


def read_tree(text: str, name: str) -> Tree:
    """Read YAML; JSON is YAML too.

    Args:
        text: What the file holds.
        name: What the file is called, for errors.

    Raises:
        InvalidInputError: It is no YAML, or says more than JSON could.
    """
    if len(text) > LARGEST:
        raise InvalidInputError(f"{name}: a policy has at most {LARGEST:,} characters")
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        tree = Tree(None)
        value = _plain(loader, node, (), tree) if node is not None else None
    except yaml.MarkedYAMLError as cause:
        mark = cause.problem_mark or cause.context_mark
        where = f":{_place(mark)}" if mark is not None else ""
        raise InvalidInputError(f"{name}{where}: {_problem(cause)}") from cause
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as cause:
        raise InvalidInputError(f"{name}: it is no YAML: {cause!s:.200}") from cause
    finally:
        if loader is not None:
            loader.dispose()
    return Tree(value, tree.keys, tree.places)


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """Composes nodes, without aliases and not deeper than anybody writes."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Return the next node."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise _odd(event.start_mark, f"write it out: *{event.anchor} is no part of a policy")
        self.depth += 1
        if self.depth > DEEPEST:
            raise _odd(self.peek_event().start_mark, f"it is nested deeper than {DEEPEST}")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


# 1e-3, which YAML 1.1 takes for text.
_Loader.add_implicit_resolver(
    _TAG + "float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _plain(loader: _Loader, node: Any, path: Path, tree: Tree) -> Any:
    tree.places[path] = _place(node.start_mark)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(loader, node)
    kind = "map" if isinstance(node, yaml.MappingNode) else "seq"
    if node.tag != _TAG + kind:
        raise _odd(node.start_mark, f"{node.tag:.80} is no part of a policy")
    if kind == "seq":
        return [_plain(loader, one, (*path, at), tree) for at, one in enumerate(node.value)]
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _odd(key.start_mark, "a key is text")
        if key.value in found:
            raise _odd(key.start_mark, f"the key {key.value[:60]!r} stands here twice")
        tree.keys[(*path, key.value)] = _place(key.start_mark)
        found[key.value] = _plain(loader, value, (*path, key.value), tree)
    return found


def _scalar(loader: _Loader, node: Any) -> Any:
    text: str = node.value
    if node.tag in _TEXTS:
        return text
    construct = {
        _TAG + "null": loader.construct_yaml_null,
        _TAG + "bool": loader.construct_yaml_bool,
        _TAG + "int": loader.construct_yaml_int,
        _TAG + "float": loader.construct_yaml_float,
    }.get(node.tag)
    if construct is None:
        raise _odd(node.start_mark, f"{node.tag:.80} is no part of a policy")
    try:
        return construct(node)
    except (ArithmeticError, LookupError, TypeError, ValueError) as cause:
        kind = node.tag.removeprefix(_TAG)
        raise _odd(node.start_mark, f"{text[:60]!r} is no {kind}") from cause


def _problem(cause: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (cause.context, cause.problem) if part)


def _place(mark: Any) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _odd(mark: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
