"""Files and values are compared by what they are, and nothing is told twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.decide.differences import Change, files_between, values_between
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import File, Origin, Version, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable

paths = st.sampled_from(["MLmodel", "a/b", "a/c", "model.pkl", "\udcff"])
contents = st.sampled_from([b"", b"one", b"two"])
folders = st.dictionaries(paths, contents)
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3)
trees = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
        | st.lists(
            st.fixed_dictionaries({"name": st.sampled_from("xy"), "type": inner}), max_size=3
        )
    ),
    max_leaves=8,
)
facts = st.dictionaries(st.sampled_from(["params", "metrics", "signature", "datasets"]), trees)


def files(folder: dict[str, bytes]) -> list[File]:
    """The files of a version that holds *folder*."""
    return [
        File(path, len(body), Digest.of(body), bytes(32)) for path, body in sorted(folder.items())
    ]


def version(told: dict[str, Any], declared: dict[str, Any] | None = None) -> Version:
    """A version of which *told* is known."""
    return Version(
        digest=digest_of(()),
        id="1",
        name="model",
        number=1,
        created=0,
        author="someone",
        origin=Origin("models:/model/1", "path"),
        files=(),
        metadata=declared or {},
        facts=told,
    )


def told(changes: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Value changes as tuples."""
    return [(one.change.value, one.name, one.before, one.after) for one in changes]


@given(old=folders, new=folders)
def test_every_file_once(old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """Every file of either side is in just one change, and says what it was and is."""
    changes = files_between(files(old), files(new))

    befores = [change.before for change in changes if change.before]
    afters = [change.after for change in changes if change.after]
    assert sorted(befores) == files(old)
    assert sorted(afters) == files(new)
    for change in changes:
        if change.before and change.after:
            same = change.before.digest == change.after.digest
            moved = change.before.path != change.after.path
            expected = Change.RENAMED if moved else Change.UNCHANGED if same else Change.CHANGED
            assert change.change is expected
            assert same or not moved


@given(old=folders, new=folders)
def test_files_mirrored(old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """Seen from the other side the same files differ, the other way round."""
    there = files_between(files(old), files(new))
    back = files_between(files(new), files(old))

    assert {change.mirrored for change in back} == set(there)


def test_renamed() -> None:
    """A file that moved is one that moved, and an empty one is not."""
    old = files({"a": b"weights", "b": b"weights", "__init__.py": b"", "gone": b"x"})
    new = files({"c": b"weights", "d": b"weights", "other.py": b""})

    changes = [(one.change.value, one.path) for one in files_between(old, new)]

    assert changes == [
        ("removed", "__init__.py"),
        ("renamed", "c"),
        ("renamed", "d"),
        ("removed", "gone"),
        ("added", "other.py"),
    ]


@given(old=facts, new=facts)
def test_values_mirrored(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Whatever is told, a version does not differ from itself, and both sides see the same."""
    there = values_between(version(old), version(new))
    back = values_between(version(new), version(old))

    assert not values_between(version(old), version(old))
    assert [repr(change.mirrored) for change in back] == [repr(change) for change in there]


def test_sections() -> None:
    """Values are told by section, with the names that people know them by."""
    old = version(
        {
            "params": {"lr": "0.01", "epochs": "3"},
            "environment": {"python": "3.11.7", "packages": {"numpy": "1.26", "torch": "2"}},
            "git": {"dirty": False},
            "run": {"id": "1"},
        },
        {"team": "risk"},
    )
    new = version(
        {
            "params": {"lr": "0.001", "epochs": "3"},
            "environment": {"python": "3.11.7", "packages": {"numpy": "2.0"}},
            "git": {"dirty": True},
            "metrics": {"f1": 0.9},
            "run": {"id": "2"},
        },
        {"team": "credit"},
    )

    assert told(values_between(old, new)) == [
        ("changed", "metadata.team", "risk", "credit"),
        ("changed", "params.lr", "0.01", "0.001"),
        ("added", "metrics.f1", None, 0.9),
        ("changed", "numpy", "1.26", "2.0"),
        ("removed", "torch", "2", None),
        ("changed", "git.dirty", False, True),
    ]


def test_columns_by_name() -> None:
    """One more column in front is one change, as are two datasets of one name told apart."""
    old = version(
        {
            "signature": {"inputs": [{"name": "age", "type": "long"}], "outputs": None},
            "datasets": [{"name": "d", "digest": "1"}, {"name": "d", "digest": "2"}],
        }
    )
    new = version(
        {
            "signature": {
                "inputs": [{"name": "sex", "type": "string"}, {"name": "age", "type": "double"}],
                "outputs": None,
            },
            "datasets": [{"name": "d", "digest": "1"}, {"name": "d", "digest": "3"}],
        }
    )

    assert told(values_between(old, new)) == [
        ("changed", "signature.inputs.age.type", "long", "double"),
        ("added", "signature.inputs.sex.type", None, "string"),
        ("changed", "datasets.d (2).digest", "2", "3"),
    ]


def test_numbers_and_truth() -> None:
    """One is 1.0 and NaN is NaN, but one is not true."""
    old = version({"metrics": {"a": 1, "b": float("nan"), "c": 1}})
    new = version({"metrics": {"a": 1.0, "b": "NaN", "c": True}})

    assert told(values_between(old, new)) == [("changed", "metrics.c", 1, True)]


def test_deep() -> None:
    """Values that are deeper than Python can follow are one value, not an error."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    changes = values_between(version({"params": {"a": deep}}), version({"params": {"a": 1}}))

    assert told(changes) == [("changed", "params.a", "(nested too deeply)", 1)]
