"""The table of what is measured: every flavour, and every way in which it saves.

Plain values, so that it can be read where none of the libraries is installed.  A maker is
named as ``module:function``; its module lies in `makers` and is imported in its room only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Way:
    """One way of saving.

    Attributes:
        name: Of this row, for ``--only``.
        how: For people: what is trained, and how it is saved.
        room: Where it runs.
        maker: What yields the versions.
        argument: What the maker is told.
    """

    name: str
    how: str
    room: str
    maker: str
    argument: str = ""

    @property
    def flavour(self) -> str:
        """The module of MLflow that logs it."""
        return self.name.partition("/")[0]

    @property
    def file_name(self) -> str:
        """Its name as that of a file."""
        return self.name.replace("/", ".")


WAYS: Final = (
    Way(
        "sklearn/forest-skops",
        "growing forest, skops (default)",
        "classic",
        "forests:forest",
        "skops",
    ),
    Way(
        "sklearn/forest-cloudpickle",
        "growing forest, cloudpickle",
        "classic",
        "forests:forest",
        "cloudpickle",
    ),
    Way("sklearn/forest-pickle", "growing forest, pickle", "classic", "forests:forest", "pickle"),
    Way(
        "sklearn/network-skops",
        "network trained on, skops (default)",
        "classic",
        "forests:network",
        "skops",
    ),
    Way(
        "sklearn/network-cloudpickle",
        "network trained on, cloudpickle",
        "classic",
        "forests:network",
        "cloudpickle",
    ),
    Way(
        "sklearn/network-pickle",
        "network trained on, pickle",
        "classic",
        "forests:network",
        "pickle",
    ),
    Way("xgboost/ubj", "boosted on, ubj (default)", "classic", "boosters:xgboost", "ubj"),
    Way("xgboost/json", "boosted on, json", "classic", "boosters:xgboost", "json"),
    Way(
        "xgboost/refitted",
        "fitted again with more rows, ubj (default)",
        "classic",
        "boosters:xgboost_again",
        "ubj",
    ),
    Way(
        "lightgbm/text",
        "boosted on, text (default of a Booster)",
        "classic",
        "boosters:lightgbm_text",
    ),
    Way(
        "lightgbm/skops",
        "boosted on, LGBMClassifier, skops",
        "classic",
        "boosters:lightgbm_sklearn",
        "skops",
    ),
    Way(
        "lightgbm/cloudpickle",
        "boosted on, LGBMClassifier, cloudpickle",
        "classic",
        "boosters:lightgbm_sklearn",
        "cloudpickle",
    ),
    Way(
        "lightgbm/pickle",
        "boosted on, LGBMClassifier, pickle",
        "classic",
        "boosters:lightgbm_sklearn",
        "pickle",
    ),
    Way("catboost/cbm", "boosted on, cbm (default)", "classic", "boosters:catboost", "cbm"),
    Way("catboost/json", "boosted on, json", "classic", "boosters:catboost", "json"),
    Way(
        "statsmodels/whole",
        "regression fitted again with more rows, pickle with its data (default)",
        "classic",
        "series:statsmodels",
        "whole",
    ),
    Way(
        "statsmodels/bare", "the same, `remove_data=True`", "classic", "series:statsmodels", "bare"
    ),
    Way("prophet/json", "fitted again with more days, JSON", "classic", "series:prophet"),
    Way("pmdarima/pickle", "ARIMA updated with more days, pickle", "classic", "series:pmdarima"),
    Way(
        "shap/mlflow",
        "explainer of a growing forest, the forest as an MLflow model (default)",
        "classic",
        "forests:shap",
        "mlflow",
    ),
    Way(
        "shap/own",
        "the same, `serialize_model_using_mlflow=False`",
        "classic",
        "forests:shap",
        "own",
    ),
    Way(
        "onnx/external",
        "network trained on, numbers in a file beside it (default)",
        "classic",
        "forests:onnx",
        "external",
    ),
    Way(
        "onnx/inside",
        "network trained on, `save_as_external_data=False`",
        "classic",
        "forests:onnx",
        "inside",
    ),
    Way(
        "pyfunc/pickled",
        "PythonModel that holds its matrix, cloudpickle",
        "classic",
        "plain:pickled",
    ),
    Way(
        "pyfunc/artifacts",
        "PythonModel with its matrix as an npy artifact",
        "classic",
        "plain:artifacts",
    ),
    Way("pyfunc/code", "model from code, its matrix as an npz artifact", "classic", "plain:code"),
    Way(
        "pytorch/pt2", "convolutions trained on, pt2 (default)", "torch", "networks:pytorch", "pt2"
    ),
    Way(
        "pytorch/export-model",
        "the same, `export_model=True`",
        "torch",
        "networks:pytorch",
        "export_model",
    ),
    Way("pytorch/pickle", "the same, pickle", "torch", "networks:pytorch", "pickle"),
    Way("pytorch/script", "the same, TorchScript", "torch", "networks:pytorch_script"),
    Way(
        "pytorch/state-dict",
        "the same with Adam's state, `log_state_dict`",
        "torch",
        "networks:pytorch_state",
    ),
    Way(
        "transformers/safetensors",
        "small BERT trained on, pipeline, safetensors (default)",
        "torch",
        "language:transformers",
        "float32",
    ),
    Way(
        "transformers/bfloat16",
        "the same, in bfloat16",
        "torch",
        "language:transformers",
        "bfloat16",
    ),
    Way(
        "sentence_transformers/safetensors",
        "small BERT trained on, safetensors (default)",
        "torch",
        "language:sentences",
    ),
    Way("diffusers/lora", "LoRA adapter trained on, safetensors", "torch", "language:diffusers"),
    Way(
        "keras/keras", "network trained on, .keras (default)", "tensorflow", "layers:keras", "keras"
    ),
    Way(
        "keras/exported",
        "the same, `save_exported_model=True`",
        "tensorflow",
        "layers:keras",
        "exported",
    ),
    Way(
        "tensorflow/keras",
        "network trained on, .keras (default)",
        "tensorflow",
        "layers:tensorflow",
        "keras",
    ),
    Way("tensorflow/h5", "the same, HDF5", "tensorflow", "layers:tensorflow", "h5"),
    Way(
        "tensorflow/saved-model",
        "tf.Module trained on, SavedModel",
        "tensorflow",
        "layers:tensorflow_module",
    ),
    Way("spacy/pipeline", "text classifier trained on, spaCy's folder", "spacy", "texts:spacy"),
    Way(
        "paddle/inference",
        "network trained on, `paddle.jit.save` (default)",
        "paddle",
        "paddles:inference",
    ),
    Way(
        "paddle/training",
        "the same with Adam's state, `training=True`",
        "paddle",
        "paddles:training",
    ),
    Way("h2o/binary", "boosted on, H2O's binary model", "h2o", "clusters:h2o"),
    Way(
        "spark/forest",
        "pipeline with a forest, fitted again with more rows, parquet",
        "spark",
        "clusters:spark",
        "forest",
    ),
    Way(
        "spark/words",
        "pipeline with Word2Vec, fitted again with more rows, parquet",
        "spark",
        "clusters:spark",
        "words",
    ),
    Way("langchain/code", "chain from code, its prompts grow", "chains", "chains:langchain"),
    Way(
        "llama_index/index",
        "vector index that gets more documents, JSON",
        "chains",
        "chains:llama_index",
    ),
    Way(
        "dspy/cloudpickle",
        "program with more examples, cloudpickle (default)",
        "chains",
        "chains:dspy",
        "cloudpickle",
    ),
    Way("dspy/own", "the same, `use_dspy_model_save=True`", "chains", "chains:dspy", "own"),
    Way("openai/yaml", "prompt that grows, YAML", "chains", "chains:openai"),
)

# What MLflow has, or had, and why it is no row.
_GONE: Final = "this MLflow has no such flavour"
_TRACED: Final = "only traced or autologged: no `log_model`; what is built with it is `pyfunc` code"
ABSENT: Final = (
    ("johnsnowlabs", "needs its vendor's licence file before it logs anything"),
    ("crate", "R only: logged and loaded by MLflow's R package"),
    ("diviner", _GONE),
    ("fastai", _GONE),
    ("gluon", _GONE),
    ("mleap", _GONE),
    ("promptflow", _GONE),
    ("ag2, agno, anthropic, autogen, bedrock, crewai, gemini, groq, haystack, litellm", _TRACED),
    ("mistral, pydantic_ai, semantic_kernel, smolagents, strands, typesafe", _TRACED),
    ("optuna, pyspark.ml", _TRACED),
)
