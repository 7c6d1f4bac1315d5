"""Keras and TensorFlow: a small network, trained on."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import keras as keras_library
import mlflow.keras
import mlflow.tensorflow
import numpy as np
import tensorflow as tf
from mlflow.models import infer_signature
from sklearn.datasets import load_digits
from version import VERSIONS, Saving, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

EPOCHS: Final = 1  # of each version; the first has more
FIRST_EPOCHS: Final = 5
_IMAGES, _Y = load_digits(return_X_y=True)
_X: Final = (_IMAGES / 16).astype(np.float32)
_ASKED: Final = _X[:64]


def _trained() -> Iterator[Any]:
    keras_library.utils.set_random_seed(0)
    model = keras_library.Sequential(
        [
            keras_library.Input((64,)),
            keras_library.layers.Dense(512, activation="relu"),
            keras_library.layers.Dense(512, activation="relu"),
            keras_library.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    for version in range(VERSIONS):
        epochs = EPOCHS if version else FIRST_EPOCHS
        model.fit(_X, _Y, epochs=epochs, batch_size=64, verbose=0)
        yield model


def _scores(model: Any) -> Any:
    return np.asarray(model(tf.constant(_ASKED)))


def keras(serialization: str) -> Iterator[Version]:
    """Save by `mlflow.keras`."""
    for model in _trained():
        signature = infer_signature(_ASKED, _scores(model))
        options = {
            "save_exported_model": serialization == "exported",
            "signature": signature,
        }
        yield Saving(mlflow.keras, options).version(model, _keras_scores)


def _keras_scores(model: Any) -> Any:
    return _scores(model if callable(model) else model.serve)


def tensorflow(serialization: str) -> Iterator[Version]:
    """Save by `mlflow.tensorflow`."""
    options: dict[str, Any] = {}
    if serialization == "h5":
        options["keras_model_kwargs"] = {"save_format": "h5"}
    for model in _trained():
        signature = infer_signature(_ASKED, _scores(model))
        saving = Saving(mlflow.tensorflow, {**options, "signature": signature})
        yield saving.version(model, _scores)


class Plain(tf.Module):  # type: ignore[misc]  # its class is known to TensorFlow only
    """The same network without Keras."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (64, 512, 512, 10)
        generator = tf.random.Generator.from_seed(0)
        self.weights = [
            tf.Variable(generator.normal((i, o), stddev=(2 / i) ** 0.5)) for i, o in pairwise(sizes)
        ]
        self.biases = [tf.Variable(tf.zeros(o)) for o in sizes[1:]]

    @tf.function(input_signature=[tf.TensorSpec((None, 64), tf.float32)])  # type: ignore[untyped-decorator]
    def __call__(self, images: Any) -> Any:
        """Return a score for each digit."""
        for weights, biases in zip(self.weights[:-1], self.biases[:-1], strict=True):
            images = tf.nn.relu(images @ weights + biases)
        return images @ self.weights[-1] + self.biases[-1]


def tensorflow_module() -> Iterator[Version]:
    """Save a module as a SavedModel."""
    model = Plain()
    optimizer = keras_library.optimizers.SGD(0.05, momentum=0.9)
    variables = [*model.weights, *model.biases]
    random = np.random.default_rng(0)
    for version in range(VERSIONS):
        for _ in range(len(_X) // 64 * (EPOCHS if version else FIRST_EPOCHS)):
            rows = random.integers(0, len(_X), 64)
            with tf.GradientTape() as tape:
                loss = tf.nn.sparse_softmax_cross_entropy_with_logits(_Y[rows], model(_X[rows]))
            gradients = tape.gradient(loss, variables)
            optimizer.apply_gradients(zip(gradients, variables, strict=True))
        signature = infer_signature(_ASKED, _scores(model))
        yield Saving(mlflow.tensorflow, {"signature": signature}).version(model, _scores)
