"""Which names are legal (contract 3).

Lengths are bytes, letters are ASCII, and names are never trimmed. Milvus trims some names for the check and stores
others untrimmed (contract Q9 to Q11); here a name with surrounding spaces is refused.
"""

import re
from dataclasses import dataclass
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import DatabaseNameInvalid, FieldNameInvalid, InvalidArgument, InvalidGroupName

ANY: Final = "*"
"""The wildcard: any object, any database or any privilege."""

DEFAULT_DATABASE: Final = "default"

LONGEST_DESCRIPTION: Final = 1024
"""Most bytes of a description that Milvus has no rule for."""

_USER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]*\Z")
_USER_NAME_CHARACTERS: Final = "_.-"
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PARTITION_NAME = re.compile(r"[A-Za-z0-9_\-]*\Z")
_SHOWN: Final = 64
"""Most characters of a name that a refusal repeats, where Milvus repeats all of it."""


@dataclass(frozen=True, slots=True)
class NamingRules:
    """The configurable part of the naming rules.

    Attributes:
        max_user_name: bytes, `proxy.maxUsernameLength`.
        max_name: bytes, `proxy.maxNameLength`; roles, objects, privileges, databases, groups.
        max_user_description: bytes, `proxy.maxUserDescriptionLength`.
        max_role_description: bytes, `proxy.maxRoleDescriptionLength`.
        role_characters: further characters allowed in role names, `proxy.roleNameValidation.allowedChars`.
        object_characters: further characters allowed in object names, `proxy.nameValidation.allowedChars`.
    """

    max_user_name: int = 32
    max_name: int = 255
    max_user_description: int = 1024
    max_role_description: int = 1024
    role_characters: str = "$"
    object_characters: str = "$"

    def check_user_name(self, name: str) -> None:
        """Refuse an illegal user name.

        Raises:
            InvalidArgument: empty, too long, or with a character that is not allowed (contract 2.2, CreateCredential).
        """
        if not name.strip():
            raise InvalidArgument("username must be not empty", ErrorDetail(ErrorCode.NAME_EMPTY), field="userName")
        if _size(name) > self.max_user_name:
            raise InvalidArgument(
                f"invalid username {name} with length {_size(name)}, "
                f"the length of username must be at most {self.max_user_name} bytes",
                ErrorDetail(ErrorCode.NAME_TOO_LONG, {"limit": self.max_user_name}),
                field="userName",
            )
        if not name[0].isascii() or not name[0].isalpha():
            raise InvalidArgument(
                f"invalid user name {name}, the first character must be a letter, but got {name[0]!r}",
                ErrorDetail(ErrorCode.NAME_FIRST_LETTER, {"character": _shown(name[0])}),
                field="userName",
            )
        if not _USER_NAME.match(name):
            offender = _offender(name, _USER_NAME_CHARACTERS)
            raise InvalidArgument(
                f"invalid user name {name}, "
                "username must contain only numbers, letters, underscores, dots, and hyphens, "
                f"but got {offender!r}",
                ErrorDetail(
                    ErrorCode.NAME_CHARACTER, {"allowed": _USER_NAME_CHARACTERS, "character": _shown(offender)}
                ),
                field="userName",
            )

    def check_role_name(self, name: str) -> None:
        """Refuse an illegal role name.

        Raises:
            InvalidArgument: as contract 2.3, CreateRole.
        """
        self._check_name(name, "role name", self.role_characters, field="roleName")

    def check_object_name(self, name: str, what: str = "object name") -> None:
        """Refuse an illegal object, collection, privilege or object type name; `*` is legal for all but the type.

        Raises:
            InvalidArgument: as contract 2.4, OperatePrivilege.
        """
        if name == ANY and what != "ObjectType":
            return
        self._check_name(name, what, self.object_characters)

    def check_new_name(self, name: str, what: str, *, field: str = "") -> None:
        """Refuse an illegal name of a new collection or alias.

        Args:
            name: the name.
            what: what it names, for the message.
            field: the argument that it was given in, for the error.

        Raises:
            InvalidArgument: as Milvus' rule for collection names, which is that of object names without the wildcard.
        """
        self._check_name(name, what, self.object_characters, field=field)

    def check_partition_name(self, name: str, *, field: str = "") -> None:
        """Refuse an illegal name of a new partition. It may begin with a digit and contain hyphens, as in Milvus.

        Args:
            name: the name.
            field: the argument that it was given in, for the error.

        Raises:
            InvalidArgument: empty, too long, or with a character that is not allowed.
        """
        fault, detail = "", ErrorDetail(ErrorCode.NAME_EMPTY)
        if not name.strip():
            fault = "Partition name should not be empty."
        elif _size(name) > self.max_name:
            fault = f"The length of a partition name must be less than {self.max_name} characters."
            detail = ErrorDetail(ErrorCode.NAME_TOO_LONG, {"limit": self.max_name})
        elif name[0] == "-" or not _PARTITION_NAME.match(name[0]):
            fault = "The first character of a partition name must be an underscore or letter."
            detail = ErrorDetail(ErrorCode.NAME_FIRST_CHARACTER, {"character": _shown(name[0])})
        elif not _PARTITION_NAME.match(name):
            fault = "Partition name can only contain numbers, letters and underscores."
            character = _shown(_offender(name, "_-"))
            detail = ErrorDetail(ErrorCode.NAME_CHARACTER, {"allowed": "_-", "character": character})
        if fault:
            raise InvalidArgument(f"Invalid partition name: {name[:_SHOWN]}. {fault}", detail, field=field)

    def check_field_name(self, name: str, *, field: str = "") -> None:
        """Refuse an illegal name of a new field.

        Args:
            name: the name.
            field: the argument that it was given in, for the error.

        Raises:
            FieldNameInvalid: empty, too long, or with a character that is not allowed.
        """
        detail = ErrorDetail(ErrorCode.NAME_EMPTY)
        if not name.strip():
            raise FieldNameInvalid("field name should not be empty: field name invalid[field=]", detail, field=field)
        fault = self._plain_fault(name, "field")
        if fault:
            shown = name[:_SHOWN]
            text = f"Invalid field name: {shown}. {fault}: field name invalid[field={shown}]"
            raise FieldNameInvalid(text, self._plain_detail(name), field=field)

    def check_index_name(self, name: str, *, field: str = "") -> None:
        """Refuse an illegal name of a new index; for an empty one the engine chooses a name.

        Args:
            name: the name.
            field: the argument that it was given in, for the error.

        Raises:
            InvalidArgument: too long, or with a character that is not allowed.
        """
        fault = self._plain_fault(name, "index") if name else ""
        if fault:
            raise InvalidArgument(f"Invalid index name: {name[:_SHOWN]}. {fault}", field=field)

    def _plain_fault(self, name: str, what: str) -> str:
        """Return what is wrong with the name of a field or index, which takes no further characters; else empty."""
        if _size(name) > self.max_name:
            return f"The length of a {what} name must be less than {self.max_name} characters."
        if not _PLAIN_NAME.match(name[0]):
            return f"The first character of a {what} name must be an underscore or letter."
        if not _PLAIN_NAME.match(name):
            return f"{what.capitalize()} name can only contain numbers, letters, and underscores."
        return ""

    def _plain_detail(self, name: str) -> ErrorDetail:
        """Return the code of what is wrong with such a name."""
        if _size(name) > self.max_name:
            return ErrorDetail(ErrorCode.NAME_TOO_LONG, {"limit": self.max_name})
        if not _PLAIN_NAME.match(name[0]):
            return ErrorDetail(ErrorCode.NAME_FIRST_CHARACTER, {"character": _shown(name[0])})
        return ErrorDetail(ErrorCode.NAME_CHARACTER, {"allowed": "_", "character": _shown(_offender(name, "_"))})

    def check_policy_name(self, name: str) -> None:
        """Refuse an illegal name of a row policy.

        Raises:
            InvalidArgument: as Milvus' rule for collection names.
        """
        self._check_name(name, "policy name", self.object_characters, field="policyName")

    def check_database_name(self, name: str) -> None:
        """Refuse an illegal database name. The caller handles `*` before.

        Raises:
            DatabaseNameInvalid: with the text of `ValidateDatabaseName` in the proxy of Milvus 2.6 and 3.0.
        """
        fault, detail = "", ErrorDetail(ErrorCode.NAME_EMPTY)
        if not name:
            fault = "database name couldn't be empty"
        elif _size(name) > self.max_name:
            fault = f"the length of a database name must be less than {self.max_name} characters"
            detail = ErrorDetail(ErrorCode.NAME_TOO_LONG, {"limit": self.max_name})
        elif not _PLAIN_NAME.match(name[0]):
            fault = "the first character of a database name must be an underscore or letter"
            detail = ErrorDetail(ErrorCode.NAME_FIRST_CHARACTER, {"character": _shown(name[0])})
        elif not _PLAIN_NAME.match(name):
            fault = "database name can only contain numbers, letters and underscores"
            offender = _offender(name, "_")
            detail = ErrorDetail(ErrorCode.NAME_CHARACTER, {"allowed": "_", "character": _shown(offender)})
        if fault:
            raise DatabaseNameInvalid(f"{fault}: invalid database name[database={name}]", detail, field="dbName")

    def check_group_name(self, name: str) -> None:
        """Refuse an illegal privilege group name.

        Raises:
            InvalidGroupName: empty, too long or with a wrong first character (contract 2.5).
            InvalidArgument: another character that is not allowed.

        """
        if not name.strip():
            raise InvalidGroupName(
                "invalid privilege group name[privilegeGroup=privilege group name should not be empty]",
                ErrorDetail(ErrorCode.NAME_EMPTY),
                field="privilegeGroupName",
            )
        if _size(name) > self.max_name:
            raise InvalidGroupName(
                "invalid privilege group name[privilegeGroup="
                f"the length of a privilege group name must be at most {self.max_name} bytes]",
                ErrorDetail(ErrorCode.NAME_TOO_LONG, {"limit": self.max_name}),
                field="privilegeGroupName",
            )
        if not name[0].isascii() or not (name[0].isalpha() or name[0] == "_"):
            raise InvalidGroupName(
                "invalid privilege group name[privilegeGroup="
                f"the first character of {name} must be an underscore or letter]",
                ErrorDetail(ErrorCode.NAME_FIRST_CHARACTER, {"character": _shown(name[0])}),
                field="privilegeGroupName",
            )
        if not _PLAIN_NAME.match(name):
            raise InvalidArgument(
                f"privilege group name {name} can only contain numbers, letters and underscores",
                ErrorDetail(ErrorCode.NAME_CHARACTER, {"allowed": "_", "character": _shown(_offender(name, "_"))}),
                field="privilegeGroupName",
            )

    def check_user_description(self, text: str) -> None:
        """Refuse a user description over the limit, in bytes.

        Raises:
            InvalidArgument: too long.
        """
        if _size(text) > self.max_user_description:
            raise InvalidArgument(
                f"invalid user description with length {_size(text)}, "
                f"the length of user description must be less than or equal to {self.max_user_description}",
                ErrorDetail(ErrorCode.DESCRIPTION_TOO_LONG, {"limit": self.max_user_description}),
                field="description",
            )

    def check_role_description(self, text: str) -> None:
        """Refuse a role description over the limit, in bytes.

        Raises:
            InvalidArgument: too long.
        """
        if _size(text) > self.max_role_description:
            raise InvalidArgument(
                _too_long("role description", _size(text), self.max_role_description),
                ErrorDetail(ErrorCode.DESCRIPTION_TOO_LONG, {"limit": self.max_role_description}),
                field="description",
            )

    def _check_name(self, name: str, what: str, further: str, *, field: str = "") -> None:
        if not name.strip():
            raise InvalidArgument(
                f"{what} should be not empty: invalid parameter[expected=not empty][actual=]",
                ErrorDetail(ErrorCode.NAME_EMPTY),
                field=field,
            )
        if _size(name) > self.max_name:
            raise InvalidArgument(
                _too_long(what, _size(name), self.max_name),
                ErrorDetail(ErrorCode.NAME_TOO_LONG, {"limit": self.max_name}),
                field=field,
            )
        if not name[0].isascii() or not (name[0].isalpha() or name[0] == "_"):
            raise InvalidArgument(
                f"the first character of {what} must be an underscore or letter, but got {name[0]!r}",
                ErrorDetail(ErrorCode.NAME_FIRST_CHARACTER, {"character": _shown(name[0])}),
                field=field,
            )
        for position, character in enumerate(name):
            if not (character.isascii() and (character.isalnum() or character == "_" or character in further)):
                allowed = f", and allowed characters ({further})" if further else ""
                raise InvalidArgument(
                    f"{what} can only contain numbers, letters, underscores{allowed}, "
                    f"found {character!r} at {position}",
                    ErrorDetail(ErrorCode.NAME_CHARACTER, {"allowed": f"_{further}", "character": _shown(character)}),
                    field=field,
                )


def check_description(text: str) -> None:
    """Refuse a description of something that Milvus has no rule for, an API key or a row policy, that is too long.

    Raises:
        InvalidArgument: it is.
    """
    if _size(text) > LONGEST_DESCRIPTION:
        raise InvalidArgument(
            f"`description` must be at most {LONGEST_DESCRIPTION} bytes",
            ErrorDetail(ErrorCode.DESCRIPTION_TOO_LONG, {"limit": LONGEST_DESCRIPTION}),
            field="description",
        )


def can_be_stored(text: str) -> bool:
    """Return whether every database can hold a text: it has no NUL, and no half of a surrogate pair."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _offender(name: str, allowed: str) -> str:
    return next(c for c in name if not (c.isascii() and (c.isalnum() or c in allowed)))


def _shown(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


def _too_long(what: str, size: int, limit: int) -> str:
    return (
        f"the length of {what} must be not greater than limit: invalid parameter"
        f"[{size} out of range 0 <= value <= {limit}]"
    )
