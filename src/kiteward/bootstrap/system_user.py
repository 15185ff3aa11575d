"""Users of the operating system, for the audit trail."""

import os
import pwd


def system_user(number: int | None = None) -> str:
    """Return the name of a user, or the number of one without a name, as containers often have it.

    Variables of the environment are not asked: anybody can set them.

    Args:
        number: the number of the user; None for the one who runs this process.
    """
    number = os.getuid() if number is None else number
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
