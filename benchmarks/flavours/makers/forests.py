"""scikit-learn, and what is built on it: shap, onnx.

On the digits that scikit-learn bundles: 1,797 images of 8 by 8.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import mlflow.onnx
import mlflow.shap
import mlflow.sklearn
import numpy as np
import onnxruntime
import shap as shap_library
from onnx import numpy_helper
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from version import REQUIREMENTS, VERSIONS, Saving, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

TREES: Final = 60  # that each version adds
LAYERS: Final = (512, 256)
EPOCHS: Final = 2
FIRST_EPOCHS: Final = 10
_TRUSTED: Final = {
    "forest": ["sklearn.tree._tree.Tree"],
    "network": ["sklearn.neural_network._stochastic_optimizers.AdamOptimizer"],
}
_IMAGES, _LABELS = load_digits(return_X_y=True)
IMAGES: Final = (_IMAGES / 16).astype(np.float32)
ASKED: Final = IMAGES[:100]


def _saving(kind: str, serialization: str) -> Saving:
    options: dict[str, Any] = {}
    if serialization == "skops":
        options["skops_trusted_types"] = _TRUSTED[kind]
    else:
        options["serialization_format"] = serialization
    return Saving(mlflow.sklearn, options)


def _probabilities(model: Any) -> Any:
    return model.predict_proba(ASKED)


def _forests() -> Iterator[Any]:
    model = RandomForestClassifier(warm_start=True, random_state=0)
    for version in range(VERSIONS):
        model.set_params(n_estimators=TREES * (version + 1))
        yield model.fit(IMAGES, _LABELS)


def _networks() -> Iterator[Any]:
    model = MLPClassifier(LAYERS, random_state=0)
    for version in range(VERSIONS):
        for _ in range(EPOCHS if version else FIRST_EPOCHS):
            model.partial_fit(IMAGES, _LABELS, classes=np.arange(10))
        yield model


def forest(serialization: str) -> Iterator[Version]:
    """Add trees to a forest."""
    for model in _forests():
        yield _saving("forest", serialization).version(model, _probabilities)


def network(serialization: str) -> Iterator[Version]:
    """Train a network on; Adam's state is saved with it."""
    for model in _networks():
        yield _saving("network", serialization).version(model, _probabilities)


def shap(serialization: str) -> Iterator[Version]:
    """Explain the growing forest by 100 images."""
    own = serialization == "own"
    for model in _forests():
        explainer = shap_library.Explainer(
            model.predict_proba, IMAGES[:100], algorithm="permutation", seed=0
        )
        log = partial(
            mlflow.shap.log_explainer,
            explainer,
            name="model",
            serialize_model_using_mlflow=not own,
            pip_requirements=list(REQUIREMENTS),
        )
        yield Version(log, mlflow.shap.load_explainer, _explained, _explained(explainer))


def _explained(explainer: Any) -> Any:
    return explainer.model(ASKED[:10])


def onnx(serialization: str) -> Iterator[Version]:
    """Train a network on and convert it."""
    saving = Saving(mlflow.onnx, {"save_as_external_data": serialization == "external"})
    for model in _networks():
        converted = to_onnx(model, ASKED, options={"zipmap": False})
        for tensor in converted.graph.initializer:  # raw, as others write them
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
        yield saving.version(converted, _inferred)


def _inferred(model: Any) -> Any:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: ASKED})[1]
