"""Finds the word that was meant. A wrong hint costs more than none: a word of another meaning is never offered."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from typing import TypeAlias

_Parts: TypeAlias = tuple[str, ...]

_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+[a-z]*|[^\W_]+")
_LEAST_TYPO = 4
"""Letters: `rpm` and `tpm` are two words, not one with a typo."""
_LEAST_JOINED = 6
_MOST_READINGS = 50
_LONGEST = 80

_IMPLIED = frozenset({"routing", "router", "litellm", "model", "group"})
"""Parts that people leave out: the section says them already."""

_CLOSE_NAME = 0.75


class _Index:
    """The known words by their parts: `routing_strategy` has `routing` and `strategy`."""

    def __init__(self, known: Iterable[str]) -> None:
        self.known = sorted(known)
        self.by_parts: dict[_Parts, str] = {}
        self.by_set: dict[frozenset[str], list[str]] = defaultdict(list)
        self.by_letters: dict[str, str] = {}
        self.holders: dict[str, list[tuple[_Parts, str]]] = defaultdict(list)
        for word in self.known:
            parts = _parts(word)
            self.by_parts.setdefault(parts, word)
            self.by_set[frozenset(parts)].append(word)
            self.by_letters.setdefault("".join(parts), word)
            for part in set(parts):
                self.holders[part].append((parts, word))
        self.shortened = _shortened(self.holders)
        self.letters_shortened = _shortened(word for word in self.by_letters if len(word) >= _LEAST_JOINED)


@cache
def _index(known: frozenset[str]) -> _Index:
    return _Index(known)


def nearest(word: str, known: Collection[str], *, part: bool = False) -> str:
    """The known word that `word` is a misspelling of; `` if there is none.

    Accepted are typos in parts that are no words of their own, another order or notation of the parts (`apiKey`,
    `key_api`), a plural, and a part that the section implies (`strategy` for `routing_strategy`).

    Args:
        part: also accept the only word that has all its parts (`latency-based` for `latency-based-routing`).
    """
    index = _index(known if isinstance(known, frozenset) else frozenset(known))
    parts = _parts(word)
    if not parts or len(word) > _LONGEST:
        return ""
    letters = "".join(parts)
    if letters in index.by_letters:
        return index.by_letters[letters]
    if len(found := index.by_set.get(frozenset(parts), [])) == 1:
        return found[0]
    for reading in _readings(parts, index):
        if reading in index.by_parts:
            return index.by_parts[reading]
    if not all(one in index.holders for one in parts) and len(letters) >= _LEAST_JOINED and not _digits(letters):
        close = _typos(letters, index.letters_shortened)
        if len(close) == 1:
            return index.by_letters[close[0]]
    return _longer(parts, index, any_part=part)


def _readings(parts: _Parts, index: _Index) -> Iterator[_Parts]:
    """The word with each of its parts replaced by the known parts that it may be."""
    choices = [_meant(part, index) for part in parts]
    for count, reading in enumerate(product(*choices)):
        if count > _MOST_READINGS:
            return
        yield reading


def _meant(part: str, index: _Index) -> Sequence[str]:
    forms = [other for other in _forms(part) if other in index.holders]
    if part in index.holders:
        return [part, *forms]
    typos = [] if len(part) < _LEAST_TYPO or _digits(part) else _typos(part, index.shortened)
    return [*forms, *typos] or [part]


def _forms(part: str) -> Iterator[str]:
    """Its plural or its singular, and the same with or without `ing` or `ed` (`filter`, `filtering`, `filtered`)."""
    if part.endswith("ies"):
        yield f"{part[:-3]}y"
    if part.endswith("y"):
        yield f"{part[:-1]}ies"
    if part.endswith("s"):
        yield part[:-1]
    yield f"{part}s"
    if len(part) < _LEAST_TYPO:
        return
    stem = part.removesuffix("ing").removesuffix("ed").removesuffix("e")
    yield from (f"{stem}{end}" for end in ("", "e", "ing", "ed") if f"{stem}{end}" != part)


def _longer(parts: _Parts, index: _Index, *, any_part: bool) -> str:
    """The only known word that has these parts and one that goes without saying."""
    given = set(parts)
    found = [
        word
        for others, word in index.holders.get(parts[-1], [])
        if given < set(others) and (any_part or set(others) - given <= _IMPLIED)
    ]
    return found[0] if len(found) == 1 else ""


def nearest_name(word: str, names: Collection[str]) -> str:
    """The closest of the names that a file gives to models; `` if none is close, or its numbers differ."""
    numbers = re.findall(r"\d+", word)
    close = difflib.get_close_matches(word, names, n=3, cutoff=_CLOSE_NAME)
    return next((name for name in close if re.findall(r"\d+", name) == numbers), "")


def did_you_mean(close: str) -> str:
    """The fix that offers a word; `` if there is none."""
    return f'did you mean "{close}"?' if close else ""


def choose(word: object, words: Collection[str]) -> str:
    """The end of a fix: the word that was meant, or all words if none is close."""
    close = nearest(word, words, part=True) if isinstance(word, str) else ""
    return did_you_mean(close) or f"write one of {', '.join(sorted(words))}"


@cache
def _parts(word: str) -> _Parts:
    return tuple(part.lower() for part in _PART.findall(word))


def _digits(word: str) -> bool:
    return any(letter.isdigit() for letter in word)


def _without_one(word: str) -> set[str]:
    return {word[:at] + word[at + 1 :] for at in range(len(word))}


def _shortened(words: Iterable[str]) -> Mapping[str, list[str]]:
    """Each word and what is left of it without one letter → the words. Two words with one typo between them meet."""
    found: dict[str, list[str]] = defaultdict(list)
    for word in words:
        for short in (word, *_without_one(word)):
            found[short].append(word)
    return found


def _typos(word: str, shortened: Mapping[str, list[str]]) -> list[str]:
    """The words that one letter too many, too few, wrong, or in the wrong place makes `word` of."""
    met = {other for short in (word, *_without_one(word)) for other in shortened.get(short, ())}
    return sorted(other for other in met if _begins_alike(word, other))


def _begins_alike(word: str, other: str) -> bool:
    """People seldom mistake the first letter for another: `itpm` and `otpm` are two words."""
    return other[0] == word[0] or other[1:] == word or word[1:] == other or other[:2] == word[1::-1]
