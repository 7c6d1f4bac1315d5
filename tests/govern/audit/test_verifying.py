"""Whatever is done to a log, verifying tells, and where."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from itertools import count, takewhile
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.engine.world import World
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format import layout
from mlflow_vault.format.checkpoint import Checkpoint
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Action, Actor, LogEntry, Subject
from mlflow_vault.format.merkle import Tree, leaf_hash
from mlflow_vault.govern.audit.checkpoints import Checkpoints
from mlflow_vault.govern.audit.keys import Signer
from mlflow_vault.govern.audit.log import Log
from mlflow_vault.govern.audit.verifying import verify
from mlflow_vault.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow_vault.format.record import Identity
    from mlflow_vault.govern.audit.verification import LogVerification
    from mlflow_vault.store.protocol import Folder, Stat

    Append = Callable[..., LogEntry]

SIZE = 600  # two tiles and a bit
SIGNED = 521  # entries that the last checkpoint vouches for


class Scene:
    """A log of 600 entries with checkpoints over 301 and 521 of them."""

    def __init__(self, log: Log, append: Append, signer: Signer) -> None:
        self.log, self.store = log, log.store
        self.signer = signer
        self.checkpoints = Checkpoints(log)
        for number in range(300):
            append(log, number)
        self.first = self.checkpoints.make(signer)
        for number in range(219):
            append(log, number)
        self.second = self.checkpoints.make(signer)
        while log.size() < SIZE:
            append(log, log.size())

    def verify(self, **told: list[object]) -> LogVerification:
        """Verify it, trusting the key."""
        return verify(self.log, [self.signer.public], **told)  # type: ignore[arg-type]

    def flawed(self) -> set[int | None]:
        """The numbers of the entries that are wrong."""
        found = self.verify()
        assert not found.is_whole
        return {flaw.sequence for flaw in found.flaws}

    def forge(self, sequence: int, *, chained: bool) -> None:
        """Change an entry, and if *chained* all behind it so that they fit."""
        entry = replace(self.log.read(sequence), actor=Actor("mallory", verified=True))
        stored = entry.to_bytes()
        self.store.put(layout.log_key(sequence), stored)
        while chained and (sequence := sequence + 1) < SIZE:
            entry = replace(self.log.read(sequence), predecessor=Digest.of(stored))
            stored = entry.to_bytes()
            self.store.put(layout.log_key(sequence), stored)


@pytest.fixture
def scene(log: Log, append: Append, signer: Signer) -> Scene:
    """A log and its checkpoints."""
    return Scene(log, append, signer)


def test_whole(scene: Scene) -> None:
    """A log that nobody touched is whole, and tells how much of it is vouched for."""
    told: list[int] = []
    found = verify(scene.log, [scene.signer.public], [scene.first], told.append)

    assert found.is_whole
    assert (found.entries, found.checkpoints, found.signed) == (SIZE, 2, SIGNED)
    assert sum(told) == SIZE
    assert "whole" in str(found)
    assert "whole" in found._repr_html_()
    assert repr(found) == "LogVerification(600 entries, 521 vouched for)"
    assert found.to_dict()["root"] == found.root.hex()
    assert verify(scene.log).signed == 0


def test_empty(log: Log) -> None:
    """An empty log is whole."""
    assert verify(log).is_whole


@pytest.mark.parametrize("sequence", [0, 1, 255, 256, 300, 520, 598])
def test_forged(scene: Scene, sequence: int) -> None:
    """An entry that was changed and spelled rightly does not fit what follows."""
    scene.forge(sequence, chained=False)

    assert scene.flawed() == {sequence}


@pytest.mark.parametrize("sequence", [0, 1, 255, 256, 400, 520])
def test_forged_with_all_that_follows(scene: Scene, sequence: int) -> None:
    """A log that was rewritten from some entry on is not what was signed; tiles tell from where."""
    scene.forge(sequence, chained=True)

    assert scene.flawed() == set(range(sequence, SIGNED))


def test_forged_with_tiles(scene: Scene) -> None:
    """Where tiles were rewritten, too, it is told up to where it is what was signed."""
    scene.forge(400, chained=True)
    tree = Tree()
    for sequence in range(SIGNED):
        full = tree.grow(leaf_hash(scene.store.get(layout.log_key(sequence))))
        scene.store.put_many((layout.LOG + path, tile) for path, tile in full)
    scene.store.put_many((layout.LOG + path, tile) for path, tile in tree.partial())

    assert scene.flawed() == {301}
    assert "something from here to entry 520" in str(scene.verify())


def test_forged_head(scene: Scene) -> None:
    """What is behind the last checkpoint can be rewritten: that is why checkpoints are made."""
    scene.forge(SIZE - 1, chained=True)

    assert scene.verify().signed == SIGNED


@pytest.mark.parametrize("stored", [b"", b"noise", b"{}", b"x" * 100_000])
@pytest.mark.parametrize("sequence", [0, 299, 599])
def test_damaged(scene: Scene, sequence: int, stored: bytes) -> None:
    """Bytes that are no entry are told, once."""
    scene.store.put(layout.log_key(sequence), stored)

    assert scene.flawed() >= {sequence}
    assert scene.flawed() <= {sequence}


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (5, 6), (255, 260), (300, 301), (598, 599)])
def test_dropped(scene: Scene, start: int, stop: int) -> None:
    """Entries that are missing are told by the first of them."""
    for sequence in range(start, stop):
        scene.store.delete(layout.log_key(sequence))

    assert scene.flawed() == {start}
    assert ("and all up to" in str(scene.verify())) == (stop - start > 1)


@pytest.mark.parametrize("left", [0, 1, 256, 301, 520])
def test_truncated(scene: Scene, left: int) -> None:
    """A log that is shorter than what was signed is told to be."""
    for sequence in range(left, SIZE):
        scene.store.delete(layout.log_key(sequence))

    assert scene.flawed() == {left}
    assert "are gone" in str(scene.verify())


def test_truncated_with_its_checkpoint(scene: Scene) -> None:
    """Without its checkpoint a missing tail is noticed by who kept that elsewhere."""
    for sequence in range(400, SIZE):
        scene.store.delete(layout.log_key(sequence))
    scene.store.delete(layout.checkpoint_key(1))

    assert scene.verify().is_whole
    found = scene.verify(known=[scene.second])
    assert [flaw.sequence for flaw in found.flaws] == [400]
    assert "known checkpoint 0" in str(found)


def test_reordered(scene: Scene) -> None:
    """Two entries that changed places are both told."""
    one, two = (scene.store.get(layout.log_key(sequence)) for sequence in (40, 50))
    scene.store.put(layout.log_key(40), two)
    scene.store.put(layout.log_key(50), one)

    assert scene.flawed() >= {40, 50}
    assert "it is entry 50 of the log" in str(scene.verify())
    assert "it is entry 50 of the log" in scene.verify()._repr_html_()
    assert "flaws)" in repr(scene.verify())


def test_reordered_and_numbered(scene: Scene) -> None:
    """Nor can they be numbered anew."""
    one, two = scene.log.read(40), scene.log.read(41)
    for entry, other in ((one, two), (two, one)):
        moved = replace(other, sequence=entry.sequence, predecessor=entry.predecessor).to_bytes()
        scene.store.put(layout.log_key(entry.sequence), moved)

    assert scene.flawed() >= {40, 41}


def test_added(scene: Scene) -> None:
    """An entry that was put behind the last one without it is told; so are strangers."""
    entry = replace(scene.log.read(SIZE - 1), sequence=SIZE, predecessor=Digest.of(b"other"))
    scene.store.put(layout.log_key(SIZE), entry.to_bytes())
    assert scene.flawed() == {SIZE - 1}

    scene.store.delete(layout.log_key(SIZE))
    scene.store.put("log/7", b"")
    scene.store.put("log/other/7", b"")
    scene.store.put("log/checkpoints/x", b"")
    assert {flaw.key for flaw in scene.verify().flaws} == {
        "log/7",
        "log/other/",
        "log/checkpoints/x",
    }


def test_far_away(scene: Scene) -> None:
    """An entry with a number far ahead costs no more than another."""
    scene.store.put(f"log/{'9' * 20}", b"noise")

    assert scene.flawed() == {SIZE, 10**20 - 1}


def test_wrong_beginning(log: Log, append: Append) -> None:
    """The first entry has nothing before it."""
    first = append(log)
    log.store.put(layout.log_key(0), replace(first, predecessor=Digest.of(b"")).to_bytes())

    assert [flaw.sequence for flaw in verify(log).flaws] == [0]


def test_checkpoint_of_another_key(scene: Scene) -> None:
    """A checkpoint that another key of that name signed is told and vouches for nothing."""
    other = Signer.generate(scene.signer.public.name)
    scene.store.put(layout.checkpoint_key(1), other.sign(scene.second.checkpoint).to_bytes())

    found = scene.verify()

    assert [flaw.key for flaw in found.flaws] == [layout.checkpoint_key(1)]
    assert "no trusted key signed it" in str(found)
    assert found.signed == 301


def test_checkpoint_with_another_text(scene: Scene) -> None:
    """A signature does not hold for another size or root."""
    forged = replace(scene.second, checkpoint=replace(scene.second.checkpoint, size=520))
    scene.store.put(layout.checkpoint_key(1), forged.to_bytes())

    assert "no trusted key signed it" in str(scene.verify())


def test_checkpoint_of_another_vault(scene: Scene) -> None:
    """A checkpoint of another vault is told, though its key is trusted."""
    head = Checkpoint("mlflow-vault/other", 10, bytes(32))
    scene.store.put(layout.checkpoint_key(2), scene.signer.sign(head).to_bytes())

    assert "it is of another log, 'mlflow-vault/other'" in str(scene.verify())
    assert "known checkpoint 0: it is of another log" in str(
        scene.verify(known=[scene.signer.sign(head)])
    )


def test_checkpoint_damaged_or_missing(scene: Scene) -> None:
    """A checkpoint that is damaged, or missing before another one, is told."""
    scene.store.put(layout.checkpoint_key(1), b"noise")
    assert [flaw.key for flaw in scene.verify().flaws] == [layout.checkpoint_key(1)]

    scene.store.put(layout.checkpoint_key(1), scene.second.to_bytes())
    scene.store.delete(layout.checkpoint_key(0))
    assert [flaw.key for flaw in scene.verify().flaws] == [layout.checkpoint_key(0)]


def test_checkpoints_that_the_log_tells_of(scene: Scene) -> None:
    """Of checkpoints that were taken away the log's own entries tell, but for the newest."""
    scene.store.delete(layout.checkpoint_key(1))
    assert scene.verify().is_whole  # or it was interrupted

    scene.store.delete(layout.checkpoint_key(0))
    assert [flaw.key for flaw in scene.verify().flaws] == [layout.checkpoint_key(0)]


def test_every_byte(log: Log, append: Append, signer: Signer) -> None:
    """No byte of an entry, and none of a checkpoint but in spelling, can change unseen."""
    for number in range(3):
        append(log, number)
    signed = Checkpoints(log).make(signer).to_bytes()
    for sequence in range(3):
        key = layout.log_key(sequence)
        stored = log.store.get(key)
        for at in range(len(stored)):
            log.store.put(key, stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :])
            assert sequence in {flaw.sequence for flaw in verify(log).flaws}
        log.store.put(key, stored)
    key = layout.checkpoint_key(0)
    for at in range(len(signed)):
        log.store.put(key, signed[:at] + bytes([signed[at] ^ 1]) + signed[at + 1 :])
        assert not verify(log, [signer.public]).is_whole, at


def test_many_flaws(log: Log, append: Append) -> None:
    """Of many flaws the first thousand are told."""
    append(log)
    for sequence in range(1, 1500):
        log.store.put(layout.log_key(sequence), b"noise")

    assert len(verify(log).flaws) == 1000


def test_later_actions(log: Log, append: Append) -> None:
    """What a later release logs is no flaw."""
    append(log, action="teleport")

    assert verify(log).is_whole


class Lazy(MemoryStore):
    """A store whose listings are not held, as those of object stores are not."""

    def list_level(self, prefix: str) -> Iterator[Stat | Folder]:
        """Ask for one number after the other."""
        keys = map(layout.log_key if prefix == layout.LOG else layout.checkpoint_key, count())
        return iter(takewhile(bool, map(self.stat, keys)))  # type: ignore[arg-type]


def test_memory(identity: Identity, signer: Signer) -> None:
    """What verifying holds does not grow with the log."""
    held = []
    for size in (1500, 4500):
        log = Log(Lazy(), World(readers=1), identity)
        for number in range(size):
            log.append(Action.COMMIT, Actor("ann"), Subject("version", str(number)))
        Checkpoints(log).make(signer)
        tracemalloc.start()
        try:
            assert verify(log, [signer.public]).entries == size + 1
            held.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()

    assert held[1] < 1.5 * held[0]


def test_reading_damaged(scene: Scene) -> None:
    """Entries that are damaged are read from their tile, or not at all."""
    scene.store.put(layout.log_key(3), b"noise")
    assert len(list(scene.log.entries())) == SIZE

    scene.store.put(layout.log_key(550), b"noise")
    with pytest.raises(CorruptionError, match=layout.log_key(550)):
        list(scene.log.entries())
