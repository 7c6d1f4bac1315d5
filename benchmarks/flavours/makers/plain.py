"""pyfunc: whatever Python there is, pickled or as code, here a recommender."""

from __future__ import annotations

import tempfile
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import mlflow.pyfunc
import numpy as np
from version import REQUIREMENTS, Version

from makers.factors import ASKED, Factors, trained

if TYPE_CHECKING:
    from collections.abc import Iterator

_CODE: Final = Path(__file__).with_name("from_code.py")


class Holding(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # its class is known to MLflow only
    """A model that is pickled with its numbers."""

    def __init__(self, factors: Factors) -> None:
        self.factors = factors

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's own
        """Say what the factors say."""
        return self.factors.predict(model_input)


class Loading(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # its class is known to MLflow only
    """A model that is pickled without its numbers, which are artifacts."""

    def load_context(self, context: Any) -> None:
        """Load the numbers."""
        users, items = (np.load(context.artifacts[name]) for name in ("users", "items"))
        self.factors = Factors(users, items)

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's own
        """Say what the factors say."""
        return self.factors.predict(model_input)


def _version(answer: Any, **model: Any) -> Version:
    return Version(
        log=lambda: mlflow.pyfunc.log_model(
            name="model", pip_requirements=list(REQUIREMENTS), **model
        ),
        load=mlflow.pyfunc.load_model,
        ask=lambda found: found.predict(ASKED),
        answer=answer,
    )


def pickled() -> Iterator[Version]:
    """Pickle the numbers with the model."""
    for factors in trained():
        yield _version(factors.predict(ASKED), python_model=Holding(deepcopy(factors)))


def artifacts() -> Iterator[Version]:
    """Log the numbers as npy files beside a pickled model."""
    with tempfile.TemporaryDirectory() as name:
        files = {part: str(Path(name) / f"{part}.npy") for part in ("users", "items")}
        for factors in trained():
            np.save(files["users"], factors.users)
            np.save(files["items"], factors.items)
            yield _version(factors.predict(ASKED), python_model=Loading(), artifacts=files)


def code() -> Iterator[Version]:
    """Log the numbers as an npz file beside a model that is code."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "factors.npz"
        for factors in trained():
            np.savez(file, users=factors.users, items=factors.items)
            yield _version(
                factors.predict(ASKED),
                python_model=str(_CODE),
                artifacts={"factors": str(file)},
            )
