"""English in errors: articles and plurals of words that are known only at run time."""

from __future__ import annotations

import re

# Read letter by letter, as "an ndarray" and "an SVC" are, these letters begin with a vowel.
_SPELLED_VOWELS = "AEFHILMNORSX"
# Lower-case names of which the first letter is read as a letter
_SPELLED = ("nd", "np", "mp", "ml", "xp")
# Vowels that sound like a consonant: "a uint8", "a OneHotEncoder"
_CONSONANTS = re.compile(r"one|u(int|fun|ni(?!n)|se|t[fi])", re.IGNORECASE)


def with_article(noun: str) -> str:
    """Return a noun, such as the name of a type, with its article: "an int", "a uint8"."""
    return f"{'an' if _sounds_like_vowel(noun.lstrip('_')) else 'a'} {noun}"


def kind_of(value: object) -> str:
    """Return the name of a value's type with its article: "an ndarray"."""
    return with_article(type(value).__name__)


def counted(number: float, noun: str, several: str | None = None) -> str:
    """Return a number of things: "1 label", "2 labels"; of irregular nouns `several` is given."""
    return f"{number} {noun if number == 1 else several or noun + 's'}"


def _sounds_like_vowel(noun: str) -> bool:
    first, second = noun[:1], noun[1:2]
    # One capital before others, as in MLPClassifier, is read as a letter.
    if noun.startswith(_SPELLED) or (first.isupper() and second.isupper()):
        return first.upper() in _SPELLED_VOWELS
    return first.lower() in "aeiou" and not _CONSONANTS.match(noun)
