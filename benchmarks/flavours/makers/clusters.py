"""H2O and Spark: models that live in a Java machine."""

from __future__ import annotations

import atexit
import tempfile
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from sklearn.datasets import make_classification
from version import REQUIREMENTS, VERSIONS, Saving, Version

from makers import docstrings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS: Final = 4_000
MORE_ROWS: Final = 200
TREES: Final = 100
MORE_TREES: Final = 10
_X, _Y = make_classification(
    ROWS + VERSIONS * MORE_ROWS, 20, n_informative=15, flip_y=0.1, random_state=0
)


def _table(rows: int) -> pd.DataFrame:
    table = pd.DataFrame(_X[:rows], columns=[f"x{i}" for i in range(_X.shape[1])])
    table["label"] = _Y[:rows].astype(float)
    return table


def h2o() -> Iterator[Version]:
    """Add trees to boosted ones."""
    import h2o as library  # noqa: PLC0415 - in a room of its own
    import mlflow.h2o  # noqa: PLC0415 - as above
    from h2o.estimators import H2OGradientBoostingEstimator  # noqa: PLC0415 - as above

    library.init(nthreads=2, max_mem_size="2G", bind_to_localhost=True)
    library.no_progress()
    atexit.register(library.cluster().shutdown)  # the models have to load before
    frame = library.H2OFrame(_table(ROWS))
    frame["label"] = frame["label"].asfactor()
    asked = frame[:100, :]
    model = None
    for version in range(VERSIONS):
        fitted = H2OGradientBoostingEstimator(
            ntrees=TREES + version * MORE_TREES,
            max_depth=7,
            seed=1,
            checkpoint=model.model_id if model else None,
            model_id=f"version{version}",
        )
        fitted.train(y="label", training_frame=frame)
        model = fitted
        yield Saving(mlflow.h2o).version(
            model, lambda found: found.predict(asked).as_data_frame().to_numpy()
        )


def spark(kind: str) -> Iterator[Version]:
    """Fit a pipeline to a few rows more."""
    import mlflow.spark  # noqa: PLC0415 - in a room of its own
    from pyspark.ml import Pipeline  # noqa: PLC0415 - as above
    from pyspark.ml.classification import RandomForestClassifier  # noqa: PLC0415 - as above
    from pyspark.ml.feature import Tokenizer, VectorAssembler, Word2Vec  # noqa: PLC0415 - as above
    from pyspark.sql import SparkSession  # noqa: PLC0415 - as above

    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.warehouse.dir", tempfile.gettempdir())
        .config("spark.sql.shuffle.partitions", "2")
        .getOrCreate()
    )
    texts = pd.DataFrame(docstrings.read(), columns=["text", "module"])
    if kind == "forest":
        columns = [f"x{i}" for i in range(_X.shape[1])]
        trees = RandomForestClassifier(numTrees=40, maxDepth=10, seed=1)
        pipeline = Pipeline(
            stages=[VectorAssembler(inputCols=columns, outputCol="features"), trees]
        )
    else:
        words = Word2Vec(
            vectorSize=100, minCount=2, seed=1, numPartitions=1, inputCol="words", outputCol="found"
        )
        pipeline = Pipeline(stages=[Tokenizer(inputCol="text", outputCol="words"), words])
    everything = _table(len(_X)) if kind == "forest" else texts
    first = int(len(everything) * 0.9)
    asked = session.createDataFrame(everything[:100]).coalesce(1)
    answer = "probability" if kind == "forest" else "found"

    def say(model: Any) -> Any:
        return np.array([row[answer].toArray() for row in model.transform(asked).collect()])

    with tempfile.TemporaryDirectory() as name:
        for version in range(VERSIONS):
            used = first + version * (len(everything) - first) // VERSIONS
            model = pipeline.fit(session.createDataFrame(everything[:used]).coalesce(1))
            log = partial(
                mlflow.spark.log_model,
                model,
                artifact_path="model",
                dfs_tmpdir=name,
                pip_requirements=list(REQUIREMENTS),
            )
            yield Version(log, mlflow.spark.load_model, say, say(model), "model")
