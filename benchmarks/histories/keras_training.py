"""Train all-MiniLM-L6-v2 with Keras: the task of `training`, in the other framework.

The pretrained weights go into a model of layers that Keras has:

    words, mask -> embeddings -> 6 x (attention, two dense layers) -> mean, of length one

Text, batches, loss and learning rate are those of `training`.  Seeded, but TensorFlow's threads
add up in any order: versions that are made again differ in their last bits.
"""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING, Any, Final

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from histories.text import docstring_pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy.typing as npt

BATCH: Final = 16
TOKENS: Final = 32
TEMPERATURE: Final = 0.05
WEIGHT_DECAY: Final = 0.01  # as torch sets it


def network(about: dict[str, Any]) -> Any:
    """Return the model that *about*, a BERT's configuration, describes; not trained."""
    layers: Any = keras.layers
    width, inner, heads = (about[name] for name in ("hidden_size", "intermediate_size", _HEADS))
    words = keras.Input((TOKENS,), dtype="int32", name="words")
    mask = keras.Input((TOKENS,), dtype="int32", name="mask")
    places = keras.ops.cumsum(keras.ops.ones_like(words), axis=1) - 1
    rows = about["vocab_size"], about["max_position_embeddings"], about["type_vocab_size"]
    indexes = (words, places, keras.ops.zeros_like(words))
    flow = layers.add(
        [
            layers.Embedding(count, width, name=name)(index)
            for name, count, index in zip(_EMBEDDINGS, rows, indexes, strict=True)
        ]
    )
    flow = _normal("embedded", flow)
    seen = keras.ops.cast(mask, "bool")[:, None, :]
    for number in range(about["num_hidden_layers"]):
        attention = layers.MultiHeadAttention(
            heads, width // heads, dropout=_DROPOUT, name=f"attention_{number}"
        )
        told = layers.Dropout(_DROPOUT)(attention(flow, flow, attention_mask=seen))
        flow = _normal(f"attended_{number}", layers.add([flow, told]))
        wide = layers.Dense(inner, activation="gelu", name=f"wide_{number}")(flow)
        narrow = layers.Dropout(_DROPOUT)(layers.Dense(width, name=f"narrow_{number}")(wide))
        flow = _normal(f"layer_{number}", layers.add([flow, narrow]))
    weight = keras.ops.cast(mask, "float32")[:, :, None]
    mean = keras.ops.sum(flow * weight, axis=1) / keras.ops.sum(weight, axis=1)
    return keras.Model([words, mask], keras.ops.normalize(mean), name="minilm")


def fill(model: Any, weights: dict[str, npt.NDArray[np.float32]]) -> None:
    """Set the weights of *model* to those of a BERT that torch saved."""
    for layer in model.layers:
        if layer.weights:
            stored = (weights[name] for name in _torch_names(layer.name))
            shapes = [one.shape for one in layer.weights]
            turned = (one.T if one.ndim > 1 and _is_dense(layer) else one for one in stored)
            layer.set_weights([one.reshape(to) for one, to in zip(turned, shapes, strict=True)])


class KerasTrainer:
    """One model under training; `losses` grows by one a step."""

    def __init__(self, folder: Path, rate: float, *, seed: int) -> None:
        keras.utils.set_random_seed(seed)
        self._pairs = docstring_pairs()
        self._draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(TOKENS)
        self._tokenizer.enable_padding(length=TOKENS)
        self.rate = rate
        self.losses: list[float] = []
        self.model = network(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        fill(self.model, load_file(folder / "model.safetensors"))
        self.optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY)
        self.optimizer.build(self.model.trainable_variables)
        self.model.compile(self.optimizer, contrast)

    def advance(self, steps: int) -> None:
        """Train for *steps* steps and print the loss now and then."""
        for step in range(steps):
            names, summaries = zip(*self._draw.sample(self._pairs, BATCH), strict=True)
            words, mask = self._tokens([*names, *summaries])
            loss = self.model.train_on_batch([words, mask], np.zeros(2 * BATCH, np.int32))
            self.model.reset_metrics()
            self.losses.append(round(float(loss), 4))
            if step % 10 == 0 or step == steps - 1:
                print(f"  step {len(self.losses):4d}  loss {self.losses[-1]:.4f}", flush=True)

    def _tokens(self, texts: list[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        found = self._tokenizer.encode_batch(texts)
        words = np.array([one.ids for one in found], np.int32)
        return words, np.array([one.attention_mask for one in found], np.int32)


def contrast(_: Any, vectors: Any) -> Any:
    """Return how badly each name finds its summary: names are the first half of *vectors*."""
    names, summaries = vectors[:BATCH], vectors[BATCH:]
    cosines = keras.ops.matmul(names, keras.ops.transpose(summaries)) / TEMPERATURE
    right = keras.ops.arange(BATCH)
    return keras.losses.sparse_categorical_crossentropy(right, cosines, from_logits=True)


_HEADS: Final = "num_attention_heads"
_DROPOUT: Final = 0.1
_EMBEDDINGS: Final = {
    "word_table": "word_embeddings.weight",
    "place_table": "position_embeddings.weight",
    "kind_table": "token_type_embeddings.weight",
}
# Where torch keeps the weights of our layers, in the order in which Keras lists them.
_LAYERS: Final = {
    "attention": [f"attention.self.{part}" for part in ("query", "key", "value")]
    + ["attention.output.dense"],
    "attended": ["attention.output.LayerNorm"],
    "wide": ["intermediate.dense"],
    "narrow": ["output.dense"],
    "layer": ["output.LayerNorm"],
}


def _normal(name: str, flow: Any) -> Any:
    layers: Any = keras.layers
    return layers.LayerNormalization(epsilon=1e-12, name=name)(flow)


def _is_dense(layer: Any) -> bool:
    layers: Any = keras.layers
    return isinstance(layer, layers.Dense | layers.MultiHeadAttention)


def _torch_names(layer: str) -> Iterable[str]:
    if layer in _EMBEDDINGS:
        return [f"embeddings.{_EMBEDDINGS[layer]}"]
    if layer == "embedded":
        return _pairs_of("embeddings.LayerNorm")
    kind, _, number = layer.partition("_")
    parts = (f"encoder.layer.{number}.{part}" for part in _LAYERS[kind])
    return (name for part in parts for name in _pairs_of(part))


def _pairs_of(part: str) -> Iterator[str]:
    yield from (f"{part}.weight", f"{part}.bias")
