"""What was typed into a form whose session had ended: it goes through the page for signing in, in the browser alone.

No server keeps anything. The same user gets the form again, with the values in it; secrets are never among them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote_plus

USER_FIELD: Final = "form_of"
"""The field of every form that names the user to whom it was shown."""

RESUMED_FIELD: Final = "resumed"
"""The field of a form that asks for its page with the values in it, and not for its action."""

_DROPPED: Final = frozenset({"csrf", USER_FIELD, RESUMED_FIELD, "again", "code", "passkey", "reload", "typed_name"})
_MOST_BYTES: Final = 32 * 1024
"""The maximum size of what is kept, as a form sends it."""


@dataclass(frozen=True, slots=True)
class KeptForm:
    """What was typed into a form.

    Attributes:
        user: to whom the form was shown.
        fields: name -> values.
    """

    user: str
    fields: Mapping[str, list[str]]

    @classmethod
    def of(cls, form: Mapping[str, list[str]]) -> Self | None:
        """Return what can be kept of a form; None for nothing, or for more than is kept."""
        user = next(iter(form.get(USER_FIELD, ())), "")
        kept = cls(user, {name: values for name, values in form.items() if not is_dropped(name)})
        return kept if user and kept.fields and len(quote_plus(kept.text)) <= _MOST_BYTES else None

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return what a browser sends back; None for anything else than `text`."""
        if not text:
            return None
        try:
            user, fields = json.loads(text)
            kept = cls(str(user), {str(name): [str(value) for value in values] for name, values in fields.items()})
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None
        return cls.of({**kept.fields, USER_FIELD: [kept.user]})

    @property
    def text(self) -> str:
        """The value of the field of the page for signing in that has all of it."""
        return json.dumps((self.user, self.fields), ensure_ascii=False)


def is_dropped(name: str) -> bool:
    """Return whether a field is not kept: secrets, confirmations, and what belongs to the session."""
    return "password" in name or name in _DROPPED
