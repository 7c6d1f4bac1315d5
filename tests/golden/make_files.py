"""Make the files of models that the parsers are tested on, with the libraries themselves.

Torch is too heavy to be a test dependency, so what it writes is kept beside this script, together
with what it knows of the tensors inside: `files/expected.json`, for each file a list of
``[name, element, shape, BLAKE3 of the tensor's bytes]``.  To make them again::

    pip install torch==2.13.0 numpy scikit-learn skops blake3
    python tests/golden/make_files.py
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path

import numpy as np
import skops.io
import torch
from blake3 import blake3
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

FOLDER = Path(__file__).parent / "files"
ELEMENTS = {torch.float32: "F32", torch.bfloat16: "BF16", torch.int64: "U64", torch.int8: "U8"}

Fact = tuple[str, str | None, list[int], str]


def fact(name: str, tensor: torch.Tensor) -> Fact:
    """Return what is expected of *tensor*: what torch says of it."""
    plain = bytes(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy())
    return name, ELEMENTS[tensor.dtype], list(tensor.shape), blake3(plain).hexdigest()


def make_network() -> torch.nn.Sequential:
    """Return a network of two layers."""
    torch.manual_seed(7)
    return torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3))


def make_state(path: Path) -> list[Fact]:
    """Save a state of several types; two tensors look at one storage."""
    torch.manual_seed(1)
    shared = torch.randn(6, 4)
    state = {
        "layer.weight": torch.randn(5, 4),
        "layer.half": torch.randn(9).to(torch.bfloat16),
        "embedding": shared,
        "head": shared[2:],
        "steps": torch.arange(3),
        "mask": torch.tensor([1, -1], dtype=torch.int8),
        "nothing": torch.zeros(0, 3),
        "transposed": torch.randn(3, 2).t(),
    }
    torch.save(state, path)
    plain = ["layer.weight", "layer.half", "embedding", "steps", "mask"]
    turned = fact("transposed", state["transposed"].t())
    return [fact(name, state[name]) for name in plain] + [("transposed", "F32", [2, 3], turned[3])]


def make_checkpoint(path: Path) -> list[Fact]:
    """Save a checkpoint with the state of an optimizer."""
    network = make_network()
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.randn(4, 8)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 3,
        "model": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "losses": [0.5, 0.25],
    }
    torch.save(checkpoint, path)
    facts = [fact(f"model.{name}", tensor) for name, tensor in network.state_dict().items()]
    for index, moments in optimizer.state_dict()["state"].items():
        facts += [fact(f"optimizer.state.{index}.{key}", value) for key, value in moments.items()]
    return facts


def make_module(path: Path) -> list[Fact]:
    """Save a whole module, not only its state."""
    network = make_network()
    torch.save(network, path)
    return [fact(name, tensor) for name, tensor in network.state_dict().items()]


def make_exported(path: Path) -> list[Fact]:
    """Export a network, without the paths of the machine it was exported on."""
    network = make_network()
    sample = torch.ones(1, 8)
    program = torch.export.export(network, (sample,))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    torch.export.save(program, path)
    facts = [fact(name, tensor) for name, tensor in network.state_dict().items()]
    return [*facts, fact("data/sample_inputs/model.pt.0.0", sample)]


def make_skops(path: Path) -> list[Fact]:
    """Dump a small network: arrays of floats, besides others that are not told."""
    inputs = np.random.default_rng(2).normal(size=(12, 4))
    network = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", random_state=0, max_iter=1)
    with warnings.catch_warnings(category=ConvergenceWarning, action="ignore"):
        network.fit(inputs, inputs.sum(axis=1))
    skops.io.dump(network, path)
    facts: list[Fact] = []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".npy"):
                content = archive.read(name)
                array = np.load(io.BytesIO(content))
                if array.dtype.kind == "f":
                    digest = blake3(content[-array.nbytes :]).hexdigest()
                    facts.append(("", "F64", list(array.shape), digest))
    return facts


def main() -> None:
    """Make every file, and write down what is in them."""
    FOLDER.mkdir(exist_ok=True)
    makers = {
        "state.pt": make_state,
        "checkpoint.ckpt": make_checkpoint,
        "module.pth": make_module,
        "exported.pt2": make_exported,
        "network.skops": make_skops,
    }
    expected = {name: make(FOLDER / name) for name, make in makers.items()}
    lines = [
        f"  {json.dumps(name)}: [\n    " + ",\n    ".join(map(json.dumps, facts)) + "\n  ]"
        for name, facts in expected.items()
    ]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (FOLDER / "expected.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
