"""Sixteen who append to one log on Ceph at once leave no gap, and what they wrote is whole."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from mlflow_vault.engine.world import World
from mlflow_vault.format.log import Action, Actor, Subject
from mlflow_vault.govern.audit.checkpoints import Checkpoints
from mlflow_vault.govern.audit.keys import Signer
from mlflow_vault.govern.audit.log import Log
from mlflow_vault.govern.audit.proofs import include
from mlflow_vault.govern.audit.verifying import verify
from mlflow_vault.store.remote.s3 import S3Store
from mlflow_vault.testing.proxy import FaultyProxy, Mishap, Trouble
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.store.address import Address
    from mlflow_vault.store.remote.retries import Patience

    Settings = Callable[[str], dict[str, str]]

APPENDERS: Final = 16  # four processes of four threads, each with a log of its own
ENTRIES: Final = 15  # of each
PROCESS: Final = """
import sys
from concurrent.futures import ThreadPoolExecutor
from mlflow_vault.engine.world import World
from mlflow_vault.format.log import Action, Actor, Subject
from mlflow_vault.govern.audit.log import Log
from mlflow_vault.vault import Vault
from mlflow_vault.store.opening import open_store
from mlflow_vault.store.address import Address

store = open_store(Address.parse(sys.argv[1]))
identity = Vault.at(store).identity

def work(thread):
    log = Log(store, World(), identity)
    for number in range(int(sys.argv[3])):
        actor = Actor(f"{sys.argv[2]}-{thread}")
        log.append(Action.COMMIT, actor, Subject("version", str(number)))

with ThreadPoolExecutor(4) as pool:
    list(pool.map(work, range(4)))
"""


def _log(store: S3Store) -> Log:
    return Log(store, World(), Vault.init_at(store).identity)


def test_sixteen(ceph: str, address: Address, settings: Settings) -> None:
    """No gap, no entry lost or twice, each behind the one before; a checkpoint vouches for all."""
    store = S3Store(address, settings(ceph))
    log = _log(store)
    command = [sys.executable, "-c", PROCESS, store.uri]
    environment = os.environ | settings(ceph)
    running = [
        subprocess.Popen([*command, str(number), str(ENTRIES)], env=environment)
        for number in range(APPENDERS // 4)
    ]
    assert [process.wait(240) for process in running] == [0] * len(running)
    signer = Signer.generate("audit.example.com")
    checkpoints = Checkpoints(log)

    signed = checkpoints.make(signer)

    found = verify(log, [signer.public])
    assert found.is_whole
    assert found.signed == found.entries == APPENDERS * ENTRIES + 1
    entries = list(log.entries(0, APPENDERS * ENTRIES))
    actors = {entry.actor.name for entry in entries}
    assert len(actors) == APPENDERS
    for actor in actors:
        mine = [entry.subject.name for entry in entries if entry.actor.name == actor]
        assert mine == [str(number) for number in range(ENTRIES)]
    assert include(log, checkpoints, 7, signed).check([signer.public]) == entries[7]


def test_bad_network(ceph: str, address: Address, settings: Settings, hasty: Patience) -> None:
    """Requests that are cut off after they were carried out leave no entry twice, and no gap."""
    log = _log(S3Store(address, settings(ceph), hasty))
    plan = [Mishap(Trouble.LOST, method="PUT", at=at) for at in range(1, 40, 3)]
    with FaultyProxy(ceph, plan) as proxy:
        store = S3Store(address, settings(proxy.url), hasty)
        logs = [Log(store, World(), Vault.at(store).identity) for _ in range(4)]

        def work(worker: int) -> list[str]:
            return [
                logs[worker].append(Action.SEAL, Actor(str(worker)), Subject("path", str(n))).nonce
                for n in range(5)
            ]

        with ThreadPoolExecutor(4) as pool:
            told = {nonce for nonces in pool.map(work, range(4)) for nonce in nonces}
        assert proxy.struck

    nonces = [entry.nonce for entry in log.entries()]
    assert sorted(nonces) == sorted(told)
    assert verify(log).is_whole
