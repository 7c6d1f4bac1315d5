"""Checkpoints sign what the log holds, and whoever has one can be shown what is in the log."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from itertools import count, pairwise
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mlflow_vault.errors import (
    CorruptionError,
    InvalidInputError,
    NotFoundError,
    UntrustedError,
    VaultError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.checkpoint import PublicKey, SignedCheckpoint
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.entry_tiles import entries_path, join
from mlflow_vault.format.log import Action
from mlflow_vault.format.merkle import tile_path
from mlflow_vault.govern.audit.checkpoints import Checkpoints
from mlflow_vault.govern.audit.keys import Signer, signers
from mlflow_vault.govern.audit.proofs import Inclusion, grow, include
from mlflow_vault.govern.audit.verifying import verify
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.stores import (
    CountingStore,
    Fault,
    FaultKind,
    FaultyStore,
    Killed,
    SlowStore,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.format.log import LogEntry
    from mlflow_vault.govern.audit.log import Log
    from mlflow_vault.store.protocol import Store

    Open = Callable[[Store], Log]
    Append = Callable[..., LogEntry]

FAULTS = tuple(kind for kind in FaultKind if kind is not FaultKind.TRUNCATE)


def fill(log: Log, append: Append, size: int) -> None:
    """Append until the log has *size* entries."""
    for number in range(log.size(), size):
        append(log, number)


def test_make(log: Log, append: Append, checkpoints: Checkpoints, signer: Signer) -> None:
    """A checkpoint is the last entry that it vouches for; without news there is no other."""
    fill(log, append, 3)

    signed = checkpoints.make(signer)

    assert signed.checkpoint.size == 4 == log.size()
    assert signed.checkpoint.origin == f"mlflow-vault/{log.vault}"
    entry = log.read(3)
    assert (entry.action, entry.subject.name) == (Action.CHECKPOINT, "0")
    assert signers(signed, [signer.public]) == (signer.public,)
    assert checkpoints.make(signer) == signed == checkpoints.latest([signer.public])
    assert (checkpoints.count(), log.size()) == (1, 4)


def test_none(checkpoints: Checkpoints, signer: Signer) -> None:
    """Before the first one there is none."""
    assert checkpoints.count() == 0
    assert checkpoints.latest([signer.public]) is None
    with pytest.raises(NotFoundError):
        checkpoints.read(0)


@pytest.mark.parametrize("sizes", [(1, 3, 5), (254, 256, 300), (100, 511, 600), (700, 710)])
def test_grows(
    log: Log, append: Append, checkpoints: Checkpoints, signer: Signer, sizes: tuple[int, ...]
) -> None:
    """However many entries come between, a checkpoint goes on from the last one's tiles."""
    made = []
    for size in sizes:
        fill(log, append, size)
        made.append(checkpoints.make(signer))

    assert verify(log, [signer.public]).is_whole
    for earlier, later in pairwise(made):
        growth = grow(checkpoints, earlier, later)
        growth.check([signer.public])
        with pytest.raises(InvalidInputError, match="does not go on"):
            grow(checkpoints, later, earlier)
    last = made[-1]
    for sequence in {0, 1, sizes[0], 255, 256, last.checkpoint.size - 1}:
        if sequence < last.checkpoint.size:
            proof = include(log, checkpoints, sequence, last)
            assert proof.check([signer.public]) == log.read(sequence)


def test_costs(open_log: Open, append: Append, signer: Signer) -> None:
    """A checkpoint reads what is new, not the log; a proof reads a few tiles."""
    store = CountingStore(MemoryStore())
    log = open_log(store)
    checkpoints = Checkpoints(log)
    fill(log, append, 1000)
    checkpoints.make(signer)
    fill(log, append, 1010)
    store.reset()

    signed = checkpoints.make(signer)

    assert store.total <= 30
    store.reset()
    include(log, checkpoints, 500, signed)
    assert store.total <= 5


def test_offline(log: Log, append: Append, checkpoints: Checkpoints, signer: Signer) -> None:
    """A proof is JSON, and is checked with a line of text for a key."""
    fill(log, append, 20)
    told = json.dumps(include(log, checkpoints, 7, checkpoints.make(signer)).to_dict())

    proof = Inclusion.from_dict(json.loads(told))

    assert proof.check([PublicKey.parse(str(signer.public))]) == log.read(7)


def test_false_proofs(log: Log, append: Append, checkpoints: Checkpoints, signer: Signer) -> None:
    """A proof for another entry, number, log or key holds nothing."""
    fill(log, append, 20)
    proof = include(log, checkpoints, 7, checkpoints.make(signer))
    trusted = [signer.public]
    other = log.read(8).to_bytes()

    for false in (
        replace(proof, stored=other),
        replace(proof, sequence=8),
        replace(proof, proof=proof.proof[:-1]),
        replace(proof, proof=(*proof.proof[:-1], bytes(32))),
    ):
        with pytest.raises(CorruptionError, match="does not show"):
            false.check(trusted)
    with pytest.raises(UntrustedError, match="no trusted key"):
        proof.check([Signer.generate(signer.public.name).public])
    with pytest.raises(UntrustedError, match="no trusted key"):
        proof.check([])
    head = replace(proof.signed.checkpoint, size=22)
    with pytest.raises(UntrustedError, match="no trusted key"):
        replace(proof, signed=replace(proof.signed, checkpoint=head)).check(trusted)
    for told in ({}, {"checkpoint": 7}, proof.to_dict() | {"checkpoint": "x"}, None):
        with pytest.raises(InvalidInputError, match="proves no entry"):
            Inclusion.from_dict(told)  # type: ignore[arg-type]
    odd = {"proof": ["A" * 42 + "B="]}  # the bytes of 43 times A, spelled otherwise
    for bad in ({"sequence": "x"}, {"proof": ["?"]}, odd, {"entry": 7}):
        with pytest.raises(InvalidInputError, match="proves no entry"):
            Inclusion.from_dict(proof.to_dict() | bad)


def test_false_growth(log: Log, append: Append, checkpoints: Checkpoints, signer: Signer) -> None:
    """A log that was rewritten is not shown to have grown."""
    fill(log, append, 5)
    earlier = checkpoints.make(signer)
    fill(log, append, 9)
    growth = grow(checkpoints, earlier, checkpoints.make(signer))
    forged = signer.sign(replace(earlier.checkpoint, root=bytes(32)))

    with pytest.raises(CorruptionError, match="not shown to begin"):
        replace(growth, earlier=forged).check([signer.public])
    with pytest.raises(CorruptionError, match="verify the log"):
        grow(checkpoints, forged, growth.later)
    elsewhere = signer.sign(replace(earlier.checkpoint, origin="mlflow-vault/other"))
    with pytest.raises(CorruptionError, match="not shown to begin"):
        replace(growth, earlier=elsewhere).check([signer.public])


@pytest.mark.parametrize(
    ("tile", "sequence"), [("tile/0/000", 3), ("tile/0/002.p/89", 600), ("tile/1/000.p/2", 600)]
)
@pytest.mark.parametrize("stored", [None, b"", b"noise", bytes(256 * 32), bytes(89 * 32)])
def test_damaged_tiles(  # noqa: PLR0913, PLR0917 - fixtures
    log: Log, append: Append, signer: Signer, tile: str, sequence: int, stored: bytes | None
) -> None:
    """Tiles that are missing, damaged or forged prove nothing; checkpoints make them anew."""
    checkpoints = Checkpoints(log)
    fill(log, append, 600)
    signed = checkpoints.make(signer)
    assert signed.checkpoint.size == 601
    log.store.delete(layout.LOG + tile)
    if stored is not None:
        log.store.put(layout.LOG + tile, stored)
    with pytest.raises(CorruptionError):
        include(log, checkpoints, sequence, signed)

    fill(log, append, 620)
    checkpoints.make(signer)

    assert verify(log, [signer.public]).is_whole


def test_damaged_entries(
    log: Log, append: Append, checkpoints: Checkpoints, signer: Signer
) -> None:
    """What is damaged or missing is not signed."""
    fill(log, append, 10)
    checkpoints.make(signer)
    fill(log, append, 20)
    log.store.put(layout.log_key(15), replace(log.read(15), after=None).to_bytes())
    with pytest.raises(CorruptionError, match="not written behind"):
        checkpoints.make(signer)
    log.store.delete(layout.log_key(15))
    with pytest.raises(CorruptionError, match="missing"):
        checkpoints.make(signer)

    assert checkpoints.count() == 1


def test_not_what_was_signed(
    log: Log, append: Append, checkpoints: Checkpoints, signer: Signer
) -> None:
    """A log whose beginning is not what the last checkpoint says is not signed."""
    fill(log, append, 10)
    last = checkpoints.make(signer)
    forged = signer.sign(replace(last.checkpoint, root=bytes(32)))
    log.store.put(layout.checkpoint_key(0), forged.to_bytes())
    append(log)

    with pytest.raises(CorruptionError, match="verify the log to see which"):
        checkpoints.make(signer)


def test_keys_change(log: Log, append: Append, checkpoints: Checkpoints, signer: Signer) -> None:
    """A new key goes on behind an old one that it is told to trust, and behind no other."""
    append(log)
    checkpoints.make(signer)
    append(log)
    new = Signer.generate("new")

    with pytest.raises(UntrustedError, match=r"signed by 'audit\.example\.com'"):
        checkpoints.make(new)
    made = checkpoints.make(new, [signer.public])

    assert checkpoints.latest([new.public]) == made
    assert verify(log, [signer.public, new.public]).signed == made.checkpoint.size
    assert not verify(log, [new.public]).is_whole


def test_of_another_vault(
    log: Log, append: Append, checkpoints: Checkpoints, signer: Signer
) -> None:
    """A checkpoint that was copied from another vault is not gone on from."""
    append(log)
    head = replace(checkpoints.make(signer).checkpoint, origin="mlflow-vault/other")
    log.store.put(layout.checkpoint_key(0), signer.sign(head).to_bytes())

    with pytest.raises(CorruptionError, match="another log"):
        checkpoints.make(signer)


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.name.lower())
@pytest.mark.parametrize("held", [3, 256])
def test_every_request_fails(
    open_log: Open, append: Append, signer: Signer, kind: FaultKind, held: int
) -> None:
    """Whichever request fails, the next checkpoint vouches for everything."""
    for at in count(1):
        store = MemoryStore()
        log = open_log(store)
        fill(log, append, held)
        Checkpoints(log).make(signer)
        append(log)
        faulty = FaultyStore(store, [Fault(kind, at)])
        with suppress(VaultError, Killed):
            Checkpoints(open_log(faulty)).make(signer)
        if not faulty.struck:
            assert at > 10
            break
        log = open_log(store)

        signed = Checkpoints(log).make(signer)

        assert signed.checkpoint.size == log.size()
        found = verify(log, [signer.public])
        assert found.is_whole
        assert found.signed == log.size()
        include(log, Checkpoints(log), held, signed)


def test_races(open_log: Open, append: Append, signer: Signer) -> None:
    """Another checkpoint that is made at any moment meanwhile takes a number of its own."""
    for at in count(1):
        store = MemoryStore()
        other = open_log(store)
        fill(other, append, 5)
        asked = count(1)

        def slip_in(asked: count[int] = asked, at: int = at, other: Log = other) -> None:
            if next(asked) == at:
                append(other)
                Checkpoints(other).make(signer)

        log = open_log(SlowStore(store, slip_in))

        signed = Checkpoints(log).make(signer)

        found = verify(open_log(store), [signer.public])
        assert found.is_whole
        assert signed.checkpoint.size <= found.signed == found.entries
        if next(asked) <= at:
            assert at > 8
            break


def test_keys(signer: Signer) -> None:
    """A key is read from the PEM that it was spelled in, with its password."""
    for password in (None, b"secret"):
        again = Signer.from_pem(signer.public.name, signer.to_pem(password), password)
        assert again.public == signer.public
    locked = signer.to_pem(b"secret")
    for wrong in (None, b"other"):
        with pytest.raises(InvalidInputError, match="Is its password right"):
            Signer.from_pem("a", locked, wrong)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        Signer.from_pem("a", b"noise")
    curve = generate_private_key(SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    with pytest.raises(InvalidInputError, match="openssl genpkey -algorithm ed25519"):
        Signer.from_pem("a", curve)
    assert "PRIVATE" not in repr(signer)


def test_more_signatures(
    log: Log, append: Append, checkpoints: Checkpoints, signer: Signer
) -> None:
    """A witness may sign beside; unknown signatures are passed over, trusted ones must hold."""
    append(log)
    signed = checkpoints.make(signer)
    witness = Signer.generate("witness")
    both = replace(
        signed, signatures=(*witness.sign(signed.checkpoint).signatures, *signed.signatures)
    )
    bad = replace(signed, signatures=(replace(signed.signatures[0], proof=bytes(64)),))

    assert signers(both, [signer.public, witness.public]) == (signer.public, witness.public)
    assert signers(both, [signer.public]) == (signer.public,)
    assert signers(bad, [signer.public]) == ()
    assert SignedCheckpoint.from_bytes(both.to_bytes(), "k") == both


def test_tiles_are_derived(
    log: Log, append: Append, checkpoints: Checkpoints, signer: Signer, open_log: Open
) -> None:
    """The tiles of one log are the same, however often checkpoints were made."""
    fill(log, append, 250)
    checkpoints.make(signer)
    fill(log, append, 530)
    last = checkpoints.make(signer)
    again = MemoryStore()
    for sequence in range(last.checkpoint.size):
        again.put(layout.log_key(sequence), log.store.get(layout.log_key(sequence)))
    made_again = Checkpoints(open_log(again)).make(signer)

    assert made_again.checkpoint.size == last.checkpoint.size + 1
    for index in (0, 1):
        key = layout.LOG + tile_path(0, index)
        assert log.store.get(key) == again.get(key)


@pytest.fixture
def tiled(open_log: Open, append: Append, signer: Signer) -> tuple[CountingStore, Log]:
    """A log of 700 entries, of which 601 are in a checkpoint and 512 in tiles; requests counted."""
    store = CountingStore(MemoryStore())
    log = open_log(store)
    for size in (300, 600):
        fill(log, append, size)
        Checkpoints(log).make(signer)
    fill(log, append, 700)
    store.reset()
    return store, log


def test_reading_tiles(tiled: tuple[CountingStore, Log]) -> None:
    """A long log is read in two requests for 256 entries, and is the same."""
    store, log = tiled
    whole = [log.read(sequence) for sequence in range(700)]
    store.reset()

    assert list(log.entries(0, 700)) == whole
    assert store.total == 2 * 2 + 700 - 512
    for start, stop in ((0, 256), (1, 700), (255, 513), (256, 512), (300, 400), (700, 700)):
        assert list(log.entries(start, stop)) == whole[start:stop]


@pytest.mark.parametrize("stored", [None, b"", b"noise", b"\0" * 512, b"\0\3abc" * 256])
def test_reading_damaged_tiles(tiled: tuple[CountingStore, Log], stored: bytes | None) -> None:
    """A tile of entries that is missing or damaged is done without."""
    store, log = tiled
    whole = list(log.entries())
    key = layout.LOG + entries_path(1)
    store.delete(key)
    if stored is not None:
        store.put(key, stored)

    assert list(log.entries()) == whole


@pytest.mark.parametrize("sequence", [256, 300, 511])
@pytest.mark.parametrize("chained", [False, True])
def test_reading_forged_tiles(
    tiled: tuple[CountingStore, Log], sequence: int, *, chained: bool
) -> None:
    """A forged tile of entries is not believed: the last entry vouches for those before it."""
    store, log = tiled
    whole = list(log.entries())
    entries = [whole[number].to_bytes() for number in range(256, 512)]
    for number in range(sequence, 512):
        entry = replace(whole[number], before=Digest.of(entries[number - 257]).raw.hex())
        if chained and number > sequence:
            entry = replace(whole[number], predecessor=Digest.of(entries[number - 257]))
        entries[number - 256] = entry.to_bytes()
        if not chained:
            break
    store.put(layout.LOG + entries_path(1), join(entries))

    assert list(log.entries()) == whole


def test_reading_forged_entries(tiled: tuple[CountingStore, Log]) -> None:
    """An entry that is changed where its tile is not is read as it was, and is found to be."""
    store, log = tiled
    whole = list(log.entries())
    store.put(layout.log_key(310), replace(whole[310], after=None).to_bytes())

    assert list(log.entries()) == whole
    assert [flaw.sequence for flaw in verify(log).flaws] == [310]


WITHOUT = """
import sys
sys.modules["cryptography"] = None
from mlflow_vault.engine.world import World
from mlflow_vault.errors import UnsupportedError
from mlflow_vault.format.log import Action, Actor, Subject
from mlflow_vault.format.record import Identity
from mlflow_vault.govern.audit import checkpoints, proofs, searching, standing, verifying
from mlflow_vault.govern.audit.keys import Signer
from mlflow_vault.govern.audit.log import Log
from mlflow_vault.store.memory import MemoryStore

log = Log(MemoryStore(), World(), Identity(id="00"))
log.append(Action.COMMIT, Actor("ann"), Subject("version", "fraud"))
assert verifying.verify(log).is_whole
try:
    Signer.generate("a")
except UnsupportedError as error:
    print(error)
"""


def test_without_the_extra() -> None:
    """Without `cryptography` the log is written and verified; signing says what to install."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert 'pip install "mlflow-vault[sign]"' in done.stdout
