"""How long the index takes to be built, opened and asked, over 100,000 versions.

    python benchmarks/search [versions]

Each version has five metrics, five parameters, five tags and a dataset; one in ten is known to
MLflow with an alias or a tag of its own.  Each question is asked five times; the median counts.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import File, Origin, Version, digest_of
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.index import Index, sync

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = 100_000
DAY = 86_400_000
QUESTIONS: list[tuple[str, list[str]]] = [
    ("", []),
    ("metrics.f1 > 0.9 AND (params.lr < 0.01 OR tags.team = 'risk')", ["metrics.f1 DESC"]),
    ("metrics.f1 > metrics.recall - 0.01", ["metrics.loss ASC"]),
    ("NOT (metrics.f1 > 0.1 AND tags.team != 'risk')", ["params.optimizer ASC"]),
    ("params.optimizer LIKE 'a%' AND tags.owner ILIKE '%7'", []),
    ("dataset.name IN ('set-3', 'set-5') AND alias = 'champion'", []),
    ("created > now - 30d AND name LIKE 'model-1%'", ["name ASC", "number DESC"]),
    ("tags.team IS NULL OR metrics.f1 IS NULL", []),
    ("metrics.f1 > 0 AND metrics.recall > 0 AND metrics.loss > 0 AND metrics.auc > 0", []),
    ("digest = 'b3:00'", []),
]


def versions(count: int) -> Iterator[Version]:
    """Yield *count* versions, the same each time."""
    chance = random.Random(5)  # noqa: S311 - no secret
    now = int(time.time() * 1000)
    for number in range(count):
        files = (File("model.safetensors", number, Digest.of(b"%d" % number), bytes(32)),)
        metrics = {key: chance.random() for key in ("f1", "recall", "loss", "auc", "p99_ms")}
        params = {key: f"{chance.random():.4f}" for key in ("lr", "decay", "dropout", "momentum")}
        tags = {key: f"{key}-{chance.randrange(100)}" for key in ("owner", "site", "ticket", "run")}
        facts = {
            "metrics": metrics,
            "params": params | {"optimizer": chance.choice(["adam", "adagrad", "sgd"])},
            "tags": tags | {"team": chance.choice(["risk", "growth", "fraud"])},
            "datasets": [{"name": f"set-{chance.randrange(10)}", "digest": f"{number:08x}"}],
        }
        yield Version(
            digest_of(files),
            f"{number:032x}",
            f"model-{number % 200}",
            number // 200 + 1,
            now - chance.randrange(365) * DAY,
            "ann",
            Origin(f"models:/m-{number:x}", f"1/models/m-{number:x}/artifacts"),
            files,
            facts=facts,
        )


def told(count: int) -> Iterator[Held]:
    """Yield what MLflow says of one in ten of them."""
    for number in range(0, count, 10):
        name, version = f"model-{number % 200}", number // 200 + 1
        aliases = ("champion",) if number % 100 == 0 else ()
        tags = {"team": "risk", "pii_review": "done"}
        yield Held(f"models:/{name}/{version}", "", name, version, aliases=aliases, tags=tags)


def main() -> None:
    """Build an index, open it again, and ask it."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else VERSIONS
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "index.sqlite")
        made = {f"{version.id}": version for version in versions(count)}
        keys = {
            f"versions/records/{v.digest.raw.hex()[:2]}/{v.digest.raw.hex()}/{v.id}": v
            for v in made.values()
        }
        start = time.perf_counter()
        index = Index.open(path, "bench")
        sync(index, lambda: keys, keys.__getitem__)
        print(f"built from {count:,} records in {time.perf_counter() - start:.1f} s")
        start = time.perf_counter()
        index.refresh(told(count))
        print(f"refreshed with {count // 10:,} of MLflow's in {time.perf_counter() - start:.2f} s")
        start = time.perf_counter()
        sync(index, lambda: keys, keys.__getitem__)
        print(f"nothing new found in {time.perf_counter() - start:.2f} s")
        start = time.perf_counter()
        index = Index.open(path, "bench")
        print(f"opened, {path.stat().st_size / 1e6:.0f} MB, in {time.perf_counter() - start:.2f} s")
        print("\n| seconds | page 2 | filter | order_by |\n|---|---|---|---|")
        for text, order_by in QUESTIONS:
            ask(index, text, order_by)


def ask(index: Index, text: str, order_by: list[str]) -> None:
    """Print how long one question takes, and its second page."""
    seconds, later = [], []
    for _ in range(5):
        start = time.perf_counter()
        page = index.search(text, order_by=order_by, max_results=100)
        seconds.append(time.perf_counter() - start)
        start = time.perf_counter()
        if page.token:
            index.search(text, order_by=order_by, max_results=100, page_token=page.token)
        later.append(time.perf_counter() - start)
    print(f"| {median(seconds):.3f} | {median(later):.3f} | `{text}` | `{', '.join(order_by)}` |")


if __name__ == "__main__":
    main()
