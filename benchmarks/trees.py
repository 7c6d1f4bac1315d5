"""Measure what models made of trees take in a vault, beside restic and borg on the same files.

Trees are where deduplicating backup tools are strong: a model that is trained further repeats what
it was byte by byte, and what is new are small integers and text rather than floats.  So the vault
is held against the better of both tools, borg with two of its settings.

    scikit-learn, XGBoost, LightGBM --train--> versions -+-> mlflow + vault -> bytes, restored?
                                                         +-> restic, borg --> bytes

What is trained on is drawn by scikit-learn, seeded.  A missed bound or a byte that comes back
different is exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from histories.recipe import NOTE, SEED, History, Recipe, Workshop, versions_of
from peers import borg_bytes, restic_bytes, tool_version
from report import Judged, machine, share, table
from stored_bytes import through_vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

RESULTS: Final = Path(__file__).parent / "results" / "trees.md"
DEFAULT_CACHE: Final = Path(__file__).parent / ".cache" / "trees"
AT_MOST: Final = 1.05  # the vault's bytes over the better peer's
BORG: Final = (("--compression", "zstd,3"), ("--compression", "auto,zstd"))
ROWS: Final = 40_000  # examples; of 20 features, 12 of which say something
CLASSES: Final = 4
PACKAGES: Final = ("scikit-learn", "skops", "xgboost", "lightgbm")


@dataclass(frozen=True, slots=True)
class Row:
    """One history, measured; a tool that was not run is None."""

    history: History
    added: Sequence[int]  # by each version, to the vault
    differing: Sequence[int]  # versions that did not come back as they were
    restic: int | None
    borg: Sequence[int | None]  # with each of `BORG`

    @property
    def judged(self) -> Judged:
        """The whole history against the better peer."""
        peers = [size for size in (self.restic, *self.borg) if size]
        return Judged(sum(self.added), min(peers, default=None), AT_MOST)

    @property
    def failures(self) -> list[str]:
        """What a reader has to be told first, empty if all is well."""
        name = self.history.name
        said = [f"{name} v{version} came back different" for version in self.differing]
        if self.judged.missed:
            said.append(f"{name} takes {self.judged.cells[0]} of the better peer's bytes")
        return said


def _examples(rows: int = ROWS) -> tuple[Any, Any]:
    from sklearn.datasets import make_classification  # noqa: PLC0415 - group `trees`

    drawn = make_classification(
        ROWS, 20, n_informative=12, n_classes=CLASSES, flip_y=0.05, random_state=SEED
    )
    return drawn[0][:rows], drawn[1][:rows]


def refitted(rows: Sequence[int], trees: int) -> Iterator[Any]:
    """Yield forests of classifiers, each fitted anew on more examples."""
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - group `trees`

    for count in rows:
        yield RandomForestClassifier(trees, random_state=SEED, n_jobs=-1).fit(*_examples(count))


def grown(trees: Sequence[int]) -> Iterator[Any]:
    """Yield one forest of classifiers as trees are added to it."""
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - group `trees`

    forest = RandomForestClassifier(warm_start=True, random_state=SEED, n_jobs=-1)
    for count in trees:
        yield forest.set_params(n_estimators=count).fit(*_examples())


def regressing(trees: Sequence[int]) -> Iterator[Any]:
    """Yield one small forest of regressors as trees are added to it."""
    from sklearn.datasets import make_friedman1  # noqa: PLC0415 - group `trees`
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415 - group `trees`

    examples = make_friedman1(ROWS // 2, 8, noise=1.0, random_state=SEED)
    forest = RandomForestRegressor(warm_start=True, min_samples_leaf=5, random_state=SEED)
    for count in trees:
        yield forest.set_params(n_estimators=count).fit(*examples)


def boosted(rounds: int, versions: int) -> Iterator[Any]:
    """Yield an XGBoost model each time it was trained *rounds* further."""
    import xgboost  # noqa: PLC0415 - group `trees`

    settings = {"objective": "multi:softprob", "num_class": CLASSES, "max_depth": 8, "eta": 0.1}
    data = xgboost.DMatrix(*_examples())
    model = None
    for _ in range(versions):
        model = xgboost.train({**settings, "seed": SEED}, data, rounds, xgb_model=model)
        yield model


def light(rounds: int, versions: int, leaves: int) -> Iterator[Any]:
    """Yield a LightGBM model each time it was trained *rounds* further."""
    import lightgbm  # noqa: PLC0415 - group `trees`

    settings = {"objective": "multiclass", "num_class": CLASSES, "num_leaves": leaves}
    settings |= {"verbose": -1, "seed": SEED, "deterministic": True}
    model = None
    for _ in range(versions):
        data = lightgbm.Dataset(*_examples(), free_raw_data=False)
        model = lightgbm.train(settings, data, rounds, init_model=model)
        yield model


def _pickle(model: Any, path: Path) -> None:
    path.write_bytes(pickle.dumps(model, protocol=5))  # as cloudpickle writes it


def _skops(model: Any, path: Path) -> None:
    import skops.io  # noqa: PLC0415 - group `trees`

    skops.io.dump(model, path)


def _own(model: Any, path: Path) -> None:
    model.save_model(str(path))


@dataclass(frozen=True, slots=True)
class Grove:
    """Histories that hold the same models, saved in different ways."""

    title: str
    versions: int
    train: Callable[[], Iterator[Any]]
    saved: dict[str, tuple[str, Callable[[Any, Path], None]]]  # history: file's name, how

    def make(self, workshop: Workshop) -> None:
        """Train every version and save it in every way."""
        for version, model in enumerate(self.train()):
            for name, (file_name, save) in self.saved.items():
                save(model, workshop.path(name, version, Path(file_name).suffix))
        for name in self.saved:
            workshop.finish(name, **versions_of(*PACKAGES))


def _sklearn(name: str) -> dict[str, tuple[str, Callable[[Any, Path], None]]]:
    return {f"{name}-pickle": ("model.pkl", _pickle), f"{name}-skops": ("model.skops", _skops)}


def _xgboost(name: str) -> dict[str, tuple[str, Callable[[Any, Path], None]]]:
    return {f"{name}-ubj": ("model.ubj", _own), f"{name}-json": ("model.json", _own)}


GROVES: Final = (
    Grove(
        "random forest refitted on more examples",
        4,
        lambda: refitted((25_000, 30_000, 35_000, 40_000), 60),
        _sklearn("refitted"),
    ),
    Grove(
        "small random forest refitted on more examples",
        4,
        lambda: refitted((4_000, 8_000, 12_000, 16_000), 20),
        _sklearn("small-refitted"),
    ),
    Grove(
        "random forest grown by `warm_start`",
        4,
        lambda: grown((25, 50, 75, 100)),
        _sklearn("grown"),
    ),
    Grove(
        "small forest of regressors, grown",
        4,
        lambda: regressing((4, 8, 12, 16)),
        _sklearn("small-grown"),
    ),
    Grove("XGBoost, continued", 4, lambda: boosted(50, 4), _xgboost("xgboost")),
    Grove("large XGBoost, continued", 3, lambda: boosted(200, 3), _xgboost("xgboost-large")),
    Grove("LightGBM, continued", 3, lambda: light(40, 3, 63), {"lightgbm": ("model.lgb", _own)}),
    Grove(
        "large LightGBM, continued",
        3,
        lambda: light(100, 3, 255),
        {"lightgbm-large": ("model.lgb", _own)},
    ),
)


def ensure(workshop: Workshop) -> dict[str, History]:
    """Return every history by its name, made now unless *workshop* holds it already."""
    found = {}
    for grove in GROVES:
        notes = [workshop.cache / name / NOTE for name in grove.saved]
        if not all(note.exists() for note in notes):
            started = time.monotonic()
            grove.make(workshop)
            print(f"made {', '.join(grove.saved)} in {time.monotonic() - started:.0f} s")
        for (name, (file_name, _)), note in zip(grove.saved.items(), notes, strict=True):
            suffix = Path(file_name).suffix
            recipe = Recipe(f"{grove.title}, `{suffix}`", file_name, grove.versions, grove.make)
            paths = tuple(workshop.path(name, at, suffix) for at in range(grove.versions))
            made = json.loads(note.read_text(encoding="utf-8"))
            found[name] = History(name, recipe, paths, made)
    return found


def measure(history: History, *, peers: bool) -> Row:
    """Measure *history* in the vault and with both peers."""
    print(f"{history.name}: {history.raw_bytes / 1e6:.1f} MB", flush=True)
    with tempfile.TemporaryDirectory(prefix="trees-") as name:
        folder = Path(name)
        added, differing = through_vault(history, folder)
        restic = restic_bytes(history, folder) if peers else None
        borg = [borg_bytes(history, folder, how) if peers else None for how in BORG]
    row = Row(history, added, differing, restic, borg)
    print(f"  of the better peer {' '.join(row.judged.cells)}", flush=True)
    return row


def markdown(rows: Sequence[Row]) -> str:
    """Return the report."""
    whole, versions = [], []
    for row in rows:
        raw = row.history.raw_bytes
        title, sizes = row.history.recipe.title, [one.stat().st_size for one in row.history.paths]
        shares = [share(part, raw) for part in (row.restic, *row.borg, sum(row.added))]
        back = "**differs**" if row.differing else "equal"
        whole.append([title, f"{raw / 1e6:.1f}", *shares, *row.judged.cells, back])
        each = [share(part, size) for part, size in zip(row.added, sizes, strict=True)]
        span = f"{sizes[0] / 1e6:.1f} to {sizes[-1] / 1e6:.1f}"
        versions.append([title, span, *each, *["-"] * (4 - len(each))])
    head = ["history", "raw MB", "restic", *(f"borg {how[-1]}" for how in BORG), "vault"]
    drawn = "repository format 2; it draws how it cuts for each repository, so small ones vary"
    tools = [f"{tool_version('restic')}, {drawn}", tool_version("borg")]
    made = ", ".join(f"{key} {value}" for key, value in rows[0].history.made.items())
    return "\n".join(
        [
            "# Models made of trees",
            "",
            "Written by `python benchmarks/trees.py`, which says how it measures.  Shares are of",
            "the raw bytes; lower is better.  The vault's count is every byte below its folder, a",
            "peer's every byte of its repository.",
            "",
            *table([*head, "vault / best", "at most", "", "restored"], whole),
            "",
            "What each version added to the vault, as a share of that version:",
            "",
            *table(["history", "MB", "v0", "v1", "v2", "v3"], versions),
            "",
            *(f"- {line}" for line in [*machine(), *tools, made]),
            "",
        ]
    )


def main(words: list[str] | None = None) -> int:
    """Measure, report, and return 1 if a bound was missed or a byte differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--only", action="append", metavar="HISTORY")
    parser.add_argument("--skip-peers", action="store_true", help="only the vault")
    arguments = parser.parse_args(words)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    histories = ensure(Workshop(arguments.cache))
    wanted = arguments.only or list(histories)
    rows = [measure(histories[name], peers=not arguments.skip_peers) for name in wanted]
    report = markdown(rows)
    print(report)
    if not arguments.only and not arguments.skip_peers:
        RESULTS.write_text(report, encoding="utf-8")
    failures = [failure for row in rows for failure in row.failures]
    print("\n".join(failures) or "every bound kept, every byte restored")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
