"""How long a promotion takes beside MLflow's own calls, in a vault with a long past.

    python benchmarks/decisions.py [--versions 10000] [--entries 100000] [--decisions 1000]

A local vault has so many versions of one model, so many entries in its audit log, and so many
decisions about the model.  MLflow is a registry in memory, so what is measured is the vault's own:
finding the version, collecting what is known, judging by four policies, deciding, logging.  Custom
checks and the reading of bytes are left out.  Each promotion is measured in a process that just
opened the vault, and in one that goes on promoting; medians count.
"""

from __future__ import annotations

import argparse
import secrets
import tempfile
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.policy.roles import EVERYTHING
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Action, Actor, LogEntry, Subject
from mlflow_vault.format.record import Kind, frame_json
from mlflow_vault.format.version import File, Origin, Version, digest_of
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.policies import read
from mlflow_vault.govern.release.caller import Caller
from mlflow_vault.testing.registry import Registry
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

MODEL: Final = "credit"
LIMIT: Final = 100  # milliseconds
POLICIES: Final = (
    """\
metadata: {name: to-staging, models: ["credit*"]}
transition: {to: staging}
metrics: {f1: {threshold: 0.5, greater_is_better: true}}
evidence: [{type: test-result, name: holdout, max_age: 7d}]
""",
    """\
metadata: {name: to-production, models: ["credit*"]}
transition: {from: staging, to: production}
baseline: "@production"
without_baseline: skip
metrics: {f1: {threshold: 0.5, min_absolute_change: 0.00001, greater_is_better: true}}
require: ["metrics.f1 > baseline.metrics.f1 OR baseline.number IS NULL", "tags.team = 'risk'"]
approvals: {min: 2, expires: 72h}
soak: {in: staging, for: 0s}
""",
    """\
metadata: {name: paperwork, models: ["*"]}
transition: {to: production}
require: ["tags.owner IS NOT NULL", "created > now - 3650d"]
""",
    """\
metadata: {name: watched, models: ["*"]}
mode: warn
transition: {to: production}
require: ["metrics.loss < 0.1"]
""",
)
APPROVERS: Final = tuple(
    Caller(Actor(name, verified=True), (), EVERYTHING) for name in ("bob", "cat")
)


def fill(vault: Vault, registry: Registry, versions: int, entries: int) -> None:
    """Give *vault* a past: records, names and log entries, as its writers spell them."""
    made = [_version(number, versions) for number in range(1, versions + 1)]
    vault.store.put_many(_records(made))
    for version in made:
        held = registry.register(MODEL, Held("", "", author="ann"))
        registry.tag(held, {"mlflow_vault.digest": str(version.digest)})
    vault.store.put_many(_entries(vault, made, entries))
    hint = frame_json(Kind.HINT, {"sequence": entries - 1})
    vault.store.put(layout.LOG_HEAD, hint)


def _version(number: int, count: int) -> Version:
    files = (File("model.safetensors", number, Digest.of(b"%d" % number), bytes(32)),)
    return Version(
        digest=digest_of(files),
        id=f"{number:032x}",
        name=MODEL,
        number=number,
        created=int(time.time() * 1000) - 1000,
        author="ann",
        origin=Origin(f"models:/m-{number:x}", f"1/models/m-{number:x}/artifacts"),
        files=files,
        facts={
            "metrics": {"f1": 0.6 + 0.3 * number / count, "loss": 0.2},
            "params": {f"parameter-{index}": str(index) for index in range(20)},
            "tags": {"team": "risk", "owner": "ann"},
            "run": {"user": "ann"},
            "environment": {"python": "3.12.1", "packages": {"numpy": "2.4.0"}},
        },
        content=f"{number:032x}",
        parts=1,
    )


def _records(made: list[Version]) -> Iterator[tuple[str, bytes]]:
    for version in made:
        key = layout.record_key(version.digest, version.id)
        yield key, version.to_bytes()
        name = layout.name_key(version.name, version.number, version.digest, version.id)
        yield name, frame_json(Kind.VERSION, {"record": key})


def _entries(vault: Vault, made: list[Version], count: int) -> Iterator[tuple[str, bytes]]:
    before = None
    for sequence in range(count):
        version = made[sequence % len(made)]
        entry = LogEntry(
            vault=vault.identity.id,
            sequence=sequence,
            time=version.created,
            nonce=secrets.token_hex(16),
            action=Action.COMMIT,
            actor=Actor("ann"),
            subject=Subject("version", MODEL, version.digest),
            predecessor=before,
            after={"number": version.number},
        )
        stored = entry.to_bytes()
        before = Digest.of(stored)
        yield layout.log_key(sequence), stored


def measure(uri: str, registry: Registry, numbers: range, *, fresh: bool) -> list[float]:
    """Promote versions to staging and then to production; return milliseconds of each."""
    vault = _open(uri, registry)
    took: list[float] = []
    for number in numbers:
        reference = f"{MODEL}/{number}"
        vault.evidence(reference, type="test-result", name="holdout", passed=True)
        took.append(_timed(_open(uri, registry) if fresh else vault, reference, "staging"))
        for caller in APPROVERS:
            vault.releases.approve(reference, caller=caller)
        took.append(_timed(_open(uri, registry) if fresh else vault, reference, "production"))
    return took


def _timed(vault: Vault, reference: str, to: str) -> float:
    start = time.perf_counter()
    moved = vault.promote(reference, to=to)
    took = (time.perf_counter() - start) * 1000
    assert moved.decision is not None
    return took


def _open(uri: str, registry: Registry) -> Vault:
    opened = Vault.open(uri)
    return Vault(opened.store, opened.identity, host=lambda: registry)


def main() -> None:
    """Fill a vault, measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--decisions", type=int, default=1000, help="made before measuring")
    parser.add_argument("--times", type=int, default=50, help="versions promoted twice each")
    asked = parser.parse_args()
    registry = Registry()
    with tempfile.TemporaryDirectory() as folder:
        uri = f"vault-file://{folder}/vault"
        vault = Vault.init(uri)
        fill(vault, registry, asked.versions, asked.entries)
        for text in POLICIES:
            vault.policies.apply(read(text), "admin")
        past = asked.decisions // 2
        measure(uri, registry, range(1, past + 1), fresh=False)
        print(f"{asked.versions} versions, {asked.entries} entries, {asked.decisions} decisions")
        start = past + 1
        for name, fresh in (("in a process that goes on", False), ("in a new process", True)):
            took = measure(uri, registry, range(start, start + asked.times), fresh=fresh)
            start += asked.times
            tail = quantiles(took, n=20)[-1]
            print(f"{name}: median {median(took):.1f} ms, 95 % within {tail:.1f} ms")
            assert median(took) < LIMIT, f"the limit is {LIMIT} ms"


if __name__ == "__main__":
    main()
