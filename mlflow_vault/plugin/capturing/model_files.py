"""What the small files of a logged model say: `MLmodel` and its environments.

They lie among the artifacts, so whoever may log may write anything into them.  They are read as
text and never run, and what they become has a limit however they are made: an alias of YAML, told
a thousand times, is not a thousand times as large.

Pure: takes bytes, gives plain JSON.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from mlflow_vault.plugin.capturing.masking import masked

if TYPE_CHECKING:
    from collections.abc import Iterable

MODEL: Final = "MLmodel"
REQUIREMENTS: Final = "requirements.txt"
PYTHON: Final = "python_env.yaml"
CONDA: Final = "conda.yaml"

LARGEST: Final = 1024 * 1024  # bytes of one such file; 5,000 columns take about 0.3 MB
MOST: Final = 50_000  # values in what one file becomes
DEEPEST: Final = 40
LONGEST: Final = 8000  # characters of a text; MLflow's own longest tag
_PACKAGES: Final = 2000
_PART: Final = re.compile(r"[-_.]+")
_PIP: Final = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[[^\]]*\])?\s*(?P<rest>[^;#]*)")
_CONDA: Final = re.compile(r"(?:\S+::)?(?P<name>[\w.-]+)\s*(?P<rest>[=<>!~].*)?")


class Plain:
    """Makes plain JSON of anything, until it becomes too much.

    Attributes:
        whole: Whether nothing was left out so far.
    """

    def __init__(self, most: int = MOST) -> None:
        self._left = most
        self.whole = True

    def of(self, value: Any, depth: int = 0) -> Any:
        """Return *value* as JSON has it; what is too deep, too long or too much is left out."""
        self._left -= 1
        if self._left < 0 or depth > DEEPEST:
            self.whole = False
            return None
        if isinstance(value, str):
            self.whole = self.whole and len(value) <= LONGEST
            return value[:LONGEST]
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, dict):
            items = zip(value.items(), range(max(self._left, 0)), strict=False)
            made = {str(key)[:LONGEST]: self.of(inner, depth + 1) for (key, inner), _ in items}
            self.whole = self.whole and len(made) == len(value)
            return made
        if isinstance(value, (list, tuple)):
            kept = value[: max(self._left, 0)]
            self.whole = self.whole and len(kept) == len(value)
            return [self.of(inner, depth + 1) for inner in kept]
        return str(value)[:LONGEST]  # a date, say


def model_facts(raw: bytes | None) -> dict[str, Any]:
    """Return flavors, signature, input example and versions that an `MLmodel` tells.

    >>> model_facts(b"mlflow_version: 3.17.2")["mlflow_version"]
    '3.17.2'
    """
    if raw is not None and len(raw) > LARGEST:
        return {"shortened": [MODEL]}
    told = _mapping(raw)
    if not told:
        return {}
    plain = Plain()
    facts: dict[str, Any] = {"flavors": plain.of(_of(told, "flavors"))}
    signature = told.get("signature")
    if isinstance(signature, dict):
        facts["signature"] = {
            part: plain.of(_parsed(signature.get(part))) for part in ("inputs", "outputs", "params")
        }
    facts["input_example"] = plain.of(told.get("saved_input_example_info"))
    if told.get("mlflow_version"):
        facts["mlflow_version"] = str(told["mlflow_version"])[:LONGEST]
    if not plain.whole:
        facts["shortened"] = [MODEL]
    return facts


def environment(
    model: bytes | None, requirements: bytes | None, python: bytes | None, conda: bytes | None
) -> dict[str, Any]:
    """Return the Python version and packages that a model's files ask for.

    Where files disagree, `requirements.txt` says the packages and `python_env.yaml` the Python.
    """
    from_conda = _conda(_mapping(conda))
    packages = {**from_conda, **_pip(_lines(requirements))}
    pyfunc = _of(_of(_mapping(model), "flavors"), "python_function")
    version = _mapping(python).get("python") or pyfunc.get("python_version")
    version = version or from_conda.get("python")
    packages.pop("python", None)
    found: dict[str, Any] = {}
    if version:
        found["python"] = str(version)[:LONGEST]
    if packages:
        found["packages"] = dict(sorted(packages.items())[:_PACKAGES])
    return found


def _mapping(raw: bytes | None) -> dict[str, Any]:
    if raw is None or len(raw) > LARGEST:
        return {}
    try:
        # In Python throughout: nesting without end is an error here, and a crash in C.
        told = yaml.load(raw, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        return {}
    return told if isinstance(told, dict) else {}


def _of(told: dict[str, Any], key: str) -> dict[str, Any]:
    inner = told.get(key)
    return inner if isinstance(inner, dict) else {}


def _parsed(text: Any) -> Any:
    """Return what a part of a signature says, which MLflow keeps as JSON in YAML."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _lines(raw: bytes | None) -> list[str]:
    if raw is None or len(raw) > LARGEST:
        return []
    return raw.decode("utf-8", "replace").splitlines()


def _pip(lines: Iterable[str]) -> dict[str, str]:
    """Return the packages that lines of a `requirements.txt` name; options are no packages.

    >>> _pip(["numpy==2.4.6", "scikit_learn[x]>=1.5 ; python_version > '3'", "--index-url x"])
    {'numpy': '2.4.6', 'scikit-learn': '>=1.5'}
    """
    found = {}
    for line in lines:
        named = _PIP.match(line.strip())
        if named is not None:
            rest = masked(named["rest"].strip())
            exact = re.fullmatch(r"===?\s*([^\s,]+)", rest)
            found[_canonical(named["name"])] = (exact[1] if exact else rest)[:LONGEST]
    return found


def _conda(told: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    listed = told.get("dependencies")
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, dict):
            inner = item.get("pip")
            found |= _pip(map(str, inner)) if isinstance(inner, list) else {}
            continue
        named = _CONDA.fullmatch(item.strip()) if isinstance(item, str) else None
        if named is not None:
            exact = re.fullmatch(r"==?([^=,<>|*]+)(?:=.*)?", named["rest"] or "")
            found[_canonical(named["name"])] = exact[1] if exact else (named["rest"] or "")
    return found


def _canonical(name: str) -> str:
    return _PART.sub("-", name).lower()
