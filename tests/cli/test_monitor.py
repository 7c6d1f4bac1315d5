"""The monitor's command says what it saw, and its exit code what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import mlflow
import pytest

from mlflow_vault.cli.monitor import answer_of
from mlflow_vault.decide.policy.health.judge import Condition, Observation, Sample
from mlflow_vault.govern.monitor.report import Looked, Report
from mlflow_vault.govern.policies import read
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SCRIPT: Final = "import sys; from mlflow_vault.cli.main import main; sys.exit(main())"
POLICY: Final = """
metadata: {name: credit-production, models: credit}
transition: {to: production}
health:
  rules: [{name: auc, metric: live/auc, experiment: live, at_least: 0.7}]
  failure_limit: 2
  delay: 0s
on_failure: {rollback_to: last_healthy}
"""
# MLflow warns about its own future.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}")
    for kind in ("FutureWarning", "DeprecationWarning", "PendingDeprecationWarning", "UserWarning")
]


@pytest.fixture
def served(vault: Path, tmp_path: Path) -> Iterator[Vault]:
    """A vault and a registry of this test's own, with version 2 of a model in production."""
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    made = Vault.open(f"vault-file://{vault}")
    made.policies.apply(read(POLICY), "ann")
    for number in range(2):
        location = f"{made.uri}/7/{number:032x}/artifacts/model"
        made.promote(made.commit(location, name="credit"), to="production")
    mlflow.create_experiment("live")
    yield made
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


def log(value: float, time: int) -> None:
    """Log a live metric of then."""
    client = mlflow.MlflowClient()
    run = client.create_run(client.get_experiment_by_name("live").experiment_id)
    client.log_metric(run.info.run_id, "live/auc", value, timestamp=time)


def test_a_life(served: Vault, run: Callable[..., Any]) -> None:
    """Nothing logged, healthy, failing, rolled back: 3, 0, 1, 1, by MLflow's own registry."""
    since = served.releases.standing("credit")["production"].since
    words = ("monitor", "--vault", served.uri, "--name", "credit", "--json")
    printed = [run(*words)]
    for at, value in enumerate((0.9, 0.5, 0.5), 1):
        log(value, since + at)
        printed.append(run(*words))

    assert [one.code for one in printed] == [3, 0, 1, 1]
    assert [one.values["condition"] for one in printed] == [
        "inconclusive",
        "healthy",
        "failing",
        "failing",
    ]
    (looked,) = printed[-1].values["looks"]
    assert (looked["event"], looked["outcome"]) == ("rolled_back", "rolled back to credit/1")
    aliases = mlflow.MlflowClient().get_registered_model("credit").aliases
    assert {alias: int(number) for alias, number in aliases.items()} == {"production": 1}
    assert run("monitor", "--once", "--vault", served.uri, "--name", "fraud").code == 2


def test_again_and_again(vault: Path) -> None:
    """With --every it looks until it is told to stop, and says so line by line."""
    words = ("monitor", "--every", "100ms", "--json", "--vault", f"vault-file://{vault}")
    started = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *words], stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    lines = [started.stdout.readline() for _ in range(3)]
    started.terminate()
    started.communicate(timeout=60)

    assert [json.loads(line)["condition"] for line in lines] == ["healthy"] * 3
    assert started.returncode == 143


def test_hostile_names() -> None:
    """No name steers a terminal, or makes a line of its own."""
    bad = "\x1b[2J\nfraud/1 in production: healthy"
    seen = Observation(bad, bad, Condition.FAILING, bad, Sample(source=bad))
    looked = Looked(bad, 1, bad, bad, Condition.FAILING, (seen,), "failing", bad, (bad,))

    lines = answer_of(Report((looked,), (bad,))).lines

    assert len(lines) == 5
    assert all(line.isprintable() for line in lines)
    assert answer_of(Report((looked,))).code == 1


@pytest.mark.parametrize(
    "words", [("--every", "0s"), ("--every", "60"), ("--every", "1m", "--once")]
)
def test_bad_words(words: tuple[str, ...], run: Callable[..., Any]) -> None:
    """A time has a unit, and is more than nothing."""
    with pytest.raises(SystemExit) as ended:
        run("monitor", *words)

    assert ended.value.code == 2
