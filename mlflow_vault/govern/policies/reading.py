"""Reads policies from YAML and from Python, and says what is wrong with one: where, and what next.

    policies/credit.yaml:7:5: metrics.accuracy.treshold: there is no such key;
    did you mean threshold?

A policy in Python is a file that leaves a `Policy` under the name ``policy``.  Reading it runs it,
so read only those that you would run; reading YAML runs nothing.
"""

from __future__ import annotations

import runpy
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import ValidationError

from mlflow_vault.decide.expression.complaint import nearest
from mlflow_vault.decide.policy.parts import Part
from mlflow_vault.decide.policy.schema import Policy
from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.govern.policies.yaml_tree import LARGEST, Tree, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

_YAML: Final = {".yaml", ".yml", ".json"}
_SHOWN: Final = 20


def check(path: str | Path) -> Policy:
    """Read the policy at *path*: YAML, JSON, or Python, which is run.

    Raises:
        NotFoundError: There is no such file.
        InvalidInputError: It is no policy; the message tells each fault with line and column.
    """
    path = Path(path)
    if not path.exists():
        raise NotFoundError(f"there is no policy at {path}")
    if not path.is_file() or path.suffix not in {*_YAML, ".py"}:
        raise InvalidInputError(f"{path} is no policy: expected a file .yaml, .yml, .json or .py")
    if path.suffix == ".py":
        return _run(path)
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
        text = raw.decode("utf-8-sig")
    except OSError as cause:
        raise InvalidInputError(f"{path} cannot be read: {cause.strerror}") from cause
    except UnicodeDecodeError as cause:
        raise InvalidInputError(f"{path} is no UTF-8: {cause}") from cause
    return read(text, str(path))


def read(text: str, name: str = "policy") -> Policy:
    """Read the policy that *text* is, in YAML or JSON; *name* is what errors call it.

    Raises:
        InvalidInputError: It is no policy; the message tells each fault with line and column.
    """
    tree = read_tree(text, name)
    if not isinstance(tree.value, dict):
        raise InvalidInputError(f"{name}: a policy is a mapping: apiVersion, kind, metadata, ...")
    try:
        return Policy.model_validate(tree.value)
    except ValidationError as cause:
        raise InvalidInputError(_told(cause, name, tree)) from cause


def _run(path: Path) -> Policy:
    try:
        found = runpy.run_path(str(path), run_name="mlflow_vault_policy").get("policy")
    except ValidationError as cause:
        where = f"{path}:{_line(cause, path)}"
        raise InvalidInputError(_told(cause, where, None)) from cause
    except (Exception, SystemExit) as cause:
        line = getattr(cause, "lineno", None) or _line(cause, path)
        kind = type(cause).__name__
        raise InvalidInputError(f"{path}:{line}: it raised {kind}: {cause!s:.500}") from cause
    if not isinstance(found, Policy):
        raise InvalidInputError(f"{path} leaves no Policy under the name 'policy'")
    return found


def _line(cause: BaseException, path: Path) -> int:
    frames = traceback.extract_tb(cause.__traceback__)
    lines = [frame.lineno or 1 for frame in frames if frame.filename == str(path)]
    return lines[-1] if lines else 1


def _told(cause: ValidationError, name: str, tree: Tree | None) -> str:
    """Say each fault in a line of its own, in the order of the file."""
    lines = []
    for fault in cause.errors(include_url=False):
        path, kind = fault["loc"], fault["type"]
        message = _message(fault["msg"], kind, path, fault.get("input"))
        dotted = _dotted(path)
        place = None if tree is None else tree.place(path, key=kind == "extra_forbidden")
        where = f"{name}:{place}" if place is not None else name
        order = (place.line, place.column) if place is not None else (0, 0)
        lines.append((order, f"{where}: {dotted}{': ' if dotted else ''}{message}"))
    lines.sort(key=lambda line: line[0])
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n".join([*(line for _, line in lines[:_SHOWN]), *more])


def _message(told: str, kind: str, path: tuple[str | int, ...], given: Any) -> str:
    if kind == "missing":
        return "it is missing"
    if kind == "extra_forbidden":
        return f"there is no such key; {nearest(str(path[-1]), _keys(path[:-1]))}"
    if kind == "literal_error" and isinstance(given, str):
        words = told.split("'")[1::2]
        return f"got {given!r:.80}; {nearest(given, words)}"
    if kind in {"model_type", "dict_type"}:
        return "expected a mapping: keys and their values"
    return told.removeprefix("Value error, ").replace("Input should be", "expected")


def _dotted(path: tuple[str | int, ...]) -> str:
    """Spell the way to a value: ``examples[0].given``."""
    spelled = ""
    for part in path:
        piece = f"[{part}]" if isinstance(part, int) else f"{part:.100}"
        spelled += piece if isinstance(part, int) or not spelled else f".{piece}"
    return spelled


def _keys(path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that are known at *path*."""
    model: type[Part] = Policy
    for part in path:
        for name, known in model.model_fields.items():
            if part in (name, known.validation_alias):
                model = next(_models(known.annotation), model)
                break
    return [str(known.validation_alias or name) for name, known in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
