"""Histories of models for tests of what is said about them: lineage, impact, search.

A `History` is what happened: which run used what, which model came out of which run, who was made
from whom.  `versions` and `held` are what a vault and MLflow would know of it.  Everything may be
forged as people could forge it: runs nested in circles, parents that are children.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st

from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import File, Origin, Version, digest_of

DAY: Final = 86_400_000  # milliseconds
HOSTILE: Final = (
    '"]; end',
    "</td><script>alert(1)</script>",
    "a\nb\x1b[2J",
    "%%{init: {}}%% #34; `x` <b>|",
    '\\" \\N \\',
    "end",
    "\ud800 half",
    "@/%40",
    "",
)


@dataclass(frozen=True, slots=True)
class Run:
    """A run: the datasets and models that it used, by number, and the run above it."""

    datasets: frozenset[int] = frozenset()
    models: frozenset[int] = frozenset()
    above: int | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """A version of the model *model*, made from the files of other ones."""

    model: int
    name: str
    parents: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class History:
    """What happened.

    Attributes:
        runs: By number; run *i* starts on day *i* + 1.
        models: The run of each logged model.
        committed: In order; the first is committed after the last run.
    """

    runs: tuple[Run, ...]
    models: tuple[int, ...]
    committed: tuple[Committed, ...] = field(default=())

    def versions(self) -> list[Version]:
        """What a vault knows."""
        return [self._version(index) for index in range(len(self.committed))]

    def _version(self, index: int) -> Version:
        committed = self.committed[index]
        run = self.models[committed.model]
        return version(
            committed.name,
            index + 1,
            seed=committed.model,
            created=DAY * (len(self.runs) + index + 2),
            origin=Origin("", "", f"m-{committed.model}", f"run{run}"),
            parents=tuple(content(parent) for parent in sorted(committed.parents)),
            facts=self._facts(committed.model, run),
        )

    def _facts(self, model: int, run: int) -> dict[str, Any]:
        told = self.runs[run]
        above = told.above
        return {
            "run": {
                "id": f"run{run}",
                "start": DAY * (run + 1),
                "end": DAY * (run + 1) + 1000,
                "status": "FINISHED",
                "parent": "" if above is None else f"run{above}",
                "children": [
                    f"run{index}" for index, other in enumerate(self.runs) if other.above == run
                ],
            },
            "model": {"id": f"m-{model}", "name": f"model {model}"},
            "datasets": [dataset(number) for number in sorted(told.datasets)],
            "inputs": [{"model_id": f"m-{number}"} for number in sorted(told.models)],
        }


def dataset(number: int, name: str = "") -> dict[str, Any]:
    """What facts say of dataset *number*; all have the same digest of MLflow's."""
    return {
        "name": name or f"data {number}",
        "digest": "5fe3",
        "b3": str(Digest.of(f"dataset {number}".encode())),
        "context": "training",
    }


def files(seed: int) -> tuple[File, ...]:
    """The files of model *seed*."""
    return (File("model.bin", 1000, Digest.of(f"model {seed}".encode()), bytes(32)),)


def content(seed: int) -> Digest:
    """The digest of the files of model *seed*."""
    return digest_of(files(seed))


def version(name: str, number: int, *, seed: int, created: int, **more: Any) -> Version:
    """A version with the files of model *seed*; *more* are fields of `Version`."""
    values = {"author": "ann", "origin": Origin("", ""), **more}
    return Version(
        digest=content(seed),
        id=f"{number:04x}",
        name=name,
        number=number,
        created=created,
        files=files(seed),
        **values,
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Histories of a few runs, models and versions, forged ones among them."""
    n_runs, n_models = draw(st.integers(2, 6)), draw(st.integers(2, 6))
    some_runs, some_models = st.integers(0, n_runs - 1), st.integers(0, n_models - 1)
    run = st.builds(
        Run,
        st.frozensets(st.integers(0, 4), min_size=1, max_size=2),
        st.frozensets(some_models, max_size=1),
        st.none() | some_runs,
    )
    committed = st.builds(
        Committed,
        some_models,
        st.sampled_from(["fraud", "credit"]),
        st.frozensets(some_models, max_size=1),
    )
    return History(
        runs=tuple(draw(st.lists(run, min_size=n_runs, max_size=n_runs))),
        models=tuple(draw(st.lists(some_runs, min_size=n_models, max_size=n_models))),
        committed=tuple(draw(st.lists(committed, min_size=3, max_size=8))),
    )
