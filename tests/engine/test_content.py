"""Files of no format that we know: an edit costs the chunks around it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_vault.config import KIB, MIB
from mlflow_vault.decide.bases import Relative
from mlflow_vault.engine.write.content import inherited_mean
from mlflow_vault.format.coding.codec import Codec
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.rows import Row
from mlflow_vault.format.soundness import depths
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise
from mlflow_vault.testing.vaults import entries, entry_of, pack_bytes, read, write
from mlflow_vault.vault import Vault

RUN = "7/" + "0" * 32 + "/artifacts/model.bin"
NEXT = "7/" + "1" * 32 + "/artifacts/model.bin"


def _cost(store: MemoryStore, path: str, plain: bytes) -> float:
    """Write *plain*; return the bytes of new packs as a share of it.  It comes back."""
    before = pack_bytes(store)
    vault = Vault.at(store)
    write(vault, path, plain)
    assert read(vault, path) == plain
    assert all(max(depths(entry.rows), default=0) <= 1 for entry in entries(store))
    return (pack_bytes(store) - before) / len(plain)


@settings(max_examples=15)
@given(at=st.floats(0, 1), piece=st.binary(min_size=1, max_size=5_000), cut=st.booleans())
def test_insertion(at: float, piece: bytes, *, cut: bool) -> None:
    """Bytes put into a file of unknown format, or taken out, cost the chunks around them."""
    store = MemoryStore()
    plain = noise(0, 8 * MIB)
    write(Vault.init_at(store), RUN, plain)
    place = int(at * len(plain))
    edited = plain[:place] + (b"" if cut else piece) + plain[place + (len(piece) if cut else 0) :]

    assert _cost(store, NEXT, edited) * len(edited) < 3 * MIB


def test_insertion_into_text() -> None:
    """Text that was edited everywhere is coded against the chunks beside it."""
    store = MemoryStore()
    rng = np.random.default_rng(0)
    lines = [b"%d=%a" % (at, rng.random(6).tolist()) for at in range(20_000)]
    write(Vault.init_at(store), RUN, b"\n".join(lines))
    lines[::40] = [b"edited" + line for line in lines[::40]]

    assert _cost(store, NEXT, b"\n".join(lines)) < 0.05


def _relative(mean: int) -> Relative:
    """A file of one chunk, written with chunks of about *mean* bytes."""
    row = Row(Digest.of(b"0"), 9, Codec.RAW, bytes(16), 0, 9)
    entry = Entry("a", 9, Digest.of(b""), bytes(32), mean=mean, rows=(row,), sequence=(0,))
    return Relative(entry)


@pytest.mark.parametrize("mean", [64 * KIB, 256 * KIB, MIB])
@pytest.mark.parametrize("size", [MIB, 300 * MIB])
def test_mean_is_inherited(mean: int, size: int) -> None:
    """A file that grows past a limit keeps the chunk size of its earlier versions."""
    assert inherited_mean([_relative(mean), _relative(MIB)], size) == mean


@pytest.mark.parametrize("mean", [0, 1, 12_345, 1 << 40])
def test_mean_of_a_first_file(mean: int) -> None:
    """A file without relatives, or with one whose chunks nobody here made, goes by its size."""
    for relatives in ([], [_relative(mean)]):
        assert inherited_mean(relatives, 300 * MIB) == MIB
        assert inherited_mean(relatives, 200 * MIB) == inherited_mean(relatives, 10) == 256 * KIB


def test_mean_is_noted() -> None:
    """An entry says with what chunk size its file was cut."""
    store = MemoryStore()
    plain = noise(0, 2 * MIB)
    write(Vault.init_at(store), RUN, plain)

    assert _cost(store, NEXT, noise(1, 200_000) + plain) * len(plain) < 1.5 * MIB
    assert entry_of(store, RUN).mean == entry_of(store, NEXT).mean == 256 * KIB
