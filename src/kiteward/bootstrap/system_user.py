"""The user of the operating system that runs this process, for the audit trail."""

import os
import pwd


def system_user() -> str:
    """Return the name of the user, or the number of one without a name, as containers often have it.

    Variables of the environment are not asked: anybody can set them.
    """
    number = os.getuid()
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
