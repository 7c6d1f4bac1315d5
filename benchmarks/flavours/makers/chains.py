"""langchain, llama_index, dspy, openai: code, prompts and indexes; no service is asked anything."""

from __future__ import annotations

import json
import tempfile
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dspy as dspy_library
import mlflow.dspy
import mlflow.langchain
import mlflow.llama_index
import mlflow.openai
import numpy as np
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import MockLLM
from version import REQUIREMENTS, VERSIONS, Saving, Version

from makers import docstrings

if TYPE_CHECKING:
    from collections.abc import Iterator

FIRST: Final = 300  # documents or examples of the first version
MORE: Final = 30
WIDTH: Final = 256
_CHAIN: Final = '''"""A chain, logged as this code."""

import mlflow
from langchain_core.prompts import PromptTemplate
from langchain_core.runnables import RunnableLambda

EXAMPLES = {examples}

prompt = PromptTemplate.from_template("Known:\\n{{known}}\\nAsked: {{asked}}")
known = RunnableLambda(lambda asked: {{"known": "\\n".join(EXAMPLES), "asked": asked["asked"]}})
mlflow.models.set_model(known | prompt | RunnableLambda(lambda found: found.to_string()))
'''


def _texts(version: int) -> list[str]:
    return [text for text, _ in docstrings.read()][: FIRST + version * MORE]


def langchain() -> Iterator[Version]:
    """Log a chain as code in which the examples are written."""
    asked = {"asked": "what is a Path?"}
    with tempfile.TemporaryDirectory() as name:
        code = Path(name) / "chain.py"
        for version in range(VERSIONS):
            texts = _texts(version)
            code.write_text(_CHAIN.format(examples=repr(texts)), encoding="utf-8")
            answer = "Known:\n" + "\n".join(texts) + "\nAsked: what is a Path?"

            def log() -> Any:
                return mlflow.langchain.log_model(
                    str(code), name="model", pip_requirements=list(REQUIREMENTS)
                )

            yield Version(log, mlflow.langchain.load_model, lambda f: f.invoke(asked), answer)


class Hashed(BaseEmbedding):  # type: ignore[misc]  # its class is known to LlamaIndex only
    """Embeds a text as the mean of fixed random vectors of its words."""

    def _embed(self, text: str) -> list[float]:
        rows = [
            np.random.default_rng(list(blake2b(word.encode(), digest_size=8).digest())).normal(
                size=WIDTH
            )
            for word in text.lower().split()
        ]
        found: list[float] = np.mean(rows or [np.zeros(WIDTH)], axis=0).tolist()
        return found

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._embed(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._embed(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._embed(query)


def llama_index() -> Iterator[Version]:
    """Insert documents into a vector index."""
    Settings.embed_model = Hashed()
    Settings.llm = MockLLM()
    everything = [
        Document(text=text, id_=f"doc-{number}") for number, text in enumerate(_texts(VERSIONS))
    ]
    index = VectorStoreIndex.from_documents(everything[:FIRST])
    for version in range(VERSIONS):
        if version:
            for document in everything[FIRST + (version - 1) * MORE : FIRST + version * MORE]:
                index.insert(document)
        yield Saving(mlflow.llama_index, {"engine_type": "retriever"}).version(index, _retrieved)


def _retrieved(index: Any) -> str:
    found = index.as_retriever(similarity_top_k=5).retrieve("a path of the file system")
    return repr([(one.score, one.node.get_content()) for one in found])


def dspy(serialization: str) -> Iterator[Version]:
    """Give a program more examples."""
    saving = Saving(mlflow.dspy, {"use_dspy_model_save": serialization == "own"})
    program = dspy_library.Predict("question -> answer")
    for version in range(VERSIONS):
        program.demos = [
            dspy_library.Example(question=f"what is number {number}?", answer=text)
            for number, text in enumerate(_texts(version))
        ]
        yield saving.version(program, lambda found: repr([dict(demo) for demo in found.demos]))


def openai() -> Iterator[Version]:
    """Log a prompt with examples in it."""
    for version in range(VERSIONS):
        messages = [{"role": "system", "content": text} for text in _texts(version)]
        messages.append({"role": "user", "content": "{asked}"})
        said = {"model": "some-model", "task": "chat.completions", "messages": messages}

        def log(said: dict[str, Any] = said) -> Any:
            return mlflow.openai.log_model(
                name="model", pip_requirements=list(REQUIREMENTS), **said
            )

        yield Version(log, mlflow.openai.load_model, _spelled, _spelled(said))


def _spelled(said: Any) -> str:
    return json.dumps([said["model"], said["messages"]], sort_keys=True)  # as YAML sorts them
