"""Filters as people spell them for MLflow's searches, and such with slips, for Hypothesis."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

KEYS: Final = ["a", "b.c", "val/f1", "x y", "mlflow.user", "order"]
TEXTS: Final = ["", "x", "X", "xy", "it's", "a\nb", "é", "50%", "a_b", "12", "3"]
PROMPT: Final = "mlflow.prompt.is_prompt"

keyed = st.sampled_from(KEYS)
short = st.sampled_from(TEXTS)


@st.composite
def spelled_keys(draw: st.DrawFn, key: str) -> str:
    """Spell a key in one of the ways that MLflow takes."""
    plain = key.replace(".", "").isidentifier()
    quotes = ["`", '"', ""] if plain else ["`", '"']
    quote = draw(st.sampled_from(quotes))
    return f"{quote}{key}{quote}"


@st.composite
def texts_in_quotes(draw: st.DrawFn) -> str:
    """Spell text in quotes; what stands between them is taken as it is."""
    text = draw(short | st.sampled_from(["%", "x%", "%y", "_", "%\n%", "X", "false", "true"]))
    quote = draw(st.sampled_from(["'", '"'])) if "'" not in text else '"'
    return f"{quote}{text}{quote}"


lists = st.lists(short.map(repr), min_size=1, max_size=3).map(lambda items: f"({', '.join(items)})")
numbers = st.sampled_from(
    ["0", "1", "-1", ".5", "-.5", "3.", "1e5", "-1E5", "0.50", "007", "1e400", "3.0", "2.5"]
)
orders = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
likes = st.sampled_from(["=", "!=", "LIKE", "like", "ILIKE", "ilike"])
members = st.sampled_from(["IN", "in", "NOT IN", "not in"])
nulls = st.sampled_from(["IS NULL", "is null", "IS NOT NULL", "Is Not Null"])


@st.composite
def run_conditions(draw: st.DrawFn) -> str:
    """Spell a condition of a search for runs."""
    key = draw(keyed.flatmap(spelled_keys))
    kind = draw(st.sampled_from("mpptttaisd"))
    if kind == "m":
        return f"{draw(st.sampled_from(['metric', 'metrics', '`metrics`']))}.{key}" + draw(
            st.tuples(orders, numbers).map(lambda pair: f" {pair[0]} {pair[1]}")
        )
    texts = st.tuples(likes, texts_in_quotes()).map(lambda pair: f" {pair[0]} {pair[1]}")
    listed = st.tuples(members, lists).map(lambda pair: f" {pair[0]} {pair[1]}")
    counted = st.tuples(orders, numbers).map(lambda pair: f"{pair[0]}{pair[1]}")
    if kind in "pt":
        heads = ["tag", "tags"] if kind == "t" else ["param", "params", "parameter", "parameters"]
        tail = draw(texts | nulls.map(lambda null: f" {null}"))
        return f"{draw(st.sampled_from(heads))}.{key}{tail}"
    if kind == "a":
        name = draw(
            st.sampled_from(["status", "user_id", "run.run_id", "`run name`", "attr.run_name"])
        )
        return name + draw(texts)
    if kind == "i":
        return draw(st.sampled_from(["run_id", "attributes.`run_id`"])) + draw(listed)
    if kind == "s":
        names = ["start_time", "created", "attribute.end_time", "Created"]
        return draw(st.sampled_from(names)) + draw(counted)
    head = draw(st.sampled_from(["dataset", "datasets"]))
    return f"{head}.{draw(st.sampled_from(['name', 'digest', 'context']))}" + draw(texts | listed)


@st.composite
def version_conditions(draw: st.DrawFn) -> str:
    """Spell a condition of a search for model versions."""
    key = draw((keyed | st.just(PROMPT)).flatmap(spelled_keys))
    texts = st.tuples(likes, texts_in_quotes()).map(lambda pair: f" {pair[0]} {pair[1]}")
    listed = st.tuples(members, lists).map(lambda pair: f" {pair[0]} {pair[1]}")
    finite = numbers.filter(lambda number: "400" not in number)  # a version's number is whole
    counted = st.tuples(orders, finite | st.just("'12'")).map(" ".join)
    forms: list[st.SearchStrategy[str]] = [
        texts.map(lambda tail: f"tags.{key}{tail}"),
        texts.map(lambda tail: f"attribute.name{tail}"),
        (texts | listed).map(lambda tail: f"run_id{tail}"),
        listed.map(lambda tail: f"name{tail}"),
        texts.map(lambda tail: f"source_path{tail}"),
        counted.map(lambda tail: f"version_number {tail}"),
    ]
    return draw(st.one_of(forms))


joins = st.sampled_from([" AND ", " and ", "\nAND\t"])
PIECES: Final = [
    *("AND", "OR", "NOT", "IN", "LIKE", "IS", "NULL", "(", ")", ",", ";", ".", "-", "*", "+"),
    *("=", "!=", "<", ">=", "==", "<>", "'x'", '"x"', "'it''s'", "`x y`", "'", "1", ".5", "-1"),
    *("metrics.a", "params.", "tags.`x y`", "tags.b.c", "run_id", "dataset.name", "name", "a"),
    *("status", "start_time", "1e5", "7d", "now", "true", "--", "/*", "[x]", "é", "\n", "$"),
]


@st.composite
def joined(draw: st.DrawFn, conditions: st.SearchStrategy[str]) -> str:
    """Join a few conditions."""
    parts = draw(st.lists(conditions, min_size=1, max_size=3))
    return "".join(part + draw(joins) for part in parts[:-1]) + parts[-1]


@st.composite
def disturbed(draw: st.DrawFn) -> str:
    """Spell a filter of which a word or two are left out, replaced, or too many."""
    words = draw(joined(run_conditions())).split(" ")
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(words)))
        words[at : at + draw(st.sampled_from([0, 1]))] = draw(
            st.lists(st.sampled_from(PIECES), max_size=1)
        )
    return " ".join(words)
