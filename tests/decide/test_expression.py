"""The filter language: what is read, what is refused, and how it says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.decide.expression import SEARCH, Field, Type, fields, parse
from mlflow_vault.decide.expression.parser import MAX_CONDITIONS, MAX_LENGTH
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.testing.filters import joined, run_conditions, version_conditions

POLICY = SEARCH.extended(
    {"evidence": {"age": Type.DURATION}, "attribute": {"signed": Type.FLAG}}, scopes={"baseline"}
)

READ = {
    "": "",
    "metrics.f1 > .9": "metrics.f1 > 0.9",
    "metrics.a>1 or metrics.b>2 and not metrics.c>3": (
        "metrics.a > 1.0 OR (metrics.b > 2.0 AND NOT metrics.c > 3.0)"
    ),
    "NOT NOT (held)": "NOT NOT held",
    "NOT (metrics.a > 1 OR held)": "NOT (metrics.a > 1.0 OR held)",
    "metrics.a > 1 AND (metrics.b > 2 AND (metrics.c > 3))": (
        "metrics.a > 1.0 AND metrics.b > 2.0 AND metrics.c > 3.0"
    ),
    "metrics.`val/f1` >= metrics.b * 2 - 0.01": "metrics.`val/f1` >= metrics.b * 2 - 0.01",
    "0.9 < metrics.f1": "metrics.f1 > 0.9",
    "params.depth IN (3, -5.5)": "params.depth IN (3.0, -5.5)",
    "params.lr < 0.01": "params.lr < 0.01",
    "tags.a NOT LIKE 'x%'": "NOT tags.a LIKE 'x%'",
    "metrics.a IS NOT NULL": "metrics.a IS NOT NULL",
    "version.held = false": "NOT held",
    "git_dirty != false": "git_dirty",
    "created > now - 7d": "created > now - 604800000ms",
    "now - created < 1.5h": "now - created < 5.4e+06ms",
    "created >= '2026-03-01T12:00Z'": "created >= 1772366400000",
    "version_number = '3'": "number = 3",
    "version_number > 2.5": "number > 2",
    "'x' = name": "name = 'x'",
    "metadata.`owner` = 'x'": "metadata.owner = 'x'",
    f"dataset.digest = 'b3:{'0' * 64}'": f"dataset.b3 = 'b3:{'0' * 64}'",
    "dataset.digest = 'b3:00'": "dataset.digest = 'b3:00'",
    "tags.`mlflow.prompt.is_prompt` = 'false'": (
        "tags.`mlflow.prompt.is_prompt` = 'false' OR tags.`mlflow.prompt.is_prompt` IS NULL"
    ),
    "tags.mlflow.source.name = 'x'": "tags.`mlflow.source.name` = 'x'",
}


@pytest.mark.parametrize(("text", "spelled"), READ.items())
def test_read(text: str, spelled: str) -> None:
    """A filter is read, and spelled in one way."""
    assert str(parse(text)) == spelled
    assert str(parse(spelled)) == spelled


def test_policy() -> None:
    """A policy asks for more names, and for those of what a version is compared with."""
    text = (
        "metrics.`val/f1` >= baseline.metrics.`val/f1` - 0.01 AND tags.pii_review = 'done' "
        "AND version.signed AND evidence.age < 30d"
    )

    expression = parse(text, POLICY, strict=True)

    asked = list(fields(expression))
    assert Field("metric", "val/f1", "baseline") in asked
    assert Field("evidence", "age") in asked
    assert str(parse(str(expression), POLICY)) == str(expression)


REFUSED = {
    "metrics.f1 >": ("expected a number, text in quotes or a name", 13),
    "metrcs.f1 > 1": ("there is no metrcs.<name>; did you mean metrics?", 1),
    "metrics.f1 > 1 AND nam = 'x'": ("there is nothing called 'nam'; did you mean name?", 20),
    "dataset.digst = 'x'": ("there is no dataset called 'digst'; did you mean digest?", 1),
    "status = FINISHED": ("text is written in quotes: 'FINISHED'", 10),
    "metrics.f1 == 1": ("there is no ==; did you mean =?", 12),
    "metrics.f1 <> 1": ("there is no <>; did you mean !=?", 12),
    "metrics.val/f1 > 1": ("unexpected '/'; a name with it is quoted: metrics.`val/f1`", 12),
    "params.lr < '0.1'": ("text has no order: for a number, leave the quotes out", 13),
    "metrics.f1 > '0.9'": ("metrics.f1 is a number: compare it with one without quotes", 14),
    "name = 3": ("name is text: compare it with text in quotes", 8),
    "created > 7d": ("created is a time and 604800000ms is a duration", 11),
    "metrics.a > 7x": ("'x' is no unit of a duration; known are ms, s, m, h, d, w", 14),
    "created > 'soon'": ("'soon' is no time", 11),
    "(metrics.a > 1": ("expected ) for the ( at column 1", 15),
    "metrics.a > 1)": ("expected AND, OR or the end, not ')'", 14),
    "metrics.a > 1 OR": ("expected a condition", 17),
    "NOT": ("expected a name", 4),
    "tags.a = 'x": ("the ' is never closed", 10),
    "metrics.a > 1 -- x": ("comments are no part of a filter", 15),
    "metrics.a": ("a comparison is missing", 10),
    "1 < 2": ("a comparison needs a name", 5),
    "params.a IN ('x', 3)": ("a list holds text or numbers, not both", 13),
    "params.a IN ()": ("expected values: the list is empty", 13),
    "params.a IN (x)": ("expected text in quotes or a number: 'x'", 14),
    "held = 'true'": ("held is true or false: compare it with = true or = false", 8),
    "metrics.a = true": ("metrics.a is a number, not true or false", 13),
    "alias = tags.a": ("alias may have several values: compare it with a constant", 9),
    "metrics.a LIKE 3": ("LIKE needs a pattern in quotes behind it", 16),
    "metrics.a IS 3": ("expected NULL or NOT NULL", 14),
    "metrics.a NOT = 3": ("expected LIKE, ILIKE or IN behind NOT", 15),
    "now IS NULL": ("expected a name here", 1),
    "params.a IN ('\\N{no such}')": ("there is no such character", 14),
    "metrics.a > -tags.a": ("expected a number behind -", 14),
    "version_number = 'x'": ("a version's number is whole, and 'x' is not", 18),
    "metrics.a > 1; name = 'x'": ("unexpected ';'", 14),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.items())
def test_refused(text: str, said: tuple[str, int]) -> None:
    """What cannot be read is refused, with what was expected and a caret below the column."""
    message, column = said

    with pytest.raises(InvalidInputError) as caught:
        parse(text)

    first, shown, caret = str(caught.value).splitlines()
    assert first.startswith(message)
    assert first.endswith(f"column {column}")
    assert shown.strip() == text.strip()
    assert caret.index("^") == column - 1 + len(shown) - len(shown.lstrip())


def test_long_text() -> None:
    """Of a long filter of several lines, what is near the column is shown, and the line said."""
    text = "metrics.a > 1 AND\n" + "tags.`x` = 'y' AND " * 20 + "metrics.\x1b[31m > 2"

    with pytest.raises(InvalidInputError, match="line 2, column 388") as caught:
        parse(text)

    assert max(map(len, str(caught.value).splitlines())) < 120
    assert "\x1b" not in str(caught.value)


LOOSE = ["held AND", "AND held", "tags.a = 'x' AND AND tags.b = 'y'", "AND"]
LOOSE += ["tags.a = 'x' tags.b = 'y'", "run_id IN ('a' 'b')"]


@pytest.mark.parametrize("text", LOOSE)
def test_loose(text: str) -> None:
    """What MLflow skips is skipped in its own language alone, and never in a policy."""
    with pytest.raises(InvalidInputError, match="expected"):
        parse(text, strict=True)
    with pytest.raises(InvalidInputError, match="expected"):
        parse(f"{text} AND (held)")


def test_loose_of_mlflows() -> None:
    """Conditions that are not properly joined mean what MLflow makes of them."""
    assert str(parse("tags.a = 'x' tags.b = 'y' AND")) == "tags.a = 'x' AND tags.b = 'y'"
    assert parse("AND") == parse("")


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000,
        "(" * 10_000 + "held" + ")" * 10_000,
        "NOT " * 10_000 + "held",
        "held AND " * (MAX_CONDITIONS + 1) + "held",
        "metrics.a > 1" + " + 1" * 5_000,
        "metrics.a > 1" + " * 1" * 5_000,
        f"number IN ({', '.join(['1'] * 10_001)})",
        "run_id IN " + "(" * 9_999 + "'a'",
        " " * (MAX_LENGTH + 1),
        "metrics.a > " + "9" * 150_000,
        'tags.a = "' + "\\'" * 90_000,
        "tags." + "`" * 9_999,
        "a." * 50_000,
        f"tags.a LIKE '{'%a' * 1_001}'",
    ],
    ids=lambda text: text[:12],
)
def test_bounds(text: str) -> None:
    """No filter is too deep or too long for the reader: it says so, without a RecursionError."""
    with pytest.raises(InvalidInputError) as caught:
        parse(text)

    assert len(str(caught.value)) < 500


@given(text=st.text() | st.text("metrics.a('\"`)<=> ANDORT1.-*,\\\n", max_size=40))
def test_anything(text: str) -> None:
    """Any text is a filter or an InvalidInputError."""
    try:
        spelled = str(parse(text))
    except InvalidInputError:
        return

    assert isinstance(spelled, str)


@given(text=joined(run_conditions() | version_conditions()))
def test_spelling(text: str) -> None:
    """What is spelled for people is read as the same again."""
    expression = parse(text)

    assert parse(str(expression)) == expression
