"""A model that MLflow logs as this code, and runs again to load it."""

from __future__ import annotations

from typing import Any

import mlflow
import mlflow.pyfunc
import numpy as np


class FromCode(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # its class is known to MLflow only
    """Rates pairs of user and item by an artifact with both factors."""

    def load_context(self, context: Any) -> None:
        """Load the numbers."""
        with np.load(context.artifacts["factors"]) as found:
            self.users, self.items = found["users"], found["items"]

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002 - MLflow's own
        """Rate pairs."""
        user, item = np.asarray(model_input).T
        return np.sum(self.users[user] * self.items[item], axis=1)


mlflow.models.set_model(FromCode())
