"""Tries a version: its verified files, an environment, each trial, and evidence of what came out.

An environment that cannot be made, or tests that are none, say nothing of the version: then there
is an error and no evidence.  Whatever the model's code does after that - fail, crash, hang - is
evidence against it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from mlflow_vault.errors import ConflictError, InvalidInputError
from mlflow_vault.format.showing import html_table
from mlflow_vault.plugin.validating import surroundings
from mlflow_vault.plugin.validating.contents import digest_of, open_file
from mlflow_vault.plugin.validating.environments import Making, look, make_clean
from mlflow_vault.plugin.validating.running import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow_vault.format.statement import Statement
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.references import Reference
    from mlflow_vault.plugin.validating.trials import Learnt, Trial
    from mlflow_vault.vault import Vault

VARIABLE: Final = "MLFLOW_VAULT_MODEL"  # where programs find the version's folder
_START: Final = (
    "import runpy, sys; sys.argv.pop(0); runpy.run_path(sys.argv[0], run_name='__main__')"
)
_LARGEST: Final = 256 * 1024  # bytes of an answer
_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Settings:
    """How versions are tried.

    Attributes:
        env: ``clean``: made from the version's requirements; ``current``: the one that runs us.
        timeout: Seconds for making the environment, and for each trial.
        packages: What a clean environment has beyond the requirements, as pip has them.
        passed: Environment variables that the model's programs get beyond what they need to run.
    """

    env: Literal["clean", "current"] = "clean"
    timeout: float = 1800.0
    packages: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial of a version.

    Attributes:
        type: Of the evidence.
        name: Of the evidence.
        learnt: What came out.
        said: The end of what the program printed.
        statement: The evidence, as it is kept.
    """

    type: str
    name: str
    learnt: Learnt
    said: str = field(repr=False)
    statement: Statement = field(repr=False)

    @property
    def passed(self) -> bool:
        """Whether what came out is good."""
        return self.learnt.passed


@dataclass(frozen=True, slots=True)
class Validation:
    """What a version was tried with, and what came out."""

    label: str
    digest: str
    environment: Mapping[str, Any] = field(repr=False)
    trials: tuple[Tried, ...]

    @property
    def passed(self) -> bool:
        """Whether all of it is good."""
        return all(one.passed for one in self.trials)

    def __str__(self) -> str:
        lines = [f"{self.label}: {'passed' if self.passed else 'FAILED'}"]
        for one in self.trials:
            verdict = "passed" if one.passed else "FAILED"
            lines.append(f"  {one.type} {one.name!r}: {verdict}: {one.learnt.reason}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            (one.type, one.name, "passed" if one.passed else "FAILED", one.learnt.reason)
            for one in self.trials
        ]
        return html_table(f"{self.label}: validated", rows, ("", "name", "", "because"))

    def to_dict(self) -> dict[str, Any]:
        """This as plain values."""
        return {
            "version": self.label,
            "digest": self.digest,
            "passed": self.passed,
            "environment": dict(self.environment),
            "trials": [
                {
                    "type": one.type,
                    "name": one.name,
                    "passed": one.passed,
                    "reason": one.learnt.reason,
                    "values": one.learnt.values,
                    "evidence": one.statement.id,
                }
                for one in self.trials
            ],
        }


class Keep(Protocol):
    """Keeps evidence: `Releases.evidence`."""

    def __call__(
        self,
        reference: Reference,
        *,
        type: str,  # noqa: A002 - evidence has a type
        name: str,
        passed: bool,
        values: Mapping[str, Any] | None = ...,
    ) -> Statement:
        """Keep what came out as a statement about the version."""


def validate(
    vault: Vault,
    reference: Reference,
    trials: tuple[Trial, ...],
    *,
    keep: Keep,
    settings: Settings = Settings(),
) -> Validation:
    """Try a version, and keep what came out as evidence.

    Args:
        vault: Where it is.
        reference: A version of a registered model.
        trials: What to try it with.
        keep: Keeps the evidence.
        settings: How.

    Raises:
        InvalidInputError: Nothing can be learnt: no trials, no environment, no tests.
        ConflictError: The tests or the table changed while they were used.
        CorruptionError: The version's files are damaged.
    """
    version = vault.version(reference)
    if not version.name or not version.number:
        raise InvalidInputError(f"{version.label} is no version of a registered model")
    if not trials:
        raise InvalidInputError("say what to try it with: tests, or a table")
    questions = [trial.question() for trial in trials]
    with TemporaryDirectory(prefix="mlflow-vault-", ignore_cleanup_errors=True) as place:
        made = _Place.make(vault, version, Path(place), settings, trials)
        tried = [
            made.attempt(trial, question, keep)
            for trial, question in zip(trials, questions, strict=True)
        ]
    return Validation(version.label, str(version.digest), made.environment, tuple(tried))


@dataclass(frozen=True, slots=True)
class _Place:
    """A version's files and an environment for them, in a temporary folder."""

    version: Version
    folder: Path
    settings: Settings
    python: str
    environment: Mapping[str, Any]
    variables: Mapping[str, str]

    @classmethod
    def make(
        cls,
        vault: Vault,
        version: Version,
        folder: Path,
        settings: Settings,
        trials: tuple[Trial, ...],
    ) -> _Place:
        model = folder / "model"
        vault.checkout(version, model)
        variables = surroundings.running(os.environ, settings.passed)
        variables |= {
            VARIABLE: str(model),
            # What is logged on the way goes nowhere, and to nobody's server.
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        python = sys.executable
        if settings.env == "clean":
            packages = [name for trial in trials for name in trial.packages]
            wanted = list(dict.fromkeys([*packages, *settings.packages]))
            installing = surroundings.installing(os.environ)
            asked = Making(model, folder / "env", wanted, installing, settings.timeout)
            python = make_clean(asked)
            search = os.pathsep.join([str(Path(python).parent), variables.get("PATH", os.defpath)])
            variables |= {"VIRTUAL_ENV": str(folder / "env"), "PATH": search}
        elif "PYTHONPATH" in os.environ:
            variables["PYTHONPATH"] = os.environ["PYTHONPATH"]
        found = {"kind": settings.env, **look(python, variables, folder)}
        lacking = {name for one in trials for name in one.packages} - found["packages"].keys()
        if lacking:
            raise InvalidInputError(f"the environment lacks {', '.join(sorted(lacking))}")
        return cls(version, folder, settings, python, found, variables)

    def attempt(self, trial: Trial, question: Mapping[str, Any], keep: Keep) -> Tried:
        """Run a trial, and keep what came out."""
        before, started = digest_of(trial.source), time.monotonic()
        answer = self.folder / f"{trial.type}.answer"
        asked = self.folder / f"{trial.type}.question"
        told = {**question, "model": self.variables[VARIABLE], "answer": str(answer)}
        asked.write_text(json.dumps(told), "utf-8")
        answer.unlink(missing_ok=True)
        ended = run(
            [self.python, "-c", _START, str(_HERE / trial.program), str(asked)],
            folder=Path.cwd() if trial.is_of_project else self.folder,
            environment=self.variables,
            timeout=self.settings.timeout,
        )
        learnt = trial.learn(ended, _read(answer) if ended.code is not None else None)
        if digest_of(trial.source) != before:
            raise ConflictError(f"{trial.source} changed while it was used: try again")
        about = {
            "source": str(before),
            "seconds": round(time.monotonic() - started, 3),
            "environment": dict(self.environment),
        }
        values = {"reason": learnt.reason, **learnt.values, "validation": about}
        statement = keep(
            self.version, type=trial.type, name=trial.called, passed=learnt.passed, values=values
        )
        return Tried(trial.type, trial.called, learnt, ended.said, statement)


def _read(answer: Path) -> Mapping[str, Any] | None:
    """What the program left, believing nothing."""
    try:
        with open_file(answer) as file:
            stored = file.read(_LARGEST + 1)
        told: Any = json.loads(stored) if len(stored) <= _LARGEST else None
    except (OSError, RecursionError, ValueError):
        return None
    return told if isinstance(told, dict) else None
