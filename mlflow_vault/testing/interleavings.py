"""A model checker: runs small programs on one store in every order there is.

A program is a generator that yields one request at a time and is sent its answer, so a protocol
is written down as it would be described::

    def writer():
        yield Put("intents/w", "here")
        condemned = yield Get("notices/c")
        ...

`explore` takes every program one request further from every state that can be reached, and asks
of each state whether it is broken.  A process that crashes is one that is never taken further,
so crashes are among the orders; so is a process that sleeps for a year.

A program is deterministic, hence what it was answered is all that it knows: a state is the store
and the answers so far.  Programs that have ended are alike.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Mapping, Sequence

    Program = Callable[[], Generator["Request", Any, None]]


class Request(NamedTuple):
    """One request to the store, as `Get` and the others make it."""

    name: str
    key: str
    value: Hashable = None


def Get(key: str) -> Request:  # noqa: N802 - reads as what it makes
    """Answered with what is at *key*, None if nothing is."""
    return Request("get", key)


def Put(key: str, value: Hashable) -> Request:  # noqa: N802
    """Put *value* at *key*."""
    return Request("put", key, value)


def Create(key: str, value: Hashable) -> Request:  # noqa: N802
    """Put *value* at *key* if nothing is there; answered with whether it was put."""
    return Request("create", key, value)


def Delete(key: str) -> Request:  # noqa: N802
    """Remove what is at *key*."""
    return Request("delete", key)


def Next(prefix: str, after: str) -> Request:  # noqa: N802
    """Answered with the first key below *prefix* behind the key *after*, None if there is none."""
    return Request("next", prefix, after)


def Choose(*options: Hashable) -> Request:  # noqa: N802
    """Answered with each of *options*: what nobody decides, such as whether a response is lost."""
    return Request("choose", "", options)


def All(prefix: str) -> Request:  # noqa: N802
    """Answered with all keys below *prefix*, as they are at this moment."""
    return Request("all", prefix)


def listing(prefix: str) -> Generator[Request, str | None, tuple[str, ...]]:
    """List the keys below *prefix* in order, each in a request of its own.

    So a listing is no snapshot: it shows what was there throughout, and may or may not show
    what came or went meanwhile.
    """
    found: tuple[str, ...] = ()
    while (key := (yield Next(prefix, found[-1] if found else ""))) is not None:
        found = (*found, key)
    return found


class Step(NamedTuple):
    """One request of one program, and what it was answered."""

    program: str
    request: Request
    answer: Hashable


@dataclass(frozen=True, slots=True)
class Exploration:
    """What was found.

    Attributes:
        states: How many states were looked at.
        trace: The fewest steps to a broken state; None if no state is broken.
        ends: The stores that are left when all programs have ended.
    """

    states: int
    trace: tuple[Step, ...] | None
    ends: tuple[Mapping[str, Hashable], ...]


def explore(
    programs: Mapping[str, Program],
    start: Mapping[str, Hashable],
    broken: Callable[[Mapping[str, Hashable]], bool],
) -> Exploration:
    """Run *programs* by name in every order on a store that first holds *start*.

    Args:
        programs: Each is called many times and must do the same each time.
        start: What the store holds at first.
        broken: Whether a store is what must never be.
    """
    minds = [_Mind(program) for program in programs.values()]
    worlds = _Worlds(tuple(sorted(start.items())), minds)
    first: _State = (0,) * (1 + len(minds))  # the number of the store, then a place for each mind
    reached: dict[_State, tuple[_State, int] | None] = {first: None}
    waiting = deque([first])
    judged: dict[int, bool] = {}
    ends: set[int] = set()
    while waiting:
        state = waiting.popleft()
        number = state[0]
        if number not in judged:
            judged[number] = broken(worlds.store(number))
        if judged[number]:
            return Exploration(len(reached), _trace(list(programs), minds, reached, state), ())
        awake = [index for index in range(1, len(state)) if state[index] != _ENDED]
        if not awake:
            ends.add(number)
        # What is chosen concerns nobody else, so its place among the others' requests does not
        # matter, and it is enough to let it go first.
        choosing = [index for index in awake if minds[index - 1].chooses(state[index])]
        for index in choosing[:1] or awake:
            for after, place in worlds.following(number, index - 1, state[index]):
                following = (after, *state[1:index], place, *state[index + 1 :])
                if following not in reached:
                    reached[following] = (state, index)
                    waiting.append(following)
    return Exploration(len(reached), None, tuple(worlds.store(end) for end in ends))


_State = tuple[int, ...]
_Store = tuple[tuple[str, "Hashable"], ...]  # sorted
_ENDED: Final = -1


class _Mind:
    """The places a program can be in, numbered: each is what it was answered until there."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._answers: list[tuple[Hashable, ...]] = []
        self._requests: list[Request] = []
        self._known: dict[tuple[int, Hashable], int] = {}
        self._arrive(())

    def request(self, place: int) -> Request:
        """What the program asks for at *place*."""
        return self._requests[place]

    def chooses(self, place: int) -> bool:
        """Whether what it asks for at *place* is left to chance."""
        return self._requests[place].name == "choose"

    def told(self, place: int, answer: Hashable) -> int:
        """Where the program is when it is answered *answer* at *place*."""
        found = self._known.get((place, answer))
        if found is None:
            found = self._arrive((*self._answers[place], answer))
            self._known[place, answer] = found
        return found

    def answer(self, place: int, following: int) -> Hashable:
        """What it was answered at *place* to be at *following* now."""
        return next(
            answer
            for (before, answer), after in self._known.items()
            if (before, after) == (place, following)
        )

    def _arrive(self, answers: tuple[Hashable, ...]) -> int:
        running = self._program()
        try:
            request = next(running)
            for answer in answers:
                request = running.send(answer)
        except StopIteration:
            return _ENDED
        self._answers.append(answers)
        self._requests.append(request)
        return len(self._requests) - 1


class _Worlds:
    """All stores that were seen, numbered, and what each program's request makes of them."""

    def __init__(self, first: _Store, minds: Sequence[_Mind]) -> None:
        self._stores = [first]
        self._minds = minds
        self._numbers = {first: 0}
        self._known: dict[tuple[int, int, int], list[tuple[int, int]]] = {}

    def store(self, number: int) -> Mapping[str, Hashable]:
        """What the store *number* holds."""
        return dict(self._stores[number])

    def following(self, number: int, mind: int, place: int) -> list[tuple[int, int]]:
        """The stores and places after the request of *mind* at *place*, one for each answer."""
        found = self._known.get((number, mind, place))
        if found is None:
            request = self._minds[mind].request(place)
            found = [
                (self._number(after), self._minds[mind].told(place, answer))
                for answer, after in _perform(self._stores[number], request)
            ]
            self._known[number, mind, place] = found
        return found

    def _number(self, store: _Store) -> int:
        number = self._numbers.setdefault(store, len(self._stores))
        if number == len(self._stores):
            self._stores.append(store)
        return number


def _perform(store: _Store, request: Request) -> list[tuple[Hashable, _Store]]:
    """What *request* may be answered, each with the store after it."""
    if request.name in {"put", "create", "delete"}:
        return [_change(store, request)]
    return [(answer, store) for answer in _answers(store, request)]


def _change(store: _Store, request: Request) -> tuple[Hashable, _Store]:
    name, key, value = request
    others = tuple(item for item in store if item[0] != key)
    if name == "delete":
        return None, others
    if name == "create" and len(others) < len(store):
        return False, store
    return name == "create", tuple(sorted((*others, (key, value)), key=lambda item: item[0]))


def _answers(store: _Store, request: Request) -> Sequence[Hashable]:
    name, key, value = request
    if name == "choose":
        assert isinstance(value, tuple)
        return value
    if name == "get":
        return [next((held for at, held in store if at == key), None)]
    below = tuple(at for at, _ in store if at.startswith(key))
    return [below if name == "all" else next((at for at in below if at > str(value)), None)]


def _trace(
    names: Sequence[str],
    minds: Sequence[_Mind],
    reached: Mapping[_State, tuple[_State, int] | None],
    state: _State,
) -> tuple[Step, ...]:
    steps: list[Step] = []
    while (found := reached[state]) is not None:
        before, index = found
        mind = minds[index - 1]
        answer = mind.answer(before[index], state[index])
        steps.append(Step(names[index - 1], mind.request(before[index]), answer))
        state = before
    return tuple(reversed(steps))
