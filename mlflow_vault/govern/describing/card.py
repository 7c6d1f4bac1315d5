"""A version as a model card: a README.md as Hugging Face lays it out.

    ---
    license: apache-2.0         what programs read: YAML between two lines
    model-index: ...
    ---
    # fraud 3                   what people read

Names, parameters and metrics are anybody's text.  In the YAML each is quoted as JSON quotes; below
it each is code, or has every mark escaped: so none is markup, a link, or the end of its table.

Pure: no I/O.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from mlflow_vault.govern.describing import facts
from mlflow_vault.govern.describing.facts import mapping, rows, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.version import Version

# Flavors whose library has another name there; pyfunc wraps any of them.
_LIBRARIES: Final = {
    "pytorch": "pytorch",
    "sentence_transformers": "sentence-transformers",
    "tensorflow": "tf-keras",
}
_ANY: Final = "python_function"
_HUB: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_BARE: Final = re.compile(r"[A-Za-z][A-Za-z_-]*")
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_SAFE_IN_CODE: Final = re.compile(r"[^`|\\]+")
# All but letters, digits, and what stands among words as prose has it: "ends. Then", "e-mail".
_MARKS: Final = re.compile(r"(?<=\d)\.|\.(?=\S)|(?<!\w)-|-(?!\w)|[^\w ,.-]|_")
_MOST: Final = 200  # lines of one table; the rest is counted


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    """Quotes every text that is not a plain word, so that all releases of YAML agree on it."""


def _quoted(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = _BARE.fullmatch(value) and value.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_Dumper.add_representer(str, _quoted)


def model_card(version: Version) -> str:
    """Return the card of *version*, in Markdown with its front matter."""
    front = yaml.dump(
        _front(version), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**6
    )
    parts = [f"---\n{front}---", f"# {_escaped(_title(version))}"]
    if description := text(mapping(version.metadata).get("description")):
        parts.append(_escaped(description))
    for title, heads, lines in _tables(version):
        if lines:
            parts.append(_table(title, heads, lines))
    return "\n\n".join(parts) + "\n"


def _title(version: Version) -> str:
    name = text(version.name) or "model"
    return f"{name} {version.number}" if version.number else name


def _front(version: Version) -> dict[str, Any]:
    flavors = [name for name in mapping(version.facts.get("flavors")) if name != _ANY]
    library = text(flavors[0]) if flavors else ""
    transformer = mapping(mapping(version.facts.get("flavors")).get("transformers"))
    task = text(transformer.get("task"))
    data = [text(each.get("name")) for each in rows(version.facts.get("datasets"))]
    licence, known = facts.licence(version)
    told = {
        "license": licence.lower().removesuffix("-only") if known else "other" if licence else "",
        "license_name": "" if known else licence,
        "library_name": _LIBRARIES.get(library, library),
        "pipeline_tag": task,
        "base_model": _above(version, transformer),
        "datasets": list(dict.fromkeys(name for name in data if _HUB.fullmatch(name))),
        "tags": ["mlflow"],
        "model-index": _index(version, task),
    }
    return {name: value for name, value in told.items() if value not in ("", [])}


def _above(version: Version, transformer: dict[str, Any]) -> list[str]:
    """What the model was made from: the Hub's name where one is known, else versions."""
    named = text(transformer.get("source_model_name"))
    if _HUB.fullmatch(named):
        return [named]
    return [str(parent) for parent in version.parents]


def _index(version: Version, task: str) -> list[dict[str, Any]]:
    """The metrics as the Hub's leaderboards read them: finite ones, by dataset."""
    data = rows(version.facts.get("datasets"))
    own = data[0] if len(data) == 1 else {}
    measured = [(own, version.facts.get("metrics"))]
    measured += [
        (mapping(each.get("dataset")), each.get("metrics"))
        for each in rows(version.facts.get("evaluations"))
    ]
    scores: dict[str, dict[str, float | int]] = {}
    for dataset, metrics in measured:
        for metric, told in mapping(metrics).items():
            value = facts.number(told)
            if text(metric) and value is not None:
                name = text(dataset.get("name")) or "unknown"
                scores.setdefault(name, {})[text(metric)] = value
    results = [
        {
            "task": {"type": task or "other"},
            "dataset": {"type": name, "name": name},
            "metrics": [
                {"type": metric, "name": metric, "value": value} for metric, value in found.items()
            ],
        }
        for name, found in scores.items()
    ]
    return [{"name": _title(version), "results": results}] if results else []


_Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]


def _tables(version: Version) -> Iterator[_Table]:
    told = version.facts
    git, run = mapping(told.get("git")), mapping(told.get("run"))
    code = text(git.get("commit")) + (" and changes" if git.get("dirty") is True else "")
    yield (
        "Origin",
        ("what", ""),
        _known(
            ("digest", str(version.digest)),
            ("created", facts.moment(version.created)),
            ("author", version.author),
            ("run", version.origin.run_id),
            ("experiment", run.get("experiment")),
            ("code", code),
            ("made from", ", ".join(map(str, version.parents))),
        ),
    )
    yield "Metrics", ("metric", "value"), list(facts.metrics(told.get("metrics")).items())
    yield (
        "Evaluations",
        ("dataset", "metric", "value"),
        [
            (text(mapping(each.get("dataset")).get("name")), *score)
            for each in rows(told.get("evaluations"))
            for score in facts.metrics(each.get("metrics")).items()
        ],
    )
    yield "Parameters", ("parameter", "value"), _known(*mapping(told.get("params")).items())
    yield (
        "Data",
        ("dataset", "used for", "digest"),
        [
            (
                text(each["name"]),
                text(each.get("context")),
                text(each.get("b3") or each.get("digest")),
            )
            for each in rows(told.get("datasets"))
            if text(each.get("name"))
        ],
    )
    for title, part in (("Inputs", "inputs"), ("Outputs", "outputs")):
        yield title, (title[:-1].lower(),), [(each,) for each in facts.columns(version, part)]
    environment = mapping(told.get("environment"))
    yield (
        "Environment",
        ("package", "version"),
        _known(("python", environment.get("python")))
        + [
            (text(name), text(wanted))
            for name, wanted in mapping(environment.get("packages")).items()
        ],
    )
    yield (
        "Files",
        ("file", "bytes", "SHA-256"),
        [(text(file.path), str(file.size), file.sha256.hex()) for file in version.files],
    )


def _known(*told: tuple[str, Any]) -> list[tuple[str, ...]]:
    return [(text(name), text(value)) for name, value in told if text(name) and text(value)]


def _table(title: str, heads: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    body = [tuple(map(_shown, line)) for line in lines[:_MOST]]
    table = "\n".join(f"| {' | '.join(line)} |" for line in (heads, ("---",) * len(heads), *body))
    more = f"\n\nand {len(lines) - _MOST} more" if len(lines) > _MOST else ""
    return f"## {title}\n\n{table}{more}"


def _shown(line: str) -> str:
    """Spell one line of anybody's text as code where that holds, else with its marks escaped."""
    return f"`{line}`" if _SAFE_IN_CODE.fullmatch(line) else _escaped(line)


def _escaped(line: str) -> str:
    """Spell text so that no mark of it is Markdown's or HTML's."""
    return _MARKS.sub(lambda mark: f"&#{ord(mark[0])};", line)
