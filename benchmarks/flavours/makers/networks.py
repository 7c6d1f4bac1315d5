"""PyTorch: a small network of convolutions, trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import mlflow.pytorch
import numpy as np
import torch
from sklearn.datasets import load_digits
from version import VERSIONS, Saving, Version

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS: Final = 30  # of each version; the first has more
FIRST_STEPS: Final = 150
BATCH: Final = 128
_IMAGES, _LABELS = load_digits(return_X_y=True)
_X: Final = torch.tensor(_IMAGES / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
_Y: Final = torch.tensor(_LABELS)
_ASKED: Final = _X[:64]


class Net(torch.nn.Module):  # type: ignore[misc]  # its class is known to torch only
    """About 700,000 weights, with batch normalisation's buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, 64, 3, padding=1),
            torch.nn.BatchNorm2d(64),
            torch.nn.ReLU(),
            torch.nn.Conv2d(64, 64, 3, padding=1),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Flatten(),
            torch.nn.Linear(1024, 640),
            torch.nn.ReLU(),
            torch.nn.Linear(640, 10),
        )

    def forward(self, images: torch.Tensor) -> Any:
        """Return a score for each digit."""
        return self.layers(images)


def _trained() -> Iterator[tuple[Net, torch.optim.Optimizer]]:
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for version in range(VERSIONS):
        net.train()
        for _ in range(STEPS if version else FIRST_STEPS):
            rows = torch.randint(len(_X), (BATCH,))
            loss = torch.nn.functional.cross_entropy(net(_X[rows]), _Y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        yield net.eval(), optimizer


def _scores(model: Any) -> Any:
    # An exported program is a module only after `module()`, and MLflow returns that.
    with torch.inference_mode():
        return model(_ASKED).numpy()


def pytorch(serialization: str) -> Iterator[Version]:
    """Save as MLflow does, or as it is told."""
    example: dict[str, Any] = {"input_example": np.asarray(_X[:4])}
    options = {
        "pt2": example,
        "export_model": {"export_model": True, **example},
        "pickle": {"serialization_format": "pickle"},
    }[serialization]
    for net, _ in _trained():
        yield Saving(mlflow.pytorch, options).version(net, _scores)


def pytorch_script() -> Iterator[Version]:
    """Save TorchScript, which needs no Python class."""
    saving = Saving(mlflow.pytorch, {"serialization_format": "pickle"})
    for net, _ in _trained():
        yield saving.version(torch.jit.trace(net, _ASKED), _scores)


def pytorch_state() -> Iterator[Version]:
    """Save a checkpoint: weights and Adam's state, no model."""
    for net, optimizer in _trained():
        state = {"model": net.state_dict(), "optimizer": optimizer.state_dict()}

        def log(state: dict[str, Any] = state) -> None:
            mlflow.pytorch.log_state_dict(state, artifact_path="checkpoint")

        yield Version(
            log, mlflow.pytorch.load_state_dict, _restored, _restored(state), "checkpoint"
        )


def _restored(state: Any) -> Any:
    net = Net().eval()
    net.load_state_dict(state["model"])
    torch.optim.Adam(net.parameters()).load_state_dict(state["optimizer"])
    return _scores(net)
