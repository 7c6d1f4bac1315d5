"""What the demonstration trains: the ways in which versions of a model come about.

From the kind to the unkind: a model that grows, one that is trained on, one whose larger part
stays as it is, and one that is trained again from nothing, where versions share no number
and a vault can only compress.

All on the digits that scikit-learn bundles: 1,797 images of 8 by 8.  Seeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

TREES: Final = 40  # that each version of the forest adds
LAYERS: Final = (512, 256)
EPOCHS: Final = 3  # between two versions of what is trained on
LANDMARKS: Final = 600  # of the kernel map
_BRIGHTEST: Final = 16.0
_DIGITS: Final = np.arange(10)


@dataclass(frozen=True, slots=True)
class Digits:
    """The images, one a row of 64 numbers from 0 to 1, and what they show."""

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    @classmethod
    def load(cls) -> Digits:
        """Read them from scikit-learn's own files."""
        images, labels = load_digits(return_X_y=True)
        return cls((images / _BRIGHTEST).astype(np.float32), labels)


@dataclass(frozen=True, slots=True)
class Kind:
    """A way in which versions come about.

    Attributes:
        name: Of the experiment.
        title: For people.
        train: Yields the model after each stretch of training; it may be the same object.
        trusted: Types that skops loads only if they are named.
    """

    name: str
    title: str
    train: Callable[[Digits, int], Iterator[Any]]
    trusted: tuple[str, ...] = ()


def grow(digits: Digits, versions: int) -> Iterator[Any]:
    """Add trees to a forest."""
    forest = RandomForestClassifier(warm_start=True, random_state=0)
    for version in range(versions):
        forest.set_params(n_estimators=TREES * (version + 1))
        yield forest.fit(digits.images, digits.labels)


def train_on(digits: Digits, versions: int) -> Iterator[Any]:
    """Go on training every weight of a neural network; Adam's state is saved with it."""
    network = MLPClassifier(LAYERS, random_state=0)
    for _ in range(versions):
        for _ in range(EPOCHS):
            network.partial_fit(digits.images, digits.labels, classes=_DIGITS)
        yield network


def train_head(digits: Digits, versions: int) -> Iterator[Any]:
    """Go on training the last layer over a kernel map that stays as it is."""
    features = Nystroem(n_components=LANDMARKS, random_state=0)
    head = SGDClassifier(loss="log_loss", random_state=0)
    mapped = features.fit_transform(digits.images)
    for _ in range(versions):
        head.partial_fit(mapped, digits.labels, classes=_DIGITS)
        yield make_pipeline(features, head)


def train_again(digits: Digits, versions: int) -> Iterator[Any]:
    """Train a forest from nothing, each time with other luck."""
    for version in range(versions):
        forest = RandomForestClassifier(TREES, random_state=version + 1)
        yield forest.fit(digits.images, digits.labels)


_TREE: Final = "sklearn.tree._tree.Tree"
_ADAM: Final = "sklearn.neural_network._stochastic_optimizers.AdamOptimizer"
KINDS: Final = (
    Kind("growing-forest", "random forest that grows", grow, (_TREE,)),
    Kind("network", "neural network trained on", train_on, (_ADAM,)),
    Kind("new-head", "new head on a fixed kernel map", train_head),
    Kind("other-forests", "random forest trained again", train_again, (_TREE,)),
)
