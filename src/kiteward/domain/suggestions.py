"""What somebody may have meant by a misspelt word."""

from collections.abc import Iterable
from difflib import get_close_matches


def meant_by(word: str, known: Iterable[str]) -> str:
    """Return the known word that is most like another one; empty where none is like it."""
    spelled = {each.lower(): each for each in known}
    found = get_close_matches(word.lower(), spelled, n=1, cutoff=0.7)
    return spelled[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: which known one it is most like; empty for none."""
    meant = meant_by(word, known)
    return f": did you mean `{meant}`?" if meant else ""
