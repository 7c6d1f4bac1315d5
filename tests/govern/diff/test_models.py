"""Real models are compared in the formats that libraries save them in."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import skops.io
import xgboost
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from mlflow_vault.decide.differences import Change

if TYPE_CHECKING:
    from pathlib import Path

    from bench import Bench

RANDOM = np.random.default_rng(11)
EXAMPLES = RANDOM.standard_normal((400, 30))
LABELS = (EXAMPLES[:, 0] + EXAMPLES[:, 1] ** 2 > 1).astype(int)


def saved(model: Any) -> bytes:
    """*model* as skops saves it."""
    plain: bytes = skops.io.dumps(model)
    return plain


def test_skops(bench: Bench) -> None:
    """A model of scikit-learn that was fitted again differs in its coefficients."""
    first, second = (
        LogisticRegression(C=strength).fit(EXAMPLES, LABELS) for strength in (0.1, 1.0)
    )
    sides = [bench.commit(n, {"model.skops": saved(m)}) for n, m in enumerate((first, second))]

    diff = bench.compare(*sides)

    numbers = [change.numbers for change in diff.tensors if change.numbers]
    assert diff.tensor_counts[Change.CHANGED] == 2  # coefficients and intercept
    assert [one.max_delta for one in numbers] == [
        np.abs(second.coef_ - first.coef_).max(),
        np.abs(second.intercept_ - first.intercept_).max(),
    ]


def test_trained_further(bench: Bench) -> None:
    """A network in a pickle that learned a little more has moved a little, layer by layer."""
    first = MLPClassifier((300, 200), max_iter=1, random_state=1, warm_start=True)
    sides, weights = [], []
    for number in range(2):
        with pytest.warns(UserWarning, match="Maximum iterations"):
            first.fit(EXAMPLES, LABELS)
        weights.append([layer.copy() for layer in first.coefs_[:2]])  # the last is tiny
        sides.append(bench.commit(number, {"model.pkl": pickle.dumps(first)}))

    diff = bench.compare(*sides)

    found = {one.place.tensor.name: one.numbers for one in diff.tensors}
    for layer, (old, new) in enumerate(zip(*weights, strict=True)):
        numbers = found[f"coefs_.{layer}"]
        assert numbers
        assert numbers.max_delta == np.abs(new - old).max()
        assert numbers.changed == np.count_nonzero(new != old)


def test_trees(bench: Bench, tmp_path: Path) -> None:
    """Boosted trees have no tensors that continue; their files share what did not change."""
    sides = []
    for number, trees in enumerate((400, 500)):
        model = xgboost.XGBClassifier(n_estimators=trees, max_depth=6, nthread=1)
        model.fit(EXAMPLES, LABELS)
        model.save_model(tmp_path / "model.json")
        boosted = GradientBoostingClassifier(n_estimators=trees // 50, random_state=0)
        files = {
            "model.json": (tmp_path / "model.json").read_bytes(),
            "model.skops": saved(boosted.fit(EXAMPLES, LABELS)),
        }
        sides.append(bench.commit(number, files))

    diff = bench.compare(*sides)

    assert [file.path for file in diff.files] == ["model.json", "model.skops"]
    assert str(diff)
    assert not bench.compare(sides[0], sides[0])


class Bomb:
    """What must not go off: unpickled it makes a file."""

    def __init__(self, path: Path, weights: Any) -> None:
        self.path, self.weights = path, weights

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self.path).write_text, (self.path, "boom"), {"weights": self.weights})


def test_never_unpickled(bench: Bench, tmp_path: Path) -> None:
    """Pickles are parsed for their arrays, and not executed."""
    fuse = tmp_path / "fuse"
    sides = [
        bench.commit(n, {"model.pkl": pickle.dumps(Bomb(fuse, EXAMPLES * (n + 1)))})
        for n in range(2)
    ]

    diff = bench.compare(*sides)

    assert diff.tensor_counts[Change.CHANGED] == 1
    assert not fuse.exists()
