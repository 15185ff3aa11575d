"""Users in a backup. `UserInfo` has no field for the state of a user, so it precedes the password hash.

    {disabled,one-time}$argon2id$v=19$…

No password hash begins with a brace. A server that does not know this form, such as Milvus, finds no password hash in
it, and the user cannot sign in there.
"""

import re
from dataclasses import dataclass, field
from typing import Final, Self

from kiteward.domain.errors import InvalidArgument
from kiteward.iam.users import NewUser

_DISABLED: Final = "disabled"
_LOCKED: Final = "locked"
_ONE_TIME: Final = "one-time"
_KNOWN: Final = frozenset({_DISABLED, _LOCKED, _ONE_TIME})
_FORM: Final = re.compile(r"\{([^}]*)\}(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class BackedUpPassword:
    """A password hash, with the state that may prevent its user from signing in.

    Attributes:
        stored: the hash.
        enabled, locked, one_time: as of `UserRecord`.
    """

    stored: str = field(repr=False)
    enabled: bool = True
    locked: bool = False
    one_time: bool = False

    @classmethod
    def of(cls, user: NewUser) -> Self:
        """Return the password field of a user in a backup."""
        return cls(user.password_hash, user.enabled, user.locked, user.one_time)

    @classmethod
    def parse(cls, text: str, *, user_name: str) -> Self:
        """Parse the field `password` of a user in a backup. A bare hash is that of an enabled user.

        Raises:
            InvalidArgument: it has a state that is not known here, and would be lost.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            return cls(text)
        states = set(match[1].split(","))
        if not states <= _KNOWN:
            raise InvalidArgument(f"the backup has an unknown state of user [{user_name}]")
        return cls(match[2], _DISABLED not in states, _LOCKED in states, _ONE_TIME in states)

    def text(self) -> str:
        """Return the field `password` of a user in a backup."""
        states = [
            state
            for state, holds in ((_DISABLED, not self.enabled), (_LOCKED, self.locked), (_ONE_TIME, self.one_time))
            if holds
        ]
        return f"{{{','.join(states)}}}{self.stored}" if states else self.stored
