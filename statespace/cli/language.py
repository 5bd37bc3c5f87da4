"""A small language for models: `trend + seasonal(12) + ar(1) + regression(price, law)`.

A model is a sum of terms; a term is a word, or a word with arguments in parentheses. Names of columns that
contain a comma, a plus or a parenthesis stand in quotes. Nothing is evaluated.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import statespace as ss

from .errors import CommandError

_PLAIN, _QUOTED = r"[^()\"']", r"\"[^\"]*\"|'[^']*'"
_TERM = re.compile(rf"\s*([A-Za-z_]\w*)\s*(?:\(((?:{_PLAIN}|{_QUOTED})*)\))?\s*(\+|$)")
_ARGUMENT = re.compile(rf"\s*({_QUOTED}|[^,]*?)\s*(?:,|$)")


class Term(NamedTuple):
    """One term of a model as it was written."""

    word: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        """The term as it can be written again."""
        return f"{self.word}({', '.join(self.arguments)})" if self.arguments else self.word


class Word(NamedTuple):
    """What a word of the language means: how many arguments it takes, how it is written, what it builds."""

    least: int
    most: int | None
    usage: str
    build: Callable[..., Any]


def parse(text: str) -> list[Term]:
    """The terms of a model.

    Args:
        text: The model in words.

    Raises:
        CommandError: If the text is not a sum of known terms, or a term occurs twice.

    Example:
        >>> [str(term) for term in parse("trend + seasonal(12, trig)")]
        ['trend', 'seasonal(12, trig)']
    """
    terms, position, follows = [], 0, True
    while follows:
        found = _TERM.match(text, position)
        if found is None:
            raise CommandError(
                f"--model {text!r} cannot be read at {text[position:].strip()!r}: write terms joined by +, such as "
                "'trend + seasonal(12)'"
            )
        terms.append(_checked(Term(found[1].lower(), _arguments(found[2]))))
        position, follows = found.end(), found[3] == "+"
    _check_once(terms)
    return terms


def input_columns(terms: Sequence[Term]) -> list[str]:
    """The columns that the regressions of a model read."""
    return [column for term in terms if term.word == "regression" for column in term.arguments]


def build(terms: Sequence[Term], index: Any = None) -> ss.Structural:
    """The model that terms stand for, with noise.

    Args:
        terms: What `parse` returned.
        index: Stamps of the data; needed where events are given as numbers.

    Raises:
        CommandError: If an argument does not fit.

    Example:
        >>> build(parse("level + ar(1)")).state_names
        ('level', 'ar')
    """
    components = [WORDS[term.word].build(term, index) for term in terms]
    return sum(components, start=ss.Noise())  # pyright: ignore[reportReturnType]


def _arguments(text: str | None) -> tuple[str, ...]:
    if text is None or not text.strip():
        return ()
    found, position = [], 0
    while position <= len(text):
        part = _ARGUMENT.match(text, position)
        if part is None:
            raise CommandError(f"--model: cannot read the arguments ({text}): separate them by commas")
        found.append(part[1][1:-1] if part[1][:1] in ("'", '"') else part[1])
        position = part.end() if part.end() < len(text) or part[0].endswith(",") else len(text) + 1
    return tuple(found)


def _checked(term: Term) -> Term:
    if term.word not in WORDS:
        raise CommandError(
            f"--model: unknown term {term.word!r}; there are {', '.join(w.usage for w in WORDS.values())}"
        )
    word, count = WORDS[term.word], len(term.arguments)
    if not word.least <= count <= (count if word.most is None else word.most) or "" in term.arguments:
        raise CommandError(f"--model: got {term}, expected {word.usage}")
    return term


def _check_once(terms: Sequence[Term]) -> None:
    """Components of equal name cannot be told apart: one of each word, but seasonals by period and events by date."""
    names = [f"{t.word}({t.arguments[0]})" if t.word in ("seasonal", "step", "pulse") else _family(t) for t in terms]
    for name in names:
        if names.count(name) > 1:
            raise CommandError(f"--model: {name} occurs twice; write it once")


def _family(term: Term) -> str:
    return "trend" if term.word == "smooth_trend" else term.word


def _whole(term: Term, text: str, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise CommandError(f"--model: {term} needs a whole number of at least {least}, got {text!r}")
    return int(text)


def _seasonal(term: Term, index: Any) -> ss.Seasonal:
    del index
    period, *rest = term.arguments
    if not rest:
        return ss.Seasonal(_whole(term, period, 2))
    if rest[0] not in ("trig", "trigonometric", "dummy"):
        raise CommandError(f"--model: {term} has the form {rest[0]!r}, expected trig or dummy")
    if rest[0] == "dummy":
        if len(rest) > 1:
            raise CommandError(f"--model: {term} chooses harmonics, which only the form trig has")
        return ss.Seasonal(_whole(term, period, 2))
    harmonics = _whole(term, rest[1], 1) if len(rest) > 1 else None
    return ss.Seasonal(_number(term, period), form="trigonometric", harmonics=harmonics)


def _number(term: Term, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CommandError(f"--model: {term} needs a number as its period, got {text!r}") from None


def _event(term: Term, index: Any) -> ss.Intervention:
    """A step or pulse, at a date or (where stamps are numbers) at the stamp of that number."""
    date = term.arguments[0]
    name = f"{term.word}_{date.replace('/', '-')}"
    if index is None or index.dtype.kind not in "iuf":
        return ss.Intervention(date, term.word, name=name)  # pyright: ignore[reportArgumentType]
    found = [i for i, stamp in enumerate(index) if str(stamp) == date]
    if not found:
        raise CommandError(f"--model: {term} is not a stamp of the data, which go from {index[0]} to {index[-1]}")
    return ss.Intervention(found[0], term.word, name=name)  # pyright: ignore[reportArgumentType]


WORDS = {
    "level": Word(0, 0, "level", lambda term, index: ss.LocalLevel()),
    "trend": Word(0, 0, "trend", lambda term, index: ss.LocalLinearTrend()),
    "smooth_trend": Word(0, 0, "smooth_trend", lambda term, index: ss.LocalLinearTrend(level_scale=0.0)),
    "seasonal": Word(1, 3, "seasonal(p[, trig[, harmonics]])", _seasonal),
    "cycle": Word(0, 0, "cycle", lambda term, index: ss.Cycle()),
    "ar": Word(1, 1, "ar(p)", lambda term, index: ss.AutoRegressive(_whole(term, term.arguments[0], 1))),
    "regression": Word(1, None, "regression(a, b)", lambda term, index: ss.Regression(term.arguments)),
    "step": Word(1, 1, "step(date)", _event),
    "pulse": Word(1, 1, "pulse(date)", _event),
}
