"""The small files of a model are read as text, and what they become is small."""

from __future__ import annotations

import json
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.plugin.capturing.model_files import LARGEST, LONGEST, environment, model_facts

MODEL = b"""
flavors:
  python_function: {loader_module: mlflow.sklearn, python_version: 3.11.7}
  sklearn: {sklearn_version: 1.5.0, made: 2026-01-01}
mlflow_version: 3.17.2
saved_input_example_info: {artifact_path: input_example.json, type: dataframe}
signature: {inputs: '[{"type": "double", "name": "x"}]', outputs: 'no json', params: null}
"""
BOMB = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (one, one, b",".join([b"*%c" % (one - 1)] * 9)) for one in range(98, 107)
)


def test_model() -> None:
    """Flavors, signature, example and version are plain JSON."""
    facts = model_facts(MODEL)

    assert facts == json.loads(json.dumps(facts))
    assert facts["signature"] == {
        "inputs": [{"type": "double", "name": "x"}],
        "outputs": None,
        "params": None,
    }
    assert facts["flavors"]["sklearn"] == {"sklearn_version": "1.5.0", "made": "2026-01-01"}
    assert facts["input_example"] == {"artifact_path": "input_example.json", "type": "dataframe"}
    assert facts["mlflow_version"] == "3.17.2"


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"",
        b"- a list",
        b"{",
        b"\xff\xfe\x00",
        b"x: !!python/object/apply:os.system ['touch /tmp/ran']",
        b"[" * 20_000,
        b"x: " + b"9" * 5000,
        b"a: 2026-99-99",
        b"? {a: 1}\n: x",
    ],
)
def test_no_model(raw: bytes | None) -> None:
    """What is no `MLmodel` tells nothing, and is no error."""
    assert model_facts(raw) == {}
    assert environment(raw, raw, raw, raw) in ({}, environment(None, raw, None, None))


def test_too_large() -> None:
    """A file that is too large to be one is not read, and the facts say so."""
    assert model_facts(b" " * (LARGEST + 1)) == {"shortened": ["MLmodel"]}
    assert environment(*[b"# " + b"x" * LARGEST] * 4) == {}


@pytest.mark.parametrize(
    "flavors",
    [b"  " + BOMB.replace(b"\n", b"\n  "), b"  x: '" + b"y" * 9000 + b"'", b"  x: &x [*x]"],
)
def test_bounded(flavors: bytes) -> None:
    """However it is written, what is kept has an end, and says that something was left out."""
    before = time.monotonic()

    facts = model_facts(b"flavors:\n" + flavors)

    assert len(json.dumps(facts)) < 1_000_000
    assert facts["shortened"] == ["MLmodel"]
    assert time.monotonic() - before < 30


def test_environment() -> None:
    """Packages and Python are found in whichever file says them, the more exact one first."""
    conda = b"""
dependencies: [python=3.10.1, conda-forge::numpy=1.26=py310, pip<=23, 7,
               {pip: [Scikit_Learn==1.5.0, "torch[x]>=2 ; python_version > '3'"]}]
"""
    requirements = b"""
--index-url https://me:pw@host
# a comment
numpy==2.4.6
own @ git+https://me:pw@host/x
"""

    assert environment(None, None, None, conda) == {
        "python": "3.10.1",
        "packages": {"numpy": "1.26", "pip": "<=23", "scikit-learn": "1.5.0", "torch": ">=2"},
    }
    found = environment(MODEL, requirements, None, conda)
    assert found["python"] == "3.11.7"
    assert found["packages"]["numpy"] == "2.4.6"
    assert "pw" not in str(found)
    assert environment(MODEL, None, b"python: 3.12.1", None) == {"python": "3.12.1"}


@given(st.binary(max_size=200) | st.text(alphabet="{}[]:&*-!|>'\"\n a1", max_size=60))
def test_any(raw: bytes | str) -> None:
    """Any bytes give plain JSON."""
    told = raw.encode() if isinstance(raw, str) else raw

    for facts in (model_facts(told), environment(told, told, told, told)):
        text = json.dumps(facts)
        assert len(text) < LONGEST
    assert sys.getrecursionlimit() < 100_000
