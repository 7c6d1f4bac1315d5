"""Two versions are compared by what is in them, whatever lies between."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from bench import Bench
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import save

from mlflow_vault.decide.differences import Change
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format.elements import Element
from mlflow_vault.govern.diff import Side

if TYPE_CHECKING:
    from mlflow_vault.govern.diff import Diff, Numbers

Array = np.ndarray[Any, np.dtype[Any]]
Weights = dict[str, Array]
RANDOM = np.random.default_rng(7)

shapes = st.sampled_from([(), (3,), (2, 3), (3, 2)])
dtypes = st.sampled_from(["<f2", "<f4", "<f8", "|u1", "|i1", "<i4", "<i8"])
values = arrays.arrays(dtypes, shapes, elements={})
weights = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)
models = st.dictionaries(
    st.sampled_from(["m.safetensors", "n.safetensors", "opt.safetensors"]), weights, max_size=3
)


def layers(count: int, rows: int = 64) -> Weights:
    """Weights of a model of *count* layers; each row is 4 KiB."""
    return {
        f"layer.{index}": RANDOM.standard_normal((rows, 1024), dtype=np.float32)
        for index in range(count)
    }


def numbers_of(diff: Diff, name: str) -> Numbers:
    """The numbers of the one changed tensor called *name*."""
    (change,) = (one for one in diff.tensors if one.place.tensor.name == name)
    assert change.change is Change.CHANGED
    assert change.numbers
    return change.numbers


def told(diff: Diff) -> list[tuple[str, str]]:
    """What became of each tensor."""
    return [(one.change.value, one.place.tensor.name) for one in diff.tensors]


@settings(max_examples=40)
@given(old=models, new=models)
def test_mirrored(old: dict[str, Weights], new: dict[str, Weights]) -> None:
    """A version does not differ from itself; both sides see the same; every tensor is told once."""
    bench = Bench.empty()
    first, second = (
        bench.commit(number, {path: save(model) for path, model in models.items()})
        for number, models in enumerate((old, new))
    )

    there, back = bench.compare(first, second), bench.compare(second, first)

    assert not bench.compare(first, first)
    assert back.mirrored == there
    olds, news = (
        [one for one in there.tensors if one.change is not odd]
        for odd in (Change.ADDED, Change.REMOVED)
    )
    assert len(olds) + there.unchanged_tensors == sum(map(len, old.values()))
    assert len(news) + there.unchanged_tensors == sum(map(len, new.values()))
    json.dumps(there.to_dict(), allow_nan=False)


@pytest.mark.parametrize("rows", [64, 1500])
def test_fine_tuned(bench: Bench, rows: int) -> None:
    """The figures of a fine-tuned pair are those of the whole arrays, in entries or in packs."""
    old = layers(3, rows)
    new = {name: array.copy() for name, array in old.items()}
    new["layer.1"] += 0.01 * RANDOM.standard_normal((rows, 1024), dtype=np.float32)
    first = bench.commit(1, {"model.safetensors": save(old)})
    second = bench.commit(2, {"model.safetensors": save(new)})

    diff = bench.compare(first, second)

    a, b = old["layer.1"].astype(np.float64), new["layer.1"].astype(np.float64)
    found, changed = numbers_of(diff, "layer.1"), a != b
    assert diff.tensor_counts == {Change.CHANGED: 1, Change.UNCHANGED: 2}
    assert found.elements == a.size
    assert found.changed == np.count_nonzero(changed)
    assert found.max_delta == np.abs(b - a).max()
    norms = [np.linalg.norm(one[changed]) for one in (a, b, b - a)]
    assert found.relative_l2 == pytest.approx(norms[2] / norms[0])
    assert found.cosine == pytest.approx(a[changed] @ b[changed] / norms[0] / norms[1])


def test_whole(bench: Bench) -> None:
    """Asked for all numbers, a sparse change is measured against the whole tensor."""
    old = layers(1, 1500)
    new = {"layer.0": old["layer.0"].copy()}
    new["layer.0"][700] += 1
    sides = [bench.commit(n, {"m.safetensors": save(one)}) for n, one in enumerate((old, new))]

    sparse = numbers_of(bench.compare(*sides), "layer.0")
    whole = numbers_of(bench.compare(*sides, whole=True), "layer.0")

    a, b = old["layer.0"].astype(np.float64), new["layer.0"].astype(np.float64)
    norm = np.linalg.norm
    assert sparse.changed == whole.changed == 1024
    assert sparse.relative_l2 == pytest.approx(norm(b - a) / norm(a[700]))
    assert whole.relative_l2 == pytest.approx(norm(b - a) / norm(a))
    assert whole.cosine == pytest.approx(np.vdot(a, b) / norm(a) / norm(b))


def bfloat16_file(values: Array) -> bytes:
    """Save *values*, whose lower halves are zero, as bfloat16."""
    halves = (values.view("<u4") >> np.uint32(16)).astype("<u2").tobytes()
    tensor = {"dtype": "BF16", "shape": values.shape, "data_offsets": [0, len(halves)]}
    header = json.dumps({"w": tensor}).encode()
    return len(header).to_bytes(8, "little") + header + halves


def test_bfloat16(bench: Bench) -> None:
    """Bfloat16 is compared as the numbers that it stands for."""
    old = RANDOM.standard_normal((1100, 1024), dtype=np.float32)
    new = old + np.float32(0.1)
    for array in (old, new):
        array.view("<u4")[...] &= np.uint32(0xFFFF0000)
    sides = [bench.commit(n, {"m.safetensors": bfloat16_file(a)}) for n, a in enumerate((old, new))]

    found = numbers_of(bench.compare(*sides), "w")

    a, b = old.astype(np.float64), new.astype(np.float64)
    assert found.read_as == "BF16"
    assert found.max_delta == np.abs(b - a).max()
    assert found.relative_l2 == pytest.approx(np.linalg.norm(b - a) / np.linalg.norm(a))


def test_not_finite(bench: Bench) -> None:
    """NaN and infinity are counted, and spoil nothing."""
    old = np.array([1, 2, np.nan, 4, np.inf, np.nan], np.float32)
    new = np.array([1, 3, np.nan, np.nan, 5, np.inf], np.float32)
    sides = [
        bench.commit(n, {"m.safetensors": save({"w": one})}) for n, one in enumerate((old, new))
    ]

    found = numbers_of(bench.compare(*sides), "w")

    assert (found.changed, found.odd_before, found.odd_after) == (4, 2, 2)
    assert (found.max_delta, found.relative_l2, found.cosine) == (1, 0.5, 1)


def test_types_that_a_header_tells(bench: Bench) -> None:
    """A signed byte is signed, and one that is no longer signed is of another type."""
    old = {"q": np.array([-1, 5], np.int8), "r": np.array([1, 2], np.int8)}
    new = {"q": np.array([1, 5], np.int8), "r": np.array([1, 3], np.uint8)}
    sides = [bench.commit(n, {"m.safetensors": save(one)}) for n, one in enumerate((old, new))]

    diff = bench.compare(*sides)

    assert told(diff) == [("changed", "q"), ("retyped", "r")]
    assert numbers_of(diff, "q").max_delta == 2


def test_one_place(bench: Bench) -> None:
    """What is gone and what is new in its place come in one order, from either side."""
    sides = [
        bench.commit(n, {"m.safetensors": save({name: np.zeros(3)})}) for n, name in enumerate("bc")
    ]

    there, back = bench.compare(*sides), bench.compare(*sides[::-1])

    assert told(there) == [("removed", "b"), ("added", "c")]
    assert back.mirrored == there


def test_other_shards(bench: Bench) -> None:
    """A checkpoint saved in other shards has the same tensors; nothing of them is read."""
    old = layers(4, 600)
    new = {**old, "layer.3": old["layer.3"] + 1}
    first = bench.commit(1, {"model.safetensors": save(old)})
    shards = [dict(list(new.items())[:2]), dict(list(new.items())[2:])]
    second = bench.commit(
        2, {f"model-0000{n}-of-00002.safetensors": save(shard) for n, shard in enumerate(shards)}
    )

    diff = bench.compare(first, second)

    assert told(diff) == [("changed", "layer.3")]
    assert diff.unchanged_tensors == 3
    assert numbers_of(diff, "layer.3").max_delta == pytest.approx(1, rel=1e-5)
    assert 0.7 < diff.sizes.shared_after / diff.sizes.after < 0.76


def test_reshaped_and_retyped(bench: Bench) -> None:
    """Tensors of another shape or type are told, with both, and not measured."""
    old = layers(3, 600)
    new = {
        "layer.0": old["layer.0"].reshape(1024, 600),
        "layer.1": old["layer.1"].astype(np.float16),
        "head": old["layer.2"],
    }
    sides = [bench.commit(n, {"m.safetensors": save(one)}) for n, one in enumerate((old, new))]

    diff = bench.compare(*sides)

    assert sorted(told(diff)) == [
        ("added", "head"),
        ("removed", "layer.2"),
        ("reshaped", "layer.0"),
        ("retyped", "layer.1"),
    ]


def test_sparse_change_reads_little(bench: Bench) -> None:
    """Of a pair of 64 MB of which one layer of 40 changed less than 5 % of one file is read."""
    old = layers(40, 400)
    new = {**old, "layer.17": old["layer.17"] + RANDOM.normal(0, 1e-3, (400, 1024)).astype("<f4")}
    files = [save(old), save(new)]
    first, second = (bench.commit(n, {"m.safetensors": file}) for n, file in enumerate(files))
    bench.store.given = 0

    diff = bench.compare(first, second)

    assert told(diff) == [("changed", "layer.17")]
    assert diff.summary.startswith("1 of 40 tensors changed, max |delta| 0.00")
    assert diff.summary.endswith("97.5 % of bytes unchanged")
    assert 0 < bench.store.given < 0.05 * len(files[0])


def test_nothing_to_read(bench: Bench) -> None:
    """A header that changed, a file that moved: the store is not asked for a byte."""
    held = layers(3, 600)
    first = bench.commit(1, {"m.safetensors": save(held), "other": save(layers(1, 600))})
    bench.store.given = 0
    second = bench.commit(2, {"m.safetensors": save(held, {"format": "pt"}), "moved": b"small"})
    bench.store.given = 0

    diff = bench.compare(first, second)

    assert bench.store.given == 0
    assert diff.tensor_counts == {Change.REMOVED: 1, Change.UNCHANGED: 3}


def test_without_reading(bench: Bench) -> None:
    """Without reading, tensors whose chunks differ are told as such."""
    old = layers(3, 600)
    new = {**old, "layer.1": old["layer.1"] + 1}
    sides = [bench.commit(n, {"m.safetensors": save(one)}) for n, one in enumerate((old, new))]
    bench.store.given = 0

    diff = bench.compare(*sides, tensors=False)

    assert bench.store.given == 0
    assert told(diff) == [("unread", "layer.1")]
    assert diff.unchanged_tensors == 2


def test_limit(bench: Bench) -> None:
    """No more is compared than was allowed."""
    old = layers(3, 600)
    new = {name: one + 1 for name, one in old.items()}
    sides = [bench.commit(n, {"m.safetensors": save(one)}) for n, one in enumerate((old, new))]

    diff = bench.compare(*sides, limit=2 * 600 * 4096)

    assert told(diff) == [("changed", "layer.0"), ("unread", "layer.1"), ("unread", "layer.2")]


def test_from_entry_to_packs(bench: Bench) -> None:
    """A file that outgrew its entry is compared with what it was."""
    small = {"w": RANDOM.standard_normal((32, 1024), dtype=np.float32)}
    large = {"w": small["w"] * 2, "new": RANDOM.standard_normal((1500, 1024), dtype=np.float32)}
    first = bench.commit(1, {"m.safetensors": save(small)})
    second = bench.commit(2, {"m.safetensors": save(large)})
    assert first.entries["m.safetensors"].inline
    assert not second.entries["m.safetensors"].inline

    diff = bench.compare(first, second)

    assert sorted(told(diff)) == [("added", "new"), ("changed", "w")]
    assert numbers_of(diff, "w").max_delta == np.abs(small["w"].astype(np.float64)).max()


def test_small_tensors(bench: Bench) -> None:
    """Tensors too small for chunks of their own are told apart all the same."""
    old: Weights = {f"bias.{index:03}": RANDOM.standard_normal(50) for index in range(2000)}
    old["w"] = RANDOM.standard_normal(300_000)
    new = {**old, "bias.777": old["bias.777"] + 1}
    sides = [bench.commit(n, {"m.safetensors": save(one)}) for n, one in enumerate((old, new))]

    diff = bench.compare(*sides)

    assert told(diff) == [("changed", "bias.777")]
    assert diff.unchanged_tensors == 2000
    assert numbers_of(diff, "bias.777").max_delta == pytest.approx(1)


def forged(side: Side, **tensor: Any) -> Side:
    """*side*, of whose file the first tensor is described otherwise."""
    ((path, entry),) = side.entries.items()
    first, *rest = entry.tensors
    return Side(side.version, {path: replace(entry, tensors=(replace(first, **tensor), *rest))})


@pytest.mark.parametrize(
    "tensor",
    [
        {"shape": (1 << 40, 1 << 40)},
        {"shape": (-600, -1024)},
        {"stop": 1 << 62},
        {"element": Element.F64},
        {"start": 0},
    ],
)
def test_forged_tensors(bench: Bench, tensor: dict[str, Any]) -> None:
    """What an entry says of a tensor and cannot be true is told, and the rest compared."""
    old = layers(3, 600)
    new = {name: one + 1 for name, one in old.items()}
    sides = [bench.commit(n, {"m.safetensors": save(one)}) for n, one in enumerate((old, new))]

    diff = bench.compare(forged(sides[0], **tensor), sides[1])

    assert diff.tensor_counts == {Change.CHANGED: 2, Change.INCOMPARABLE: 1, Change.UNCHANGED: 0}
    assert all(change.reason for change in diff.tensors if not change.numbers)


def test_damage(bench: Bench) -> None:
    """A chunk that is not what its digest says is found, and no figure is made of it."""
    old = layers(1, 600)
    sides = [
        bench.commit(n, {"m.safetensors": save({"layer.0": old["layer.0"] + n})}) for n in range(2)
    ]
    for pack in list(bench.store.list("packs/")):
        body = bytearray(bench.store.get(pack.key))
        body[len(body) // 2] ^= 1
        bench.store.put(pack.key, bytes(body))

    with pytest.raises(CorruptionError):
        bench.compare(*sides)


def test_damaged_entry(bench: Bench) -> None:
    """Bytes that lie in an entry are verified before they are compared."""
    sides = [bench.commit(n, {"m.safetensors": save({"w": np.arange(n, n + 5.0)})}) for n in (0, 1)]
    entry = sides[0].entries["m.safetensors"]
    assert entry.inline
    damaged = replace(entry, inline=entry.inline[:-1] + b"?")

    with pytest.raises(CorruptionError):
        bench.compare(Side(sides[0].version, {"m.safetensors": damaged}), sides[1])


def test_entry_of_another_file(bench: Bench) -> None:
    """An entry that is not of the version's file is refused."""
    first, second = (bench.commit(n, {"a": b"a%d" % n}) for n in (1, 2))

    with pytest.raises(CorruptionError):
        bench.compare(Side(first.version, second.entries), second)


def test_summary(bench: Bench) -> None:
    """The first line says the most of it, and what surrounds tensors is told too."""
    old = layers(40, 8)
    new = {name: one + 0.01 if name in {"layer.3", "layer.4"} else one for name, one in old.items()}
    first = bench.commit(
        1,
        {"m.safetensors": save(old), "gone.txt": b"gone", "a.txt": b"moved"},
        params={"lr": "0.01"},
        environment={"packages": {"numpy": "1.26"}},
        metrics={"loss": math.nan},
    )
    second = bench.commit(
        2,
        {"m.safetensors": save(new), "b.txt": b"moved"},
        params={"lr": "0.001"},
        environment={"packages": {"numpy": "2.0"}},
        metrics={"loss": math.nan},
    )

    lines = bench.compare(first, second).lines()

    assert lines[0] == (
        "m/1 -> m/2: 2 of 40 tensors changed, max |delta| 0.01, 95 % of bytes unchanged; "
        "params.lr 0.01 -> 0.001; numpy 1.26 -> 2.0"
    )
    assert lines[2:6] == [
        "files: 3 differ, 0 unchanged",
        "  > b.txt          was a.txt",
        "  - gone.txt       4 B",
        "  ~ m.safetensors  1.3 MB",
    ]
