"""Tensors that belong together are found, and none that its entry cannot mean is compared."""

from __future__ import annotations

import io

import numpy as np
import pytest

from mlflow_vault.decide.differences import Change, files_between
from mlflow_vault.decide.pairs import GUESSED, Pair, match, places
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.elements import Element
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.rows import Row, Tensor
from mlflow_vault.format.version import File

SIZE = 1000


def tensor(
    name: str, start: int, shape: tuple[int, ...], element: Element | None = Element.F32
) -> Tensor:
    """A tensor at *start*, of as many bytes as its shape has."""
    width = element.width if element else 1
    stop = start + int(np.prod(shape)) * width
    return Tensor(name, element, shape, start, stop, element, 0, 0)


def entry(*tensors: Tensor, size: int = SIZE, parser: str = "safetensors") -> Entry:
    """The entry of a file of one chunk."""
    digest = Digest.of(repr(tensors).encode())
    row = Row(digest, size, 0, bytes(16), 0, size)
    return Entry(
        "path", size, digest, bytes(32), parser=parser, tensors=tensors, rows=(row,), sequence=(0,)
    )


def pairs(old: dict[str, Entry], new: dict[str, Entry]) -> list[Pair]:
    """Match the tensors of two folders."""
    files = [
        [File(path, one.size, one.digest, one.sha256) for path, one in side.items()]
        for side in (old, new)
    ]
    return match(files_between(*files), old, new)


def told(found: list[Pair]) -> list[tuple[str, str, str]]:
    """Pairs as name, where it was and where it is."""
    return [
        (
            (pair.after or pair.before).tensor.name,  # type: ignore[union-attr]
            pair.before.path if pair.before else "",
            pair.after.path if pair.after else "",
        )
        for pair in found
    ]


def test_resharded() -> None:
    """Tensors that went to other files are found by their names."""
    old = {"m": entry(tensor("a", 0, (4,)), tensor("b", 16, (4,)), tensor("gone", 32, (4,)))}
    new = {"m-1": entry(tensor("a", 0, (4,))), "m-2": entry(tensor("b", 0, (4,)))}

    found = pairs(old, new)

    assert told(found) == [("gone", "m", ""), ("a", "m", "m-1"), ("b", "m", "m-2")]


def test_ambiguous() -> None:
    """A name that several files have says nothing, but in files of one path."""
    old = {"x": entry(tensor("w", 0, (4,))), "y": entry(tensor("w", 0, (5,)))}
    new = {
        "x": entry(tensor("w", 0, (6,))),
        "z": entry(tensor("w", 0, (7,)), tensor("w", 28, (7,))),
    }

    assert told(pairs(old, new)) == [
        ("w", "x", "x"),
        ("w", "y", ""),
        ("w", "", "z"),
        ("w", "", "z"),
    ]


def test_nameless() -> None:
    """Arrays without names are found by type, shape and turn, and if only shapes differ by turn."""
    old = {"m": entry(tensor("", 0, (4,)), tensor("", 16, (9,)), tensor("", 52, (4,)))}
    new = {"m": entry(tensor("", 0, (8,)), tensor("", 32, (4,)), tensor("", 48, (4,)))}

    found = pairs(old, new)

    shapes = [(p.before.tensor.shape, p.after.tensor.shape) for p in found if p.before and p.after]
    assert shapes == [((9,), (8,)), ((4,), (4,)), ((4,), (4,))]


def test_unchanged_files_are_not_looked_at() -> None:
    """A file that stayed or moved has no open questions."""
    held = entry(tensor("a", 0, (4,)))

    assert pairs({"m": held, "n": held}, {"m": held, "o": held}) == []


@pytest.mark.parametrize(
    ("old", "new", "change"),
    [
        (tensor("w", 0, (4,)), tensor("w", 8, (4,)), None),
        (tensor("w", 0, (4,)), tensor("w", 0, (2, 2)), Change.RESHAPED),
        (tensor("w", 0, (4,)), tensor("w", 0, (4,), Element.BF16), Change.RETYPED),
        (tensor("w", 0, (4,), None), tensor("w", 0, (4,)), Change.RETYPED),
        (tensor("w", 0, (4,), None), Tensor("w", None, (4,), 0, 9, None, 0, 0), Change.RETYPED),
        (tensor("w", 0, (4,)), tensor("w", 990, (4,)), Change.INCOMPARABLE),
    ],
)
def test_verdict(old: Tensor, new: Tensor, change: Change | None) -> None:
    """Type and shape are told by entries; only equal ones leave a question to the bytes."""
    (pair,) = pairs(
        {"m": entry(old)}, {"m": entry(new, parser="other")} if old == new else {"m": entry(new)}
    )

    assert pair.verdict[0] is change


@pytest.mark.parametrize(
    "hostile",
    [
        Tensor("w", Element.F32, (3,), 0, 16, None, 0, 0),
        Tensor("w", Element.F32, (-2, -2), 0, 16, None, 0, 0),
        Tensor("w", Element.F32, (0,), 0, 16, None, 0, 0),
        Tensor("w", Element.F32, (4,), 990, 1006, None, 0, 0),
        Tensor("w", Element.F32, (4,), 16, 0, None, 0, 0),
        Tensor("w", Element.F32, (4,), -16, 0, None, 0, 0),
        Tensor("w", Element.F32, (1,) * 1000, 0, 4, None, 0, 0),
        Tensor("w", Element.F32, (1 << 200, 1 << 200), 0, 4, None, 0, 0),
    ],
)
def test_flaws(hostile: Tensor) -> None:
    """A tensor that does not add up has a flaw, and is nothing to compare."""
    (pair,) = pairs({"m": entry(hostile)}, {"m": entry(tensor("w", 0, (4,)))})

    assert pair.verdict[0] is Change.INCOMPARABLE
    assert pair.verdict[1]


def test_overlapping() -> None:
    """No byte is in two tensors, so that comparing costs no more than reading."""
    many = [tensor(f"{index}", index, (4,)) for index in range(10)]

    found = places("m", entry(*many))

    assert [place.tensor.name for place in found if not place.flaw] == ["0"]
    assert sum(not one.flaw for one in places("m", entry(*many[::-1]))) == 1


def test_chunks_that_do_not_add_up() -> None:
    """An entry whose chunks are not its file has no sound tensor."""
    held = entry(tensor("a", 0, (4,)))
    short = Entry(
        "m", SIZE + 1, held.digest, b"", tensors=held.tensors, rows=held.rows, sequence=(0,)
    )

    assert [place.flaw for place in places("m", short)] == ["its file does not add up"]


def test_guessed() -> None:
    """What merely looks like numbers is no tensor."""
    assert places("m", entry(tensor("", 0, (4,)), parser=GUESSED)) == []


def test_inline() -> None:
    """The arrays of a file that lies in its entry are found in its bytes."""
    file = io.BytesIO()
    np.save(file, np.arange(6, dtype=np.float32).reshape(2, 3))
    plain = file.getvalue()
    held = Entry("m", len(plain), Digest.of(plain), bytes(32), inline=plain)

    (place,) = places("m", held)

    assert (place.tensor.element, place.tensor.shape) == (Element.F32, (2, 3))
    assert (place.size, place.flaw) == (24, "")
