"""transformers, sentence_transformers, diffusers: small networks, trained on, nothing fetched."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import mlflow.diffusers
import mlflow.sentence_transformers
import mlflow.transformers
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    BertTokenizerFast,
    pipeline,
    set_seed,
)
from version import REQUIREMENTS, VERSIONS, Saving, Version

from makers import docstrings

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS: Final = 10  # of each version; the first has more
FIRST_STEPS: Final = 30
BATCH: Final = 16
WORDS: Final = 4_000
TOKENS: Final = 48  # of a text
_ODD: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_SHAPE: Final = {
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 512,
    "max_position_embeddings": 128,
}


def _tokenizer(folder: Path, texts: list[str]) -> BertTokenizerFast:
    """Make a vocabulary of the words of *texts*."""
    counted: dict[str, int] = {}
    for text in texts:
        for word in text.lower().split():
            if word.isalpha():
                counted[word] = counted.get(word, 0) + 1
    words = sorted(counted, key=lambda word: (-counted[word], word))[:WORDS]
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join([*_ODD, *words]) + "\n", encoding="utf-8")
    return BertTokenizerFast(str(vocabulary))


def _batches(size: int) -> Iterator[list[int]]:
    generator = torch.Generator().manual_seed(0)
    while True:
        yield torch.randint(size, (BATCH,), generator=generator).tolist()


def transformers(dtype: str) -> Iterator[Version]:
    """Train which module a docstring is from, and log the pipeline."""
    set_seed(0)
    pairs = docstrings.read()
    texts = [text for text, _ in pairs]
    with tempfile.TemporaryDirectory() as name:
        tokenizer = _tokenizer(Path(name), texts)
        labels = len(docstrings.MODULES)
        config = BertConfig(vocab_size=len(tokenizer), num_labels=labels, **_SHAPE)
        model = BertForSequenceClassification(config)
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)
        batches = _batches(len(pairs))
        saving = Saving(mlflow.transformers, {"task": "text-classification"})
        for version in range(VERSIONS):
            model.train()
            for _ in range(STEPS if version else FIRST_STEPS):
                chosen = [pairs[number] for number in next(batches)]
                rows = tokenizer(
                    [text for text, _ in chosen],
                    padding=True,
                    truncation=True,
                    max_length=TOKENS,
                    return_tensors="pt",
                )
                loss = model(**rows, labels=torch.tensor([label for _, label in chosen])).loss
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            kept = BertForSequenceClassification(config)
            kept.load_state_dict(model.state_dict())
            kept = kept.to(getattr(torch, dtype)).eval()
            whole = pipeline("text-classification", model=kept, tokenizer=tokenizer)
            yield saving.version(whole, lambda found: _labelled(found, texts))


def _labelled(found: Any, texts: list[str]) -> Any:
    said = found([text[:100] for text in texts[:10]], top_k=None)
    return [[one["score"] for one in row] for row in said]


def sentences() -> Iterator[Version]:
    """Train texts of one module to be near each other."""
    from sentence_transformers import SentenceTransformer, models  # noqa: PLC0415 - slow to import

    set_seed(0)
    pairs = docstrings.read()
    texts = [text for text, _ in pairs]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer = _tokenizer(folder, texts)
        BertModel(BertConfig(vocab_size=len(tokenizer), **_SHAPE)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        words = models.Transformer(str(folder), max_seq_length=TOKENS)
        model = SentenceTransformer(
            modules=[words, models.Pooling(words.get_word_embedding_dimension())], device="cpu"
        )
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)
        batches = _batches(len(pairs))
        for version in range(VERSIONS):
            model.train()
            for _ in range(STEPS if version else FIRST_STEPS):
                chosen = [pairs[number] for number in next(batches)]
                labels = torch.tensor([label for _, label in chosen])
                rows = model.tokenize([text for text, _ in chosen])
                found = model(rows)["sentence_embedding"]
                near = torch.nn.functional.cosine_similarity(found[:, None], found[None], dim=-1)
                loss = (near - (labels[:, None] == labels[None]).float()).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            model.eval()
            yield Saving(mlflow.sentence_transformers).version(
                model, lambda found: found.encode(texts[:10])
            )


def diffusers() -> Iterator[Version]:
    """Train a LoRA adapter of a small denoiser; MLflow keeps the adapter only."""
    from diffusers import UNet2DConditionModel  # noqa: PLC0415 - slow to import
    from peft import LoraConfig  # noqa: PLC0415 - as above
    from peft.utils import get_peft_model_state_dict  # noqa: PLC0415 - as above
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 - as above

    set_seed(0)
    net = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(64, 128),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=128,
        attention_head_dim=8,
    ).requires_grad_(requires_grad=False)
    wanted = ["to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out"]
    net.add_adapter(LoraConfig(r=16, init_lora_weights="gaussian", target_modules=wanted))
    trained = [weights for weights in net.parameters() if weights.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3)

    def load(uri: str) -> Any:
        found = Path(mlflow.diffusers.load_model(uri).adapter_path)
        return load_file(found / "pytorch_lora_weights.safetensors")

    def say(weights: Any) -> Any:
        return torch.cat([weights[key].flatten() for key in sorted(weights)]).numpy()

    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "adapter.safetensors"
        for version in range(VERSIONS):
            for _ in range(STEPS if version else FIRST_STEPS):
                noise = torch.randn(4, 4, 8, 8)
                time = torch.randint(1000, (4,))
                loss = (net(noise, time, torch.randn(4, 4, 128)).sample - noise).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            state = {
                f"unet.{key}": weights.contiguous()
                for key, weights in get_peft_model_state_dict(net).items()
            }
            save_file(state, file)

            def log() -> Any:
                return mlflow.diffusers.log_model(
                    str(file), "a/base", name="model", pip_requirements=list(REQUIREMENTS)
                )

            yield Version(log, load, say, say(state))
