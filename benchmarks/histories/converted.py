"""Make the histories of other formats: the fine-tuned fp32 versions, written as GGUF and ONNX.

- `gguf-f16`: as llama.cpp's converter writes a BERT: matrices in half precision, vectors in fp32,
  the words of the vocabulary.
- `gguf-q8`: the same with the matrices in Q8_0, blocks of 32 numbers of eight bits.
- `onnx`: the model as torch exports it, the graph with its weights in fp32.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from histories.recipe import NOTE, Recipe, versions_of
from histories.trained import VERSIONS, find_model, make_fine_tuned

if TYPE_CHECKING:
    from pathlib import Path

    from histories.recipe import Workshop

FROM: Final = "fp32"
TOKENS: Final = 64  # of the example that torch traces the model with


def make_gguf(workshop: Workshop) -> None:
    """Write every version in F16 and in Q8_0, under llama.cpp's names."""
    import gguf  # noqa: PLC0415 - group `bench`; a filled cache needs no gguf

    kinds = gguf.GGMLQuantizationType
    for history, kind in (("gguf-f16", kinds.F16), ("gguf-q8", kinds.Q8_0)):
        for version, source in enumerate(_sources(workshop)):
            _write_gguf(source, workshop.path(history, version, ".gguf"), _folder(workshop), kind)
        workshop.finish(history, **_note(workshop), **versions_of("gguf"))


def make_onnx(workshop: Workshop) -> None:
    """Export every version with torch."""
    import torch  # noqa: PLC0415 - group `bench`; a filled cache needs no torch
    from safetensors.torch import load_file  # noqa: PLC0415 - as above
    from transformers import AutoModel  # noqa: PLC0415 - as above

    loader: Any = AutoModel  # transformers types only some of its loaders
    model = loader.from_pretrained(_folder(workshop), dtype=torch.float32).eval()
    words = torch.ones((1, TOKENS), dtype=torch.int64)
    named = ["input_ids", "attention_mask"]
    for version, source in enumerate(_sources(workshop)):
        model.load_state_dict(load_file(source))
        torch.onnx.export(
            model,
            (words, words),
            workshop.path("onnx", version, ".onnx"),
            input_names=named,
            output_names=["last_hidden_state", "pooler_output"],
            external_data=False,
            verbose=False,
        )
    workshop.finish("onnx", **_note(workshop), **versions_of("onnx", "onnxscript"))


def _write_gguf(source: Path, target: Path, model: Path, kind: Any) -> None:
    """Write one version as llama.cpp's converter does: what has one dimension stays fp32."""
    import gguf  # noqa: PLC0415 - as above
    from safetensors.numpy import load_file  # noqa: PLC0415 - as above

    about = json.loads((model / "config.json").read_text(encoding="utf-8"))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, about["num_hidden_layers"])
    writer = gguf.GGUFWriter(target, "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_context_length(about["max_position_embeddings"])
    writer.add_embedding_length(about["hidden_size"])
    writer.add_block_count(about["num_hidden_layers"])
    writer.add_token_list((model / "vocab.txt").read_text(encoding="utf-8").splitlines())
    for name, tensor in load_file(source).items():
        known = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if known is None:  # the pooler, which llama.cpp does without
            continue
        chosen = kind if tensor.ndim > 1 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(known, gguf.quants.quantize(tensor, chosen), raw_dtype=chosen)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _folder(workshop: Workshop) -> Path:
    return workshop.model or find_model()


def _sources(workshop: Workshop) -> list[Path]:
    """Return the fp32 versions, made first unless they are there."""
    if not (workshop.cache / FROM / NOTE).exists():
        make_fine_tuned(workshop)
    return [workshop.path(FROM, version, ".safetensors") for version in range(VERSIONS)]


def _note(workshop: Workshop) -> dict[str, object]:
    """Return how the versions were trained: their own history's note."""
    note: dict[str, object] = json.loads((workshop.cache / FROM / NOTE).read_text(encoding="utf-8"))
    del note["seed"], note["python"]
    return note


CONVERTED: Final = {
    "gguf-f16": Recipe("GGUF, F16", "model.gguf", VERSIONS, make_gguf),
    "gguf-q8": Recipe("GGUF, Q8_0", "model.gguf", VERSIONS, make_gguf),
    "onnx": Recipe("ONNX, fp32", "model.onnx", VERSIONS, make_onnx),
}
