"""Which passwords may be chosen. A policy is a named profile.

Its length is counted in characters, or under `legacy` in bytes of UTF-8, as Milvus does (decision 0031).
"""

import unicodedata
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from kiteward.authn.common_passwords import GUESSED_FIRST, IN_A_ROW, SERVICE_WORDS, USER_NAME, faults
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.identity import Secret

_CLASSES_WANTED: Final = 3

_FAULTS: Final = MappingProxyType(
    {
        GUESSED_FIRST: ErrorCode.PASSWORD_GUESSED_FIRST,
        SERVICE_WORDS: ErrorCode.PASSWORD_SERVICE_WORDS,
        USER_NAME: ErrorCode.PASSWORD_USER_NAME,
        IN_A_ROW: ErrorCode.PASSWORD_IN_A_ROW,
    }
)
"""The code of each reason for which a password is blocked."""


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """The rules for new passwords.

    Attributes:
        name: the profile.
        shortest: least length.
        longest: greatest length.
        classes: whether three of upper case, lower case, digits and special characters are needed.
        block_list: whether passwords that guessers try first are refused.
        in_bytes: whether lengths are bytes of UTF-8; otherwise they are characters.
    """

    name: str
    shortest: int
    longest: int
    classes: bool
    block_list: bool = False
    in_bytes: bool = False

    def check(self, password: Secret, *, user_name: str, field: str = "password") -> None:
        """Refuse a password that breaks a rule, naming each broken rule and never the password.

        Args:
            password: the new password.
            user_name: the user who is to have it; guessers know the name.
            field: the argument that holds the password, for the error.

        Raises:
            InvalidArgument: it breaks rules; the error names each.
        """
        text = password.reveal()
        broken: list[tuple[str, ErrorDetail]] = []
        length = len(text.encode("utf-8", "surrogatepass")) if self.in_bytes else len(text)
        if not self.shortest <= length <= self.longest:
            text_of_rule = (
                "invalid password length: invalid parameter"
                f"[{length} out of range {self.shortest} <= value <= {self.longest}]"
            )
            code = ErrorCode.PASSWORD_LENGTH_IN_BYTES if self.in_bytes else ErrorCode.PASSWORD_LENGTH
            broken.append((text_of_rule, ErrorDetail(code, {"shortest": self.shortest, "longest": self.longest})))
        if self.classes and _classes(text) < _CLASSES_WANTED:
            text_of_rule = (
                "invalid password: it must include three of "
                "upper case letters, lower case letters, numbers and special characters"
            )
            broken.append((text_of_rule, ErrorDetail(ErrorCode.PASSWORD_CLASSES)))
        if self.block_list:
            broken += [(f"invalid password: {fault}", ErrorDetail(_FAULTS[fault])) for fault in faults(text, user_name)]
        if broken:
            raise InvalidArgument("; ".join(rule for rule, _ in broken), *(detail for _, detail in broken), field=field)


def _classes(text: str) -> int:
    kinds = set()
    for character in text:
        category = unicodedata.category(character)
        kinds.add(category if category in ("Lu", "Ll", "Nd") else "special")
    return len(kinds)


POLICIES: Final = MappingProxyType(
    {
        "standard": PasswordPolicy("standard", 8, 64, classes=True),
        "legacy": PasswordPolicy("legacy", 6, 256, classes=False, in_bytes=True),
        "strict": PasswordPolicy("strict", 15, 256, classes=False, block_list=True),
    }
)
"""`standard` is the rule of the users and roles document, `legacy` the one of the older authentication document,
`strict` that of NIST SP 800-63B-4 and OWASP ASVS 5 for passwords without a second factor."""
