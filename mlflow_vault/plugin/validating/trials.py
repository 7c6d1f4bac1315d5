"""What a version can be tried with, and what its program's answer means.

    tests passed                             evidence, passed
    tests failed, crashed or took too long   evidence, not passed
    there are no tests, pytest is misused    an error: nothing was learnt of the version

The answer comes from a process in which the model's own code ran, so a model that wants to can
answer for its tests: evidence is as good as the code that it is about is honest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.canonical import plain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mlflow_vault.plugin.validating.running import Ended

MODEL_TYPES: Final = (
    "classifier",
    "regressor",
    "question-answering",
    "text-summarization",
    "text",
    "retriever",
)
_FAILED: Final = (1, 2)  # pytest: tests failed; some could not even be read
_NO_TESTS: Final = 5
_NAMED: Final = 20  # tests that failed
_LONGEST: Final = 1000  # characters of reasons


@dataclass(frozen=True, slots=True)
class Learnt:
    """What came out of trying a version.

    Attributes:
        passed: Whether that is good.
        reason: Why, in a line.
        values: What came out, by name.
    """

    passed: bool
    reason: str
    values: dict[str, Any]


class Trial(Protocol):
    """Something that a version is tried with."""

    @property
    def type(self) -> str:
        """Of the evidence: ``test-result``, ``evaluation``."""

    @property
    def called(self) -> str:
        """The name of the evidence."""

    @property
    def source(self) -> Path:
        """The file or folder that it comes from, whose digest is kept."""

    @property
    def program(self) -> str:
        """Which program runs it."""

    @property
    def packages(self) -> tuple[str, ...]:
        """What that program needs."""

    @property
    def is_of_project(self) -> bool:
        """Whether it runs in the current folder, and finds the project's own packages there."""

    def question(self) -> dict[str, Any]:
        """What the program is asked.

        Raises:
            InvalidInputError: It makes no sense.
        """

    def learn(self, ended: Ended, answer: Mapping[str, Any] | None) -> Learnt:
        """Say what the program's end and answer mean.

        Raises:
            InvalidInputError: Nothing was learnt of the version.
        """


@dataclass(frozen=True, slots=True)
class Suite:
    """A project's own tests, run by pytest from the current folder.

    Attributes:
        source: The tests: a folder, or a file.
        name: Of the evidence; the folder's own if empty.
    """

    source: Path
    name: str = ""

    type = "test-result"
    program = "suite_program.py"
    packages = ("pytest",)
    is_of_project = True

    @property
    def called(self) -> str:
        """The name of the evidence."""
        return self.name or self.source.resolve().stem

    def question(self) -> dict[str, Any]:
        """What the program is asked.

        Raises:
            InvalidInputError: There are no such tests.
        """
        if not self.source.exists():
            raise InvalidInputError(f"there are no tests at {self.source}")
        return {"tests": str(self.source.resolve())}

    def learn(self, ended: Ended, answer: Mapping[str, Any] | None) -> Learnt:
        """Say what pytest's end means.

        Raises:
            InvalidInputError: It ran no tests.
        """
        counts = _counts(answer)
        if answer is None or counts is None or ended.code != 0:
            return Learnt(passed=False, reason=_died(ended), values={})
        code = answer.get("code")
        if type(code) is not int:
            return Learnt(passed=False, reason=_died(ended), values={})
        if code == _NO_TESTS:
            raise InvalidInputError(f"pytest found no tests in {self.source}: nothing was kept")
        if code not in {0, *_FAILED}:
            raise InvalidInputError(
                f"pytest could not run {self.source} (exit code {code}): {ended.last:.500}. "
                "Packages that tests need are given with --with; nothing was kept"
            )
        good = code == 0 and counts["tests_failed"] == 0 and counts["tests_passed"] > 0
        named = answer.get("failures")
        failures = [str(name)[:200] for name in named[:_NAMED]] if isinstance(named, list) else []
        told = f"{counts['tests_passed']} passed, {counts['tests_failed']} failed, "
        reason = f"{told}{counts['tests_skipped']} skipped"
        return Learnt(good, reason, plain({**counts, "failures": failures}))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What `mlflow.models.evaluate` makes of a table.

    Attributes:
        source: The table: CSV, ``.parquet`` or ``.jsonl``.
        targets: The column with the truth.
        model_type: As MLflow calls it: ``classifier``, ``regressor``.
        name: Of the evidence; the table's own if empty.
    """

    source: Path
    targets: str
    model_type: str
    name: str = ""

    type = "evaluation"
    program = "evaluation_program.py"
    packages = ("mlflow",)
    is_of_project = False

    @property
    def called(self) -> str:
        """The name of the evidence."""
        return self.name or self.source.resolve().stem

    def question(self) -> dict[str, Any]:
        """What the program is asked.

        Raises:
            InvalidInputError: There is no such table, or no such type of model.
        """
        if not self.source.is_file():
            raise InvalidInputError(f"there is no table {self.source}")
        if not self.targets or self.model_type not in MODEL_TYPES:
            raise InvalidInputError(
                f"an evaluation needs the column with the truth, and one of {MODEL_TYPES}"
            )
        data = str(self.source.resolve())
        return {"data": data, "targets": self.targets, "model_type": self.model_type}

    def learn(self, ended: Ended, answer: Mapping[str, Any] | None) -> Learnt:
        """Say what was measured; a metric that is no number is kept as text, and denies.

        Raises:
            InvalidInputError: The table is not as was said.
        """
        if answer is not None and isinstance(answer.get("problem"), str):
            raise InvalidInputError(f"{self.source}: {answer['problem']:.500}; nothing was kept")
        metrics = answer.get("metrics") if answer is not None else None
        if ended.code != 0 or not isinstance(metrics, dict) or not metrics:
            return Learnt(passed=False, reason=_died(ended), values={})
        odd = sorted(str(name) for name, value in metrics.items() if not _is_number(value))
        reason = f"{len(metrics)} metrics" + (f"; no number: {', '.join(odd)}" if odd else "")
        told = {
            name: value if isinstance(value, (int, float)) else f"{value!s:.200}"
            for name, value in metrics.items()
        }
        return Learnt(not odd, plain(reason[:_LONGEST]), plain(told))


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:  # a whole number that no float can be
        return False


def _counts(answer: Mapping[str, Any] | None) -> dict[str, int] | None:
    if answer is None:
        return None
    found = {f"tests_{name}": answer.get(name) for name in ("passed", "failed", "skipped")}
    counts = {name: count for name, count in found.items() if type(count) is int and count >= 0}
    return counts if counts.keys() == found.keys() else None


def _died(ended: Ended) -> str:
    if ended.code is None:
        return "it did not end in time"
    return f"it ended without an answer (exit code {ended.code}): {ended.last:.500}"
