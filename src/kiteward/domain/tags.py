"""The rules of tags, which row policies read as `$current_principal_tags`."""

from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument

LONGEST_KEY: Final = 128
"""Most bytes of the key of a tag."""

LONGEST_VALUE: Final = 1024
"""Most bytes of the value of a tag."""

_KEY_CHARACTERS: Final = "_.-:/@"


def check_tag_key(key: str) -> None:
    """Refuse an illegal key of a tag.

    Raises:
        InvalidArgument: empty, too long, or with a character that is not allowed.
    """
    if not 1 <= _size(key) <= LONGEST_KEY:
        raise InvalidArgument(
            f"the key of a tag must have from 1 to {LONGEST_KEY} bytes",
            ErrorDetail(ErrorCode.TAG_KEY_LENGTH, {"limit": LONGEST_KEY}),
            field="tags",
        )
    if not all(character.isascii() and (character.isalnum() or character in _KEY_CHARACTERS) for character in key):
        raise InvalidArgument(
            f"the key of a tag has letters, digits, and {' '.join(_KEY_CHARACTERS)} only, unlike {key!r}",
            ErrorDetail(ErrorCode.TAG_KEY_CHARACTER),
            field="tags",
        )


def check_tag_value(key: str, value: str) -> None:
    """Refuse an illegal value of a tag.

    Raises:
        InvalidArgument: empty, too long, or with a character that is not allowed.
    """
    if not 1 <= _size(value) <= LONGEST_VALUE:
        raise InvalidArgument(
            f"the value of the tag {key} must have from 1 to {LONGEST_VALUE} bytes",
            ErrorDetail(ErrorCode.TAG_VALUE_LENGTH, {"name": key, "limit": LONGEST_VALUE}),
            field="tags",
        )
    if any(character < " " or "\x7f" <= character < "\xa0" or "\ud800" <= character < "\ue000" for character in value):
        raise InvalidArgument(
            f"the value of the tag {key} must have no control character",
            ErrorDetail(ErrorCode.TAG_VALUE_CHARACTER, {"name": key}),
            field="tags",
        )


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
