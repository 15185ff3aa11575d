"""What somebody may have meant by a misspelt word."""

from collections.abc import Iterable
from difflib import get_close_matches

from kiteward.domain.error_codes import ErrorCode, ErrorDetail


def meant_by(word: str, known: Iterable[str]) -> str:
    """Return the known word that is most like another one; empty where none is like it."""
    spelled = {each.lower(): each for each in known}
    found = get_close_matches(word.lower(), spelled, n=1, cutoff=0.7)
    return spelled[found[0]] if found else ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown word: which known one it is most like; empty for none."""
    meant = meant_by(word, known)
    return f": did you mean `{meant}`?" if meant else ""


def no_such(what: str, word: str, known: Iterable[str], code: ErrorCode) -> tuple[str, list[ErrorDetail]]:
    """Return the message and the details of an error about an unknown name, with the known one that is most like it.

    Args:
        what: what there is none of, such as `privilege`.
        word: the name.
        known: the names that are known, and that whoever gets the error may know.
        code: the code of the error.
    """
    meant = meant_by(word, known)
    details = [ErrorDetail(code, {"name": word})]
    if not meant:
        return f"no such {what}: {word}", details
    return f"no such {what}: {word}; did you mean {meant}?", [
        *details,
        ErrorDetail(ErrorCode.DID_YOU_MEAN, {"name": meant}),
    ]
