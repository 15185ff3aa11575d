"""What was typed into a form whose session had ended: the same user gets the form again, with the values in it.

With a password it goes through the page for signing in, in the browser alone. A user who signs in at an identity
provider leaves that page, so that this server keeps it for a while, in its memory. Secrets are never among the values.
"""

import hashlib
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import quote_plus

from kiteward.api.console.way_back import CARRIED
from kiteward.domain.identity import Secret

USER_FIELD: Final = "form_of"
"""The field of every form that names the user to whom it was shown."""

RESUMED_FIELD: Final = "resumed"
"""The field of a form that asks for its page with the values in it, and not for its action."""

_DROPPED: Final = frozenset(
    {"csrf", CARRIED, USER_FIELD, RESUMED_FIELD, "again", "code", "passkey", "reload", "typed_name"}
)
_MOST_BYTES: Final = 32 * 1024
"""The maximum size of what is kept, as a form sends it."""

WAITING_SECONDS: Final = 1200
"""The time in which a user must be back from an identity provider."""

_MOST_WAITING: Final = 64
"""Forms that wait at one server; one more replaces the oldest. They take two megabytes at most."""

_TICKET_BYTES: Final = 32


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


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A form that waits: its path, and when it is forgotten by the monotonic clock."""

    form: KeptForm
    path: str
    ends_at: float


class WaitingForms:
    """Forms whose users are at an identity provider. The browser has the ticket of its form, in a cookie."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()

    def put(self, form: KeptForm, path: str) -> Secret:
        """Keep a form, and return its ticket.

        Args:
            form: what was typed.
            path: the path of its page.
        """
        ticket = secrets.token_urlsafe(_TICKET_BYTES)
        self._waiting[_digest(ticket)] = _Waiting(form, path, self._clock() + WAITING_SECONDS)
        while len(self._waiting) > _MOST_WAITING or self._oldest_is_over():
            self._waiting.popitem(last=False)
        return Secret(ticket)

    def take(self, ticket: str, path: str) -> KeptForm | None:
        """Return and remove the form of a ticket; None if there is none, or if it is of another page or too old."""
        found = self._waiting.pop(_digest(ticket), None)
        return found.form if found is not None and found.path == path and self._clock() < found.ends_at else None

    def _oldest_is_over(self) -> bool:
        return next(iter(self._waiting.values())).ends_at <= self._clock()


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
