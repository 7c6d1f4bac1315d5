"""The Merkle tree is RFC 6962's: known vectors, and the RFC's own recursive words beside ours."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.merkle import (
    EMPTY,
    SIZE,
    WIDTH,
    Tree,
    edge,
    extends,
    includes,
    leaf_hash,
    nodes_of,
    prove_consistency,
    prove_inclusion,
    root_of,
    tile_path,
)

if TYPE_CHECKING:
    from mlflow_vault.format.merkle import Node

# Leaves and roots of the test vectors of certificate-transparency.
VECTORS = tuple(
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
)
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
INCLUSION = (  # leaf from 1, size, proof
    (1, 1, ()),
    (
        1,
        8,
        (
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ),
    ),
    (
        6,
        8,
        (
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
    ),
    (3, 3, ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",)),
    (
        2,
        5,
        (
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ),
    ),
)
CONSISTENCY = (
    (1, 1, ()),
    (
        1,
        8,
        (
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ),
    ),
    (
        6,
        8,
        (
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
    ),
    (
        2,
        5,
        (
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ),
    ),
)


# RFC 6962, 2.1, in its own words; D is the list of inputs.


def mth(inputs: list[bytes]) -> bytes:
    """The Merkle Tree Hash."""
    if not inputs:
        return sha256(b"").digest()
    if len(inputs) == 1:
        return sha256(b"\x00" + inputs[0]).digest()
    k = largest_power(len(inputs))
    return sha256(b"\x01" + mth(inputs[:k]) + mth(inputs[k:])).digest()


def path(m: int, inputs: list[bytes]) -> list[bytes]:
    """The audit path of 2.1.1."""
    if len(inputs) == 1:
        return []
    k = largest_power(len(inputs))
    if m < k:
        return [*path(m, inputs[:k]), mth(inputs[k:])]
    return [*path(m - k, inputs[k:]), mth(inputs[:k])]


def subproof(m: int, inputs: list[bytes], *, whole: bool) -> list[bytes]:
    """The consistency proof of 2.1.2."""
    if m == len(inputs):
        return [] if whole else [mth(inputs)]
    k = largest_power(len(inputs))
    if m <= k:
        return [*subproof(m, inputs[:k], whole=whole), mth(inputs[k:])]
    return [*subproof(m - k, inputs[k:], whole=False), mth(inputs[:k])]


def largest_power(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def inputs_of(size: int) -> list[bytes]:
    """So many different inputs."""
    return [f"entry {number}".encode() for number in range(size)]


def grown(inputs: list[bytes]) -> tuple[Tree, dict[str, bytes]]:
    """The tree over *inputs*, and all its tiles."""
    tree = Tree()
    tiles: dict[str, bytes] = {}
    for each in inputs:
        tiles.update(tree.grow(leaf_hash(each)))
    tiles.update(tree.partial())
    return tree, tiles


def nodes(tiles: dict[str, bytes], size: int) -> Node:
    """What finds nodes in *tiles*."""

    def tile(level: int, index: int) -> bytes:
        width = min(WIDTH, (size >> (8 * level)) - index * WIDTH)
        return tiles[tile_path(level, index, width)]

    return nodes_of(tile)


@pytest.mark.parametrize("size", range(9))
def test_known_roots(size: int) -> None:
    """The roots are certificate-transparency's."""
    assert grown(list(VECTORS[:size]))[0].root().hex() == ROOTS[size]


@pytest.mark.parametrize(("leaf", "size", "proof"), INCLUSION)
def test_known_inclusion(leaf: int, size: int, proof: tuple[str, ...]) -> None:
    """The proofs of inclusion are certificate-transparency's."""
    tree, tiles = grown(list(VECTORS[:size]))

    made = prove_inclusion(leaf - 1, size, nodes(tiles, size))

    assert tuple(each.hex() for each in made) == proof
    assert includes(leaf_hash(VECTORS[leaf - 1]), leaf - 1, size, made, tree.root())


@pytest.mark.parametrize(("earlier", "size", "proof"), CONSISTENCY)
def test_known_consistency(earlier: int, size: int, proof: tuple[str, ...]) -> None:
    """The proofs of consistency are certificate-transparency's."""
    _, tiles = grown(list(VECTORS[:size]))

    made = prove_consistency(earlier, size, nodes(tiles, size))

    assert tuple(each.hex() for each in made) == proof
    before, after = bytes.fromhex(ROOTS[earlier]), bytes.fromhex(ROOTS[size])
    assert extends((earlier, before), (size, after), made)


@pytest.mark.parametrize("size", [*range(40), 255, 256, 257, 511, 513, 1000])
def test_as_the_rfc_says(size: int) -> None:
    """Root and proofs of every tree are those of the RFC's recursive definitions."""
    inputs = inputs_of(size)
    tree, tiles = grown(inputs)
    node = nodes(tiles, size)

    assert tree.root() == mth(inputs) == root_of(0, size, node)
    for index in {*range(min(size, 9)), *range(max(0, size - 9), size), size // 2} - {size}:
        proof = prove_inclusion(index, size, node)
        assert proof == path(index, inputs)
        assert includes(leaf_hash(inputs[index]), index, size, proof, tree.root())
    for earlier in {*range(min(size, 9)), *range(max(0, size - 9), size), size // 2, size}:
        proof = prove_consistency(earlier, size, node)
        assert proof == (subproof(earlier, inputs, whole=True) if earlier else [])
        assert extends((earlier, mth(inputs[:earlier])), (size, tree.root()), proof)


@given(st.integers(1, 70), st.data())
def test_no_other_proof(size: int, choose: st.DataObject) -> None:
    """A proof with a byte changed, or for another leaf, index or size, proves nothing."""
    inputs = inputs_of(size)
    tree, tiles = grown(inputs)
    index = choose.draw(st.integers(0, size - 1))
    proof = prove_inclusion(index, size, nodes(tiles, size))
    root, leaf = tree.root(), leaf_hash(inputs[index])

    assert not includes(leaf_hash(b"another"), index, size, proof, root)
    assert not includes(leaf, index, size, [*proof, bytes(SIZE)], root)
    for other in range(size):
        assert includes(leaf, other, size, proof, root) == (other == index)
    if proof:
        at = choose.draw(st.integers(0, len(proof) - 1))
        bad = [*proof[:at], leaf_hash(proof[at]), *proof[at + 1 :]]
        assert not includes(leaf, index, size, bad, root)
        assert not includes(leaf, index, size, proof[:-1], root)
        assert not includes(leaf, index, size, [*proof[:-1], proof[-1][:-1]], root)


@given(st.integers(2, 70), st.data())
def test_no_other_history(size: int, choose: st.DataObject) -> None:
    """A tree whose beginning was changed cannot be shown to go on from the one before."""
    inputs = inputs_of(size)
    earlier = choose.draw(st.integers(1, size - 1))
    changed = choose.draw(st.integers(0, earlier - 1))
    forged = [*inputs[:changed], b"forged", *inputs[changed + 1 :]]
    tree, tiles = grown(forged)
    proof = prove_consistency(earlier, size, nodes(tiles, size))
    before = (earlier, mth(inputs[:earlier]))

    assert not extends(before, (size, tree.root()), proof)
    assert not extends(before, (earlier - 1, mth(inputs[: earlier - 1])), [])
    assert not extends(before, (size, mth(inputs)), [])


@pytest.mark.parametrize("size", [0, 1, 200, 256, 300, 512, 700])
def test_goes_on_from_tiles(size: int) -> None:
    """A tree that was put away as tiles grows as one that never was, tile by tile."""
    inputs = inputs_of(size + 300)
    _, tiles = grown(inputs[:size])

    tree = Tree(size, lambda level, index, width: tiles[tile_path(level, index, width)])
    for each in inputs[size:]:
        tiles.update(tree.grow(leaf_hash(each)))
    tiles.update(tree.partial())

    whole, all_tiles = grown(inputs)
    assert tree.root() == whole.root()
    assert all_tiles.items() <= tiles.items()


def test_many() -> None:
    """A tree of 66,000 leaves has three levels of tiles; its right edge is all that is held."""
    tree = Tree()
    hashes = [leaf_hash(str(number).encode()) for number in range(66_000)]
    tiles = {path: tile for leaf in hashes for path, tile in tree.grow(leaf)}
    tiles.update(tree.partial())

    assert list(edge(66_000)) == [(0, 257, 208), (1, 1, 1), (2, 0, 1)]
    assert tree.root() == root_of(0, 66_000, nodes(tiles, 66_000))
    proof = prove_inclusion(65_999, 66_000, nodes(tiles, 66_000))
    assert includes(hashes[-1], 65_999, 66_000, proof, tree.root())


def test_empty() -> None:
    """The empty tree has a root, and proves nothing."""
    assert Tree().root() == EMPTY
    assert not includes(EMPTY, 0, 0, [], EMPTY)
    with pytest.raises(InvalidInputError, match="has no entry 0"):
        prove_inclusion(0, 0, nodes({}, 0))
    with pytest.raises(InvalidInputError, match="does not go on from 3"):
        prove_consistency(3, 2, nodes({}, 0))


def test_tiles_that_are_missing() -> None:
    """A tree is not begun with half a tile."""
    with pytest.raises(InvalidInputError, match=r"tile/0/001\.p/44 is needed whole"):
        Tree(300, lambda *_: bytes(SIZE * 43))
    with pytest.raises(InvalidInputError, match="too short"):
        nodes_of(lambda *_: b"")(0, 3)
