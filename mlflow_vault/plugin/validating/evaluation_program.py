"""The program that evaluates a version with MLflow; knows nothing of the vault.

Its argument is a file with the question as JSON; the answer is written beside it.  What MLflow logs
on the way goes to a database that is thrown away.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd


def read(data: Path) -> Any:
    """Read a table: CSV, Parquet, or JSON by lines."""
    if data.suffix == ".parquet":
        return pd.read_parquet(data)
    if data.suffix == ".jsonl":
        return pd.read_json(data, lines=True)
    return pd.read_csv(data)


def main(question: Path) -> None:
    """Evaluate what *question* names."""
    asked = json.loads(question.read_text("utf-8"))
    data, answer = read(Path(asked["data"])), Path(asked["answer"])
    if asked["targets"] not in data.columns:
        columns = ", ".join(map(str, data.columns))
        problem = f"it has no column {asked['targets']!r}; there are {columns}"
        answer.write_text(json.dumps({"problem": problem}), "utf-8")
        return
    import mlflow  # noqa: PLC0415 - takes seconds, and the answer may be known without

    found = mlflow.models.evaluate(
        model=asked["model"],
        data=data,
        targets=asked["targets"],
        model_type=asked["model_type"],
        evaluators="default",
        # Explanations and plots are no metrics, and take longer than all the rest.
        evaluator_config={"log_explainer": False, "log_model_explainability": False},
    )
    metrics = {str(name): float(value) for name, value in found.metrics.items()}
    answer.write_text(json.dumps({"metrics": metrics}), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
