"""Make more files of models, with libraries that are no test dependencies: see `make_files`.

What they know of the tensors inside is written to `files/expected_more.json`.  To make them again::

    pip install h5py==3.14.0 keras==3.15.1 tensorflow-cpu==2.21.0 onnx==1.23.2 gguf==0.19.0 \
        numpy ml_dtypes blake3
    python tests/golden/make_more_files.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import h5py
import keras
import ml_dtypes
import numpy as np
import onnx
from blake3 import blake3
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(__file__).parent / "files"
ELEMENTS = {
    "f4": "F32",
    "f2": "F16",
    "f8": "F64",
    "i8": "U64",
    "i4": "U32",
    "b1": "U8",
    "V2": "BF16",
}

Numbers = np.ndarray[Any, Any]
Fact = tuple[str, str | None, list[int], str]


def fact(name: str, array: Numbers, element: str | None = None) -> Fact:
    """Return what is expected of *array*."""
    kind = element or ELEMENTS.get(array.dtype.str.lstrip("<|"))
    return name, kind, list(array.shape), blake3(array.tobytes()).hexdigest()


def draw(*shape: int, kind: Any = "f4") -> Numbers:
    """Return normal numbers."""
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(kind)


def write_hdf5(path: Path, version: str, groups: int) -> list[Fact]:
    """Write datasets of several types, in *groups* groups and beside them."""
    facts: list[Fact] = []
    with h5py.File(path, "w", libver=version) as file:
        file.attrs["note"] = "weights" * 9
        kinds = ["f4", "f2", "f8", "i8", "?"]
        for index in range(groups):
            array = draw(2, index + 1, kind=kinds[index % len(kinds)])
            file.create_dataset(f"layers/dense_{index}/kernel:0", data=array)
            facts.append(fact(f"layers.dense_{index}.kernel:0", array))
        big, records = draw(3).astype(">f4"), np.zeros(2, [("a", "<i4"), ("b", "<f4")])
        file.create_dataset("big", data=big)
        file.create_dataset("records", data=records)
        file.create_dataset("chunked", data=draw(90), chunks=(30,), compression="gzip")
        file.create_dataset("empty", data=np.zeros((0, 3)))
        file["same"] = file["layers"]
        file["circle"] = file["/"]
        file["soft"] = h5py.SoftLink("/big")
    for name, array in (("big", big), ("records", records)):
        facts.append((name, None, [array.nbytes], fact(name, array)[3]))
    return facts


def make_old_hdf5(path: Path) -> list[Fact]:
    """Write what every version of the library can read: B-trees and heaps of names."""
    return write_hdf5(path, "earliest", 5)


def make_new_hdf5(path: Path) -> list[Fact]:
    """Write what the newest version prefers: links in headers and in a fractal heap."""
    return write_hdf5(path, "latest", 12)


def make_keras(path: Path) -> list[Fact]:
    """Save a network of two layers."""
    keras.utils.set_random_seed(3)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
    network.save(path)
    return [
        fact(f"layers.{layer.name}.vars.{index}", np.asarray(weight))
        for layer in network.layers
        for index, weight in enumerate(layer.get_weights())
    ]


def make_onnx(path: Path) -> list[Fact]:
    """Save a graph with initializers, a constant, and a graph in a node."""
    arrays = {
        "layer.weight": draw(5, 4),
        "half": draw(9, kind="f2"),
        "steps": np.arange(3),
        "scalar": np.array(3.5, "f4"),
        "brain": draw(6).astype(ml_dtypes.bfloat16),
    }
    tensors = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    packed = [helper.make_tensor("packed", TensorProto.FLOAT, [4], [1.0, 2.0, 3.0, 4.0])]
    packed += [helper.make_tensor("as_numbers", TensorProto.INT32, [2], [1, 2])]
    inner_weight, constant = draw(2), draw(2, 3, kind="f8")
    flag = helper.make_tensor_value_info("flag", TensorProto.BOOL, [1])
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, [2])
    inner = helper.make_graph(
        [helper.make_node("Identity", ["inner"], ["result"])],
        "branch",
        [],
        [result],
        [numpy_helper.from_array(inner_weight, "inner")],
    )
    nodes = [
        helper.make_node(
            "Constant", [], ["c"], value=numpy_helper.from_array(constant, "constant")
        ),
        helper.make_node("If", ["flag"], ["result"], then_branch=inner, else_branch=inner),
    ]
    graph = helper.make_graph(nodes, "graph", [flag], [result], tensors + packed)
    onnx.save(helper.make_model(graph), path)
    facts = [
        fact(name, array, "BF16" if name == "brain" else None) for name, array in arrays.items()
    ]
    facts += [fact("constant", constant), fact("inner", inner_weight), fact("inner", inner_weight)]
    return [*facts, fact("packed", np.arange(1, 5, dtype="f4"))]


def make_gguf(path: Path) -> list[Fact]:
    """Write tensors of several types, two of them quantised, behind a vocabulary."""
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_block_count(2)
    writer.add_token_list([f"word{index}" for index in range(50)])
    writer.add_array("sizes", [1, 2, 3])
    writer.add_bool("flag", val=True)
    writer.add_custom_alignment(64)
    plain = {"blk.0.weight": draw(4, 64), "blk.0.half": draw(3, 5, kind="f2")}
    plain["ids"] = np.arange(5, dtype="i4")
    for name, array in plain.items():
        writer.add_tensor(name, array)
    facts = [fact(name, array) for name, array in plain.items()]
    for kind in (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q4_0):
        blocks = gguf.quants.quantize(draw(4, 64), kind)
        writer.add_tensor(kind.name, blocks, raw_dtype=kind)
        facts.append((kind.name, "U8", [blocks.nbytes], fact("", blocks)[3]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return [(name, kind, sides[::-1], digest) for name, kind, sides, digest in facts]


def main() -> None:
    """Make every file, and write down what is in them."""
    makers: dict[str, Callable[[Path], list[Fact]]] = {
        "old.h5": make_old_hdf5,
        "new.h5": make_new_hdf5,
        "network.keras": make_keras,
        "graph.onnx": make_onnx,
        "blocks.gguf": make_gguf,
    }
    expected = {name: make(FOLDER / name) for name, make in makers.items()}
    lines = [
        f"  {json.dumps(name)}: [\n    " + ",\n    ".join(map(json.dumps, facts)) + "\n  ]"
        for name, facts in expected.items()
    ]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (FOLDER / "expected_more.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
