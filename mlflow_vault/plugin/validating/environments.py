"""Environments in which a version is tried: one made from its requirements, or the current one.

Making one runs pip with whatever index it is set up with (``pip.conf``, ``PIP_*``): the packages
are chosen by the version's ``requirements.txt``, and some run code while they are installed.
"""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.plugin.validating.running import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

REQUIREMENTS: Final = "requirements.txt"
_PYTHON_ENV: Final = "python_env.yaml"
_LOOK: Final = """
import json, platform
from importlib.metadata import distributions
found = {str(one.metadata["Name"]).lower(): one.version for one in distributions()}
print(json.dumps({"python": platform.python_version(), "platform": platform.platform(),
                  "packages": dict(sorted(found.items()))}))
"""
_LOOKING: Final = 60.0  # seconds
_LARGEST: Final = 64 * 1024  # bytes of `python_env.yaml` that are read


@dataclass(frozen=True, slots=True)
class Making:
    """What making an environment needs.

    Attributes:
        model: The folder of the version.
        folder: A new folder for the environment.
        packages: What it needs beyond the version's requirements.
        variables: The environment variables of pip.
        timeout: Seconds for all of it.
    """

    model: Path
    folder: Path
    packages: Sequence[str]
    variables: Mapping[str, str]
    timeout: float


def make_clean(asked: Making) -> str:
    """Make an environment from the version's requirements; return its Python.

    Raises:
        InvalidInputError: It cannot be made; the message has what pip said last.
    """
    if not (asked.model / REQUIREMENTS).is_file():
        raise InvalidInputError(
            f"the version has no {REQUIREMENTS}, so nobody knows what it needs: log it with "
            "pip_requirements, or try it in the environment that there is (--env current)"
        )
    python = _interpreter(asked.model)
    # Isolated: the version's folder, in which pip runs, may hold a `pip.py` of its own.
    _do([python, "-I", "-m", "venv", str(asked.folder)], asked)
    made = _python_of(asked.folder)
    words = ["install", "--no-input", "--disable-pip-version-check", "--no-warn-script-location"]
    _do([made, "-I", "-m", "pip", *words, "-r", REQUIREMENTS, *asked.packages], asked)
    return made


def look(python: str, variables: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """Say what the environment of *python* has: its version, its platform, its packages.

    Raises:
        InvalidInputError: It does not answer.
    """
    ended = run([python, "-I", "-c", _LOOK], folder=folder, environment=variables, timeout=_LOOKING)
    try:
        found: Any = json.loads(ended.last)
        told = {name: str(found[name]) for name in ("python", "platform")}
        # What was installed may run in there and say anything.
        packages = {str(name): str(version) for name, version in found["packages"].items()}
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as cause:
        raise InvalidInputError(f"{python} does not say what it has: {ended.last:.300}") from cause
    return {**told, "packages": packages}


def _interpreter(model: Path) -> str:
    """The Python that the version was made with, up to its last figure."""
    wanted = wanted_python(model)
    if not wanted or wanted == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{wanted}")
    if found is None:
        raise InvalidInputError(
            f"the version was made with Python {wanted}, and there is no python{wanted}: install "
            "it, or try the version in the environment that there is (--env current)"
        )
    return found


def wanted_python(model: Path) -> str:
    """Return the Python that a version was made with, such as 3.12; empty if nothing says it."""
    try:
        with (model / _PYTHON_ENV).open("rb") as file:
            raw = file.read(_LARGEST)
        said = yaml.load(raw, Loader=yaml.SafeLoader)["python"]
        # A few lines of YAML may stand for a list without end, which nobody should spell.
        major, minor, *_ = (str(said) if isinstance(said, str | float) else "").split(".")
    except (OSError, LookupError, TypeError, ValueError, RecursionError, yaml.YAMLError):
        return ""
    return f"{int(major)}.{int(minor)}" if major.isdecimal() and minor.isdecimal() else ""


def _do(command: list[str], asked: Making) -> None:
    try:
        ended = run(command, folder=asked.model, environment=asked.variables, timeout=asked.timeout)
    except OSError as cause:
        raise InvalidInputError(f"the environment cannot be made: {cause}") from cause
    if ended.code == 0:
        return
    why = f"it took longer than {asked.timeout:.0f} s" if ended.code is None else _told(ended.said)
    raise InvalidInputError(
        f"the environment cannot be made ({' '.join(command[2:5])}): {why}. That says nothing of "
        "the version, so nothing was kept"
    )


def _told(said: str) -> str:
    """What pip says are errors, or else its last lines."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return "; ".join((errors or lines)[-3:])[:1000]


def _python_of(folder: Path) -> str:
    here = folder / ("Scripts" if sys.platform == "win32" else "bin")
    return str(here / ("python.exe" if sys.platform == "win32" else "python"))
