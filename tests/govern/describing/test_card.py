"""A model card tells what the record does, and nothing in it is markup but its own."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import File, Origin, Version, digest_of
from mlflow_vault.govern.describing import facts
from mlflow_vault.govern.describing.card import model_card

FILES: Final = (File("MLmodel", 3, Digest.of(b"abc"), bytes(32)),)
VERSION: Final = Version(
    digest=digest_of(FILES),
    id="0c" * 16,
    name="fraud",
    number=3,
    created=1_700_000_000_000,
    author="ada",
    origin=Origin("runs:/1/model", "1/run/artifacts/model", "m-2", "run"),
    files=FILES,
    parents=(Digest.of(b"parent"),),
    metadata={"license": "apache-2.0", "description": "Finds fraud in e-mails. Mostly."},
    facts={
        "metrics": {"f1": 0.5, "loss": "NaN", "tiny": 1e-05},
        "params": {"lr": "0.1"},
        "flavors": {"python_function": {}, "sklearn": {"code": None}},
        "datasets": [{"name": "train", "b3": "b3:00", "context": "training"}],
        "evaluations": [{"metrics": {"accuracy": 0.25}, "dataset": {"name": "holdout"}}],
        "environment": {"python": "3.11.7", "packages": {"numpy": "2.4.6"}},
        "git": {"commit": "ab" * 20, "dirty": True},
        "signature": {"inputs": [{"type": "double", "name": "age"}], "outputs": None},
    },
)
HOSTILE: Final = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![x](https://example.com/x.png)",
    "https://example.com/",
    "www.example.com",
    "<https://example.com>",
    "a@example.com",
    "a | b | c",
    "a || b",
    "`code` and ``more``",
    "*bold* _italic_ ~~gone~~",
    "# title",
    "1. one",
    "- one",
    "> quoted",
    "---",
    "a\n\n---\nlicense: mit\n---\n# mine",
    "a\r---\rb",
    "\u2028---\u2028",
    "&lt;b&gt; &#60;",
    "\\",
    "\\| x",
    "a\\",
    "$$x$$",
    ": x",
    "{{ x }}",
    "!!python/object/apply:os.system [id]",
    "&anchor",
    "*anchor",
    "yes",
    "null",
    "1e3",
    "0x10",
    "2024-01-01",
    "''",
    '"',
    "%TAG",
    "\ud800",
    "\x1b[31m",
    "\u202eabc",
]
TEXTS: Final = frozenset({"text", "code_inline", "text_special"})
PAGES: Final = MarkdownIt("gfm-like", {"linkify": False, "html": True})


def front(card: str) -> dict[str, Any]:
    """The front matter of a card, read by its library, which reads what PyYAML does."""
    parsed: Any = ModelCard(card)
    read: dict[str, Any] = yaml.safe_load(card.split("---\n")[1])
    assert parsed.data.to_dict() == read
    return read


def cells(card: str) -> list[str]:
    """What a page shows in the cells of all tables."""
    body = card.split("\n---\n", 1)[1]
    shown = []
    tokens = PAGES.parse(body)
    for before, token in pairwise(tokens):
        if before.type == "td_open":
            assert {child.type for child in token.children or ()} <= TEXTS
            shown.append("".join(child.content for child in token.children or ()))
    return shown


def test_front() -> None:
    """Programs find the licence, the library, what it came from, and every finite metric."""
    read = front(model_card(VERSION))

    assert read["license"] == "apache-2.0"
    assert read["library_name"] == "sklearn"
    assert read["base_model"] == [str(Digest.of(b"parent"))]
    assert read["datasets"] == ["train"]
    (index,) = read["model-index"]
    assert index["name"] == "fraud 3"
    assert [
        (each["dataset"]["name"], {score["type"]: score["value"] for score in each["metrics"]})
        for each in index["results"]
    ] == [("train", {"f1": 0.5, "tiny": 1e-05}), ("holdout", {"accuracy": 0.25})]


def test_leaderboards() -> None:
    """The Hub's library finds the same results."""
    parsed: Any = ModelCard(model_card(VERSION))

    assert [
        (each.dataset_name, each.metric_type, each.metric_value)
        for each in parsed.data.eval_results
    ] == [
        ("train", "f1", 0.5),
        ("train", "tiny", 1e-05),
        ("holdout", "accuracy", 0.25),
    ]


def test_page() -> None:
    """People find what the record tells, not only what is finite."""
    card = model_card(VERSION)

    assert "\n# fraud 3\n\nFinds fraud in e-mails. Mostly.\n" in card
    shown = cells(card)
    pairs = dict(pairwise(shown))
    assert pairs["loss"] == "NaN"
    assert pairs["lr"] == "0.1"
    assert pairs["numpy"] == "2.4.6"
    assert pairs["code"] == "ab" * 20 + " and changes"
    assert pairs["created"] == "2023-11-14T22:13:20Z"
    assert pairs["MLmodel"] == "3"
    assert "age: double" in shown


def test_transformers() -> None:
    """A model of the Hub that was tuned is named as the Hub names it."""
    flavor = {"task": "text-generation", "source_model_name": "org/base-7b"}
    version = replace(VERSION, facts={"flavors": {"transformers": flavor}})

    read = front(model_card(version))

    assert (read["base_model"], read["pipeline_tag"]) == (["org/base-7b"], "text-generation")


def test_nothing_known() -> None:
    """A record that tells nothing makes a card that is short."""
    version = Version(digest_of([]), "", "", 0, 0, "", Origin("", ""), ())

    assert front(model_card(version)) == {"tags": ["mlflow"]}


def test_other_licences() -> None:
    """A licence that has no identifier is called as it was declared."""
    read = front(model_card(replace(VERSION, metadata={"licence": "ours: alone"})))

    assert (read["license"], read["license_name"]) == ("other", "ours: alone")


@pytest.mark.parametrize("text", ["1e3", "0o7", "012", "yes", "null", "2024-01-01", "a: b"])
def test_releases_of_yaml(text: str) -> None:
    """What one release of YAML takes for text and another for something else is quoted."""
    version = replace(VERSION, facts={"flavors": {"transformers": {"task": text}}})

    assert f'\npipeline_tag: "{text}"\n' in model_card(version)


def test_long_tables() -> None:
    """Of very many parameters some are shown, and the rest is counted."""
    version = replace(VERSION, facts={"params": {f"p{number}": "1" for number in range(999)}})

    assert "\n\nand 799 more\n" in model_card(version)


def hostile(text: str) -> Version:
    """A version that tells *text* wherever it can."""
    return replace(
        VERSION,
        name=text,
        number=0,
        author=text,
        metadata={"license": text, "description": text},
        facts={
            "metrics": {text: 0.5, "m": text},
            "params": {text: text},
            "flavors": {text: {}, "transformers": {"task": text, "source_model_name": text}},
            "datasets": [{"name": text, "b3": text, "context": text}],
            "evaluations": [{"metrics": {text: 0.25}, "dataset": {"name": text}}],
            "environment": {"python": text, "packages": {text: text}},
            "git": {"commit": text},
            "signature": {"inputs": [{"type": text, "name": text}]},
        },
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile(text: str) -> None:
    """Anybody's text is shown as the text it is: no markup, no link, no end of the front matter."""
    card = model_card(hostile(text))
    seen = facts.text(text)

    read = front(card)
    assert read.keys() <= {
        *("license", "license_name", "library_name", "pipeline_tag", "base_model"),
        *("datasets", "tags", "model-index"),
    }
    if seen and seen.lower() not in {"mit", "isc"}:
        assert read["license_name"] == read["pipeline_tag"] == seen
        assert read["model-index"][0]["name"] == seen
        assert cells(card).count(seen) >= 8
    page = PAGES.render(card.split("\n---\n", 1)[1])
    assert set(re.findall(r"<([a-z0-9]+)", page)) <= {
        *("h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "code"),
    }
    assert page.count("<h1>") == 1


@given(text=st.text(max_size=12) | st.text("ab|`\\*_<>&[]()!#-.: \n\"'~", max_size=12))
@settings(max_examples=60)
def test_any_text(text: str) -> None:
    """So it is with any text."""
    test_hostile(text)


@given(
    told=st.dictionaries(
        st.sampled_from(sorted(VERSION.facts)), st.integers() | st.lists(st.none())
    )
)
def test_other_kinds(told: dict[str, Any]) -> None:
    """Facts of another kind than they should be are left out."""
    assert front(model_card(replace(VERSION, facts=told)))["license"] == "apache-2.0"
