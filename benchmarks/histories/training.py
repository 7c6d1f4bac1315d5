"""Train all-MiniLM-L6-v2 for the benchmarks: real gradients on text every machine has.

The model learns to find the summary of a docstring by the qualified name that it
documents, among the other summaries of its batch:

    "asyncio queues Queue put"  -->  "Put an item into the queue."
                                     cross-entropy over cosines / 0.05, in-batch negatives

The text is the standard library's own, so nothing has to be fetched.  Seeded: one machine
with one set of versions trains the same bits again.  `histories` decides what is saved.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModel, AutoTokenizer

from histories.text import docstring_pairs

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BATCH: Final = 16
TOKENS: Final = 64
TEMPERATURE: Final = 0.05
KINDS: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Shape:
    """Another size of the same architecture, and batches that 2 cores can afford for it."""

    hidden: int
    layers: int
    batch: int = 4
    tokens: int = 32

    @property
    def configuration(self) -> dict[str, int]:
        """What BERT's configuration calls it: heads of 64, four times as wide in between."""
        return {
            "hidden_size": self.hidden,
            "intermediate_size": 4 * self.hidden,
            "num_attention_heads": self.hidden // 64,
            "num_hidden_layers": self.layers,
        }


class Trainer:
    """One model under training; `losses` grows by one a step.

    Args:
        folder: The pretrained model, its configuration and its tokenizer.
        rate: AdamW's learning rate.
        seed: Decides the batches, the dropout and, from scratch, the first weights.
        scratch: Start from random weights instead of the pretrained ones.
        shape: Start from random weights of another size.
    """

    def __init__(
        self,
        folder: Path,
        rate: float,
        *,
        seed: int,
        scratch: bool = False,
        shape: Shape | None = None,
    ) -> None:
        torch.manual_seed(seed)
        torch.set_num_threads(min(2, os.cpu_count() or 1))
        self._pairs = docstring_pairs()
        self._draw = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._batch = shape.batch if shape else BATCH
        self._tokens = shape.tokens if shape else TOKENS
        model: Any = AutoModel  # transformers types only some of its loaders
        changed = shape.configuration if shape else {}
        self.model: Any = (
            model.from_config(AutoConfig.from_pretrained(folder, **changed))
            if scratch or shape
            else model.from_pretrained(folder, dtype=torch.float32)
        )
        self.rate = rate
        self.losses: list[float] = []
        self._optimizer: Any = None

    @property
    def optimizer(self) -> Any:
        """AdamW as torch sets it, weight decay 0.01 included, over all that is not frozen."""
        if self._optimizer is None:
            trained = [weight for weight in self.model.parameters() if weight.requires_grad]
            self._optimizer = torch.optim.AdamW(trained, lr=self.rate)
        return self._optimizer

    def restart(self, rate: float) -> None:
        """Go on with another learning rate and without the optimizer's state."""
        self.rate = rate
        self._optimizer = None

    def train_only(self, layers: int) -> None:
        """Freeze everything but the last *layers* layers of the encoder."""
        self.model.requires_grad_(requires_grad=False)
        for layer in self.model.encoder.layer[-layers:]:
            layer.requires_grad_(requires_grad=True)

    def advance(self, steps: int) -> None:
        """Train for *steps* steps and print the loss now and then."""
        self.model.train()
        for step in range(steps):
            names, summaries = zip(*self._draw.sample(self._pairs, self._batch), strict=True)
            cosines = self._embed(names) @ self._embed(summaries).T
            loss: Any = torch.nn.functional.cross_entropy(
                cosines / TEMPERATURE, torch.arange(self._batch)
            )
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.losses.append(round(loss.item(), 4))
            if step % 10 == 0 or step == steps - 1:
                print(f"  step {len(self.losses):4d}  loss {self.losses[-1]:.4f}", flush=True)

    def save_model(self, path: Path, kind: str) -> None:
        """Write the weights to *path* as safetensors of *kind*: fp32, bf16 or fp16."""
        state = self.model.state_dict()
        tensors = {name: tensor.detach().to(KINDS[kind]) for name, tensor in state.items()}
        save_file(tensors, path, metadata={"format": "pt"})

    def save_checkpoint(self, path: Path) -> None:
        """Write weights and AdamW's two moments to *path*, as one would to resume training."""
        checkpoint = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": len(self.losses),
        }
        torch.save(checkpoint, path)

    def _embed(self, texts: Iterable[str]) -> torch.Tensor:
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=self._tokens, return_tensors="pt"
        )
        hidden: torch.Tensor = self.model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        pooled = (hidden * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(pooled, dim=1)
