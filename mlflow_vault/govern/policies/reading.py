"""Reads policies and roles from YAML and Python, and says what is wrong: where, and what next.

    policies/credit.yaml:7:5: metrics.accuracy.treshold: there is no such key;
    did you mean threshold?

Which of both a document is says its ``kind``; without one it is a policy.  In Python it is a file
that leaves a `Policy` or `Roles` under the name ``policy`` or ``roles``.  Reading it runs it, so
read only those that you would run; reading YAML runs nothing.
"""

from __future__ import annotations

import runpy
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_args

from pydantic import ValidationError

from mlflow_vault.decide.expression.complaint import nearest
from mlflow_vault.decide.policy.parts import Part
from mlflow_vault.decide.policy.roles import Roles
from mlflow_vault.decide.policy.schema import Policy
from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.govern.policies.yaml_tree import LARGEST, Tree, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

Document: TypeAlias = Policy | Roles

_YAML: Final = {".yaml", ".yml", ".json"}
_KINDS: Final[dict[str, type[Document]]] = {"PromotionPolicy": Policy, "Roles": Roles}
_SHOWN: Final = 20


def check(path: str | Path) -> Policy:
    """Read the policy at *path*: YAML, JSON, or Python, which is run.

    Raises:
        NotFoundError: There is no such file.
        InvalidInputError: It is no policy; the message tells each fault with line and column.
    """
    return _policy(check_document(path), str(path))


def read(text: str, name: str = "policy") -> Policy:
    """Read the policy that *text* is, in YAML or JSON; *name* is what errors call it.

    Raises:
        InvalidInputError: It is no policy; the message tells each fault with line and column.
    """
    return _policy(read_document(text, name), name)


def check_document(path: str | Path) -> Document:
    """Read the policy or the roles at *path*: YAML, JSON, or Python, which is run.

    Raises:
        NotFoundError: There is no such file.
        InvalidInputError: It is neither; the message tells each fault with line and column.
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
    return read_document(text, str(path))


def read_document(text: str, name: str = "policy") -> Document:
    """Read the policy or the roles that *text* is; *name* is what errors call it.

    Raises:
        InvalidInputError: It is neither; the message tells each fault with line and column.
    """
    tree = read_tree(text, name)
    if not isinstance(tree.value, dict):
        raise InvalidInputError(f"{name}: a policy is a mapping: apiVersion, kind, metadata, ...")
    kind = tree.value.get("kind", "PromotionPolicy")
    if not isinstance(kind, str) or kind not in _KINDS:
        what = nearest(kind, list(_KINDS)) if isinstance(kind, str) else f"know {', '.join(_KINDS)}"
        raise InvalidInputError(f"{name}:{tree.place(('kind',))}: kind: got {kind!r:.80}; {what}")
    try:
        return _KINDS[kind].model_validate(tree.value)
    except ValidationError as cause:
        raise InvalidInputError(_told(cause, name, tree, _KINDS[kind])) from cause


def _policy(found: Document, name: str) -> Policy:
    if not isinstance(found, Policy):
        raise InvalidInputError(f"{name}: these are roles, and a policy is asked for")
    return found


def _run(path: Path) -> Document:
    try:
        left = runpy.run_path(str(path), run_name="mlflow_vault_policy")
    except ValidationError as cause:
        where = f"{path}:{_line(cause, path)}"
        model = Roles if cause.title == Roles.__name__ else Policy
        raise InvalidInputError(_told(cause, where, None, model)) from cause
    except (Exception, SystemExit) as cause:
        line = getattr(cause, "lineno", None) or _line(cause, path)
        kind = type(cause).__name__
        raise InvalidInputError(f"{path}:{line}: it raised {kind}: {cause!s:.500}") from cause
    found = [one for one in map(left.get, ("policy", "roles")) if isinstance(one, Policy | Roles)]
    if len(found) != 1:
        raise InvalidInputError(
            f"{path} leaves no Policy under the name 'policy', nor Roles under the name 'roles', "
            "or both"
        )
    return found[0]


def _line(cause: BaseException, path: Path) -> int:
    frames = traceback.extract_tb(cause.__traceback__)
    lines = [frame.lineno or 1 for frame in frames if frame.filename == str(path)]
    return lines[-1] if lines else 1


def _told(cause: ValidationError, name: str, tree: Tree | None, model: type[Part]) -> str:
    """Say each fault in a line of its own, in the order of the file."""
    lines = []
    for fault in cause.errors(include_url=False):
        path, kind = fault["loc"], fault["type"]
        of_key = kind == "extra_forbidden" or path[-1:] == ("[key]",)
        path = path[:-1] if path[-1:] == ("[key]",) else path
        if kind == "extra_forbidden":
            known = nearest(str(path[-1]), _keys(model, path[:-1]))
            message = f"there is no such key; {known}"
        else:
            message = _message(fault["msg"], kind, fault.get("input"))
        dotted = _dotted(path)
        place = None if tree is None else tree.place(path, key=of_key)
        where = f"{name}:{place}" if place is not None else name
        order = (place.line, place.column) if place is not None else (0, 0)
        lines.append((order, f"{where}: {dotted}{': ' if dotted else ''}{message}"))
    lines.sort(key=lambda line: line[0])
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return "\n".join([*(line for _, line in lines[:_SHOWN]), *more])


def _message(told: str, kind: str, given: Any) -> str:
    if kind == "missing":
        return "it is missing"
    if kind in {"literal_error", "enum"} and isinstance(given, str):
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


def _keys(model: type[Part], path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that are known at *path* below *model*."""
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
