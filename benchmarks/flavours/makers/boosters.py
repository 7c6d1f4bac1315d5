"""xgboost, lightgbm, catboost: trees that are added to, and once fitted again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import catboost as catboost_library
import lightgbm
import mlflow.catboost
import mlflow.lightgbm
import mlflow.xgboost
import xgboost as xgboost_library
from sklearn.datasets import make_classification
from version import VERSIONS, Saving, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS: Final = 200  # of the first version
MORE_ROUNDS: Final = 20  # of each later one
ROWS: Final = 4_000
MORE_ROWS: Final = 200
_X, _Y = make_classification(
    ROWS + VERSIONS * MORE_ROWS, 30, n_informative=20, n_classes=2, flip_y=0.1, random_state=0
)
_ASKED: Final = _X[:200]
_XGBOOST: Final = {
    "objective": "binary:logistic",
    "max_depth": 7,
    "eta": 0.1,
    "seed": 0,
    "nthread": 1,
}
_LIGHTGBM: Final = {
    "objective": "binary",
    "num_leaves": 63,
    "seed": 0,
    "verbose": -1,
    "num_threads": 1,
}


def _asked_xgboost(model: Any) -> Any:
    return model.predict(xgboost_library.DMatrix(_ASKED))


def xgboost(serialization: str) -> Iterator[Version]:
    """Add rounds to a booster."""
    saving = Saving(mlflow.xgboost, {"model_format": serialization})
    rows = xgboost_library.DMatrix(_X[:ROWS], _Y[:ROWS])
    model = None
    for version in range(VERSIONS):
        rounds = MORE_ROUNDS if version else ROUNDS
        model = xgboost_library.train(_XGBOOST, rows, rounds, xgb_model=model)
        yield saving.version(model, _asked_xgboost)


def xgboost_again(serialization: str) -> Iterator[Version]:
    """Fit a booster from nothing to a few rows more."""
    saving = Saving(mlflow.xgboost, {"model_format": serialization})
    for version in range(VERSIONS):
        used = ROWS + version * MORE_ROWS
        rows = xgboost_library.DMatrix(_X[:used], _Y[:used])
        yield saving.version(xgboost_library.train(_XGBOOST, rows, ROUNDS), _asked_xgboost)


def lightgbm_text() -> Iterator[Version]:
    """Add rounds to a booster."""
    model = None
    for version in range(VERSIONS):
        model = lightgbm.train(
            _LIGHTGBM,
            lightgbm.Dataset(_X[:ROWS], _Y[:ROWS]),
            MORE_ROUNDS if version else ROUNDS,
            init_model=model,
        )
        yield Saving(mlflow.lightgbm).version(model, lambda booster: booster.predict(_ASKED))


def lightgbm_sklearn(serialization: str) -> Iterator[Version]:
    """Add rounds to a classifier."""
    options: dict[str, Any] = {"serialization_format": serialization}
    if serialization == "skops":
        options["skops_trusted_types"] = ["lightgbm.basic._InnerPredictor"]  # of `init_model`
    saving = Saving(mlflow.lightgbm, options)
    model = None
    for version in range(VERSIONS):
        rounds = MORE_ROUNDS if version else ROUNDS
        wanted = lightgbm.LGBMClassifier(n_estimators=rounds, **_LIGHTGBM)
        model = wanted.fit(_X[:ROWS], _Y[:ROWS], init_model=model)
        yield saving.version(model, lambda found: found.predict_proba(_ASKED))


def catboost(serialization: str) -> Iterator[Version]:
    """Add rounds to a classifier."""
    saving = Saving(mlflow.catboost, {"format": serialization})
    model = None
    for version in range(VERSIONS):
        wanted = catboost_library.CatBoostClassifier(
            iterations=MORE_ROUNDS if version else ROUNDS,
            depth=8,
            learning_rate=0.1,
            random_seed=0,
            verbose=False,
            thread_count=1,
            allow_writing_files=False,
        )
        model = wanted.fit(_X[:ROWS], _Y[:ROWS], init_model=model)
        yield saving.version(model, lambda found: found.predict_proba(_ASKED))
