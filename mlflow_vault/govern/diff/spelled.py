"""A diff for people: one line, a terminal, a notebook.

Names come from files and registries, so they may try to steer a terminal or a browser: what cannot
be printed is escaped in the one, and everything is in the other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.differences import Change

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlflow_vault.decide.differences import FileChange, ValueChange
    from mlflow_vault.decide.pairs import Place
    from mlflow_vault.govern.diff.changes import Diff, TensorChange
    from mlflow_vault.govern.diff.measures import Numbers

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_STEP: Final = 1000
_LONGEST: Final = 60  # characters of a value or a name
_TOLD: Final = 3  # values in a summary
_FIRST: Final = ("params", "environment", "metrics", "metadata")  # of which a summary tells
_IN_HTML: Final = 200  # rows of a table
_SIGNS: Final = {
    Change.ADDED: "+",
    Change.REMOVED: "-",
    Change.RENAMED: ">",
    Change.UNREAD: "?",
    Change.INCOMPARABLE: "!",
}


@dataclass(frozen=True, slots=True)
class _Group:
    """Changes of one kind of thing: a heading, and a sign, a name and a text for each."""

    title: str
    rows: Sequence[tuple[str, str, str]]


def summary(diff: Diff) -> str:
    """Say the most of *diff* in one line."""
    if diff.is_empty:
        return "nothing differs"
    parts = [", ".join(part for part in (_tensors(diff), _largest(diff), _shared(diff)) if part)]
    told = [value for section in _FIRST for value in diff.values if value.section == section]
    parts += [f"{_shown(value.name)} {_arrow(value)}" for value in told[:_TOLD]]
    left = len(diff.values) - len(told[:_TOLD])
    if left:
        parts.append(
            _count(left, "more value" if told else "value")
            + (" differ" if left > 1 else " differs")
        )
    return "; ".join(part for part in parts if part)


def lines(diff: Diff, limit: int) -> list[str]:
    """Spell *diff* for a terminal; of each group *limit* lines at most."""
    spelled = [f"{_shown(diff.before)} -> {_shown(diff.after)}: {summary(diff)}"]
    for group in _groups(diff):
        shown = group.rows[:limit]
        spelled += ["", group.title]
        width = min(_LONGEST, max((len(name) for _, name, _ in shown), default=0))
        spelled += [f"  {sign} {name:{width}}  {text}".rstrip() for sign, name, text in shown]
        if len(group.rows) > limit:
            spelled.append(f"  ... and {len(group.rows) - limit:,} more")
    return spelled


def html(diff: Diff) -> str:
    """Spell *diff* for a notebook."""
    names = f"{escape(_shown(diff.before))} &rarr; {escape(_shown(diff.after))}"
    parts = [f"<p><b>{names}</b>: {escape(summary(diff))}</p>"]
    for group in _groups(diff):
        rows = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
            for row in group.rows[:_IN_HTML]
        )
        more = len(group.rows) - _IN_HTML
        rows += f"<tr><td colspan=3>... and {more:,} more</td></tr>" if more > 0 else ""
        parts.append(
            f"<details open><summary>{escape(group.title)}</summary><table>{rows}</table></details>"
        )
    return f"<div>{''.join(parts)}</div>"


def _groups(diff: Diff) -> Iterable[_Group]:
    if diff.files:
        title = f"files: {len(diff.files):,} differ, {diff.unchanged_files:,} unchanged"
        yield _Group(title, [_file_row(file) for file in diff.files])
    sections = dict.fromkeys(value.section for value in diff.values)
    for section in sections:
        rows = [_value_row(value) for value in diff.values if value.section == section]
        yield _Group(section, rows)
    if diff.tensors:
        counts = diff.tensor_counts
        told = ", ".join(
            f"{counts[change]:,} {change.value}" for change in Change if counts[change]
        )
        yield _Group(f"tensors: {told}", [_tensor_row(tensor) for tensor in diff.tensors])


def _file_row(change: FileChange) -> tuple[str, str, str]:
    before, after = change.before, change.after
    if change.change is Change.RENAMED and before:
        return _sign(change.change), _shown(change.path), f"was {_shown(before.path)}"
    sizes = [_size(file.size) for file in (before, after) if file]
    return _sign(change.change), _shown(change.path), " -> ".join(dict.fromkeys(sizes))


def _value_row(value: ValueChange) -> tuple[str, str, str]:
    return _sign(value.change), _shown(".".join(value.keys)), _arrow(value)


def _tensor_row(change: TensorChange) -> tuple[str, str, str]:
    name = change.place.tensor.name or f"at byte {change.place.tensor.start:,}"
    types = [_type(place, change.numbers) for place in (change.before, change.after) if place]
    parts = [" -> ".join(dict.fromkeys(types))]
    if change.numbers:
        parts += _numbers(change.numbers)
    elif change.change not in {Change.ADDED, Change.REMOVED, Change.CHANGED}:
        parts.append(change.change.value)
    if change.reason:
        parts.append(change.reason)
    paths = [place.path for place in (change.before, change.after) if place]
    where = " -> ".join(map(_shown, dict.fromkeys(paths)))
    return _sign(change.change), _shown(name), f"{', '.join(parts)}  ({where})"


def _type(place: Place, numbers: Numbers | None) -> str:
    element = place.tensor.element
    name = numbers.read_as if numbers else element.name if element else "bytes"
    shape = _shorten(str(list(place.tensor.shape)))
    return f"{name} {shape}"


def _numbers(numbers: Numbers) -> list[str]:
    share = f"{100 * numbers.changed / numbers.elements:.3g} %" if numbers.elements else "0"
    parts = [f"{numbers.changed:,} of {numbers.elements:,} changed ({share})"]
    if numbers.max_delta is not None:
        parts.append(f"max |delta| {numbers.max_delta:.3g}")
    if numbers.relative_l2 is not None:
        parts.append(f"relative L2 {numbers.relative_l2:.3g}")
    if numbers.cosine is not None:
        parts.append(f"cosine {numbers.cosine:.6g}")
    if numbers.odd_before or numbers.odd_after:
        parts.append(f"NaN or infinite {numbers.odd_before:,} -> {numbers.odd_after:,}")
    return parts


def _tensors(diff: Diff) -> str:
    """How many tensors became what: ``2 of 40 tensors changed, 1 added``."""
    counts = diff.tensor_counts
    total = sum(counts.values())
    if not total:
        return f"{_count(len(diff.files), 'file')} changed" if diff.files else ""
    kinds = [change for change in Change if counts[change] and change is not Change.UNCHANGED]
    if not kinds:
        return f"all {_count(total, 'tensor')} unchanged"
    first, *others = sorted(kinds, key=lambda change: change is not Change.CHANGED)
    told = [f"{counts[first]:,} of {_count(total, 'tensor')} {first.value}"]
    return ", ".join(told + [f"{counts[change]:,} {change.value}" for change in others])


def _largest(diff: Diff) -> str:
    deltas = [
        tensor.numbers.max_delta
        for tensor in diff.tensors
        if tensor.numbers and tensor.numbers.max_delta is not None
    ]
    return f"max |delta| {max(deltas):.3g}" if deltas else ""


def _shared(diff: Diff) -> str:
    if not diff.sizes.after or not diff.files:
        return ""
    # Rounded down: what is not all must not be called 100 %.
    tenths = 1000 * diff.sizes.shared_after // diff.sizes.after
    return f"{tenths / 10:g} % of bytes unchanged"


def _arrow(value: ValueChange) -> str:
    if value.change is Change.ADDED:
        return f"added: {_text(value.after)}"
    if value.change is Change.REMOVED:
        return f"removed: {_text(value.before)}"
    return f"{_text(value.before)} -> {_text(value.after)}"


def _text(value: Any) -> str:
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return _shown(value)


def _shown(text: str) -> str:
    """Spell *text* so that it stays on its line, in bounds, and cannot steer a terminal."""
    text = _shorten(text)
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _shorten(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2 - 2
    return f"{text[:half]}...{text[-half:]}"


def _sign(change: Change) -> str:
    return _SIGNS.get(change, "~")


def _size(size: float) -> str:
    unit = 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size /= _STEP
        unit += 1
    return f"{size:.1f} {_UNITS[unit]}" if unit else f"{size:.0f} {_UNITS[0]}"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
