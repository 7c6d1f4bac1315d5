"""PaddlePaddle: a small network, trained on, saved for inference or to go on training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import mlflow.paddle
import numpy as np
import paddle
from sklearn.datasets import load_digits
from version import VERSIONS, Saving, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS: Final = 30  # of each version; the first has more
FIRST_STEPS: Final = 150
BATCH: Final = 128
_IMAGES, _LABELS = load_digits(return_X_y=True)
_X: Final = (_IMAGES / 16).astype(np.float32)
_Y: Final = _LABELS.astype(np.int64)[:, None]
_ASKED: Final = _X[:64]


def _net() -> Any:
    return paddle.nn.Sequential(
        paddle.nn.Linear(64, 512),
        paddle.nn.ReLU(),
        paddle.nn.Linear(512, 512),
        paddle.nn.ReLU(),
        paddle.nn.Linear(512, 10),
    )


def _trained() -> Iterator[Any]:
    paddle.seed(0)
    random = np.random.default_rng(0)
    wanted = [paddle.static.InputSpec([None, 64], "float32", "images")]
    net = _net()
    model = paddle.Model(net, wanted)
    model.prepare(paddle.optimizer.Adam(parameters=net.parameters()), paddle.nn.CrossEntropyLoss())
    for version in range(VERSIONS):
        for _ in range(STEPS if version else FIRST_STEPS):
            rows = random.integers(0, len(_X), BATCH)
            model.train_batch([_X[rows]], [_Y[rows]])
        net.eval()
        yield model


def _scores(model: Any) -> Any:
    return model(paddle.to_tensor(_ASKED)).numpy()


def inference() -> Iterator[Version]:
    """Save program and weights."""
    wanted = [paddle.static.InputSpec([None, 64], "float32", "images")]
    for model in _trained():
        program = paddle.jit.to_static(model.network, input_spec=wanted)
        yield Saving(mlflow.paddle).version(program, _scores)
        model.network.forward = model.network.forward.dygraph_function


def training() -> Iterator[Version]:
    """Save weights and Adam's state."""

    def load(uri: str) -> Any:
        net = _net()
        fresh = paddle.Model(net)
        fresh.prepare(paddle.optimizer.Adam(parameters=net.parameters()))
        found = mlflow.paddle.load_model(uri, model=fresh)
        net.eval()
        return found

    def scores(model: Any) -> Any:
        return _scores(model.network)

    for model in _trained():
        made = Saving(mlflow.paddle, {"training": True}).version(model, scores)
        yield Version(made.log, load, scores, made.answer)
