"""statsmodels, prophet, pmdarima: models of numbers over time, fitted again as more come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import mlflow.pmdarima
import mlflow.prophet
import mlflow.statsmodels
import numpy as np
import pandas as pd
import pmdarima as pmdarima_library
import prophet as prophet_library
import statsmodels.api as statsmodels_api
from version import VERSIONS, Saving, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS: Final = 5_000
COLUMNS: Final = 20
DAYS: Final = 3_000
MORE: Final = 30  # rows or days that each version has more
_AHEAD: Final = 30


def statsmodels(serialization: str) -> Iterator[Version]:
    """Fit a regression to a few rows more."""
    random = np.random.default_rng(0)
    x = statsmodels_api.add_constant(random.normal(size=(ROWS + VERSIONS * MORE, COLUMNS)))
    y = x @ random.normal(size=x.shape[1]) + random.normal(size=len(x))
    saving = Saving(mlflow.statsmodels, {"remove_data": True} if serialization == "bare" else {})
    for version in range(VERSIONS):
        used = ROWS + version * MORE
        result = statsmodels_api.OLS(y[:used], x[:used]).fit()
        yield saving.version(result, lambda found: found.predict(x[:100]))


def _days() -> pd.DataFrame:
    random = np.random.default_rng(0)
    days = np.arange(DAYS + VERSIONS * MORE)
    yearly = 10 * np.sin(2 * np.pi * days / 365.25)
    weekly = 3 * np.sin(2 * np.pi * days / 7)
    y = 100 + 0.02 * days + yearly + weekly + random.normal(size=len(days))
    return pd.DataFrame({"ds": pd.date_range("2015-01-01", periods=len(days)), "y": y})


def prophet() -> Iterator[Version]:
    """Fit a forecast to a month more."""
    days = _days()
    asked = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=_AHEAD)})
    for version in range(VERSIONS):
        model = prophet_library.Prophet(uncertainty_samples=0)
        model.fit(days[: DAYS + version * MORE], seed=0)
        yield Saving(mlflow.prophet).version(model, lambda found: found.predict(asked)["yhat"])


def pmdarima() -> Iterator[Version]:
    """Tell an ARIMA model of a month more."""
    y = _days()["y"].to_numpy()
    model: Any = pmdarima_library.ARIMA(order=(2, 1, 2)).fit(y[:DAYS])
    for version in range(VERSIONS):
        if version:
            start = DAYS + (version - 1) * MORE
            model.update(y[start : start + MORE])
        yield Saving(mlflow.pmdarima).version(model, lambda found: found.predict(_AHEAD))
