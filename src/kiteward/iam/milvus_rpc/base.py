"""What handlers of Milvus RPCs are called with, and what several of them decode."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TypeVar

from kiteward.authz.policy import Condition, Decision, PolicySnapshot
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.identity import PasswordCredential, Principal, Secret
from kiteward.iam.services import ReceivedCall, Services
from kiteward.milvus import messages
from kiteward.store.transaction import Transaction

_M = TypeVar("_M", bound=messages.ProtocolMessage)


@dataclass(frozen=True, slots=True)
class Request:
    """One administrative request that its caller is allowed to make.

    Attributes:
        call: the request as received.
        message: the request message, decoded once.
        principal: the caller.
        snapshot: the policy by which it was allowed.
        change: opens the transaction for a change; it authorizes the caller again, because it may have waited.
        verify_password: returns the id of the stored credential that a user name and password match, or raises
            PasswordRejected; throttled and counted as if the caller had signed in with them.
        record: adds keyword arguments to the recorded result of a change in the audit trail, besides the request; never
            a secret.
        tentative: false: a change is made when its transaction ends.
    """

    call: ReceivedCall
    message: messages.ProtocolMessage = field(repr=False)  # it may hold a password
    principal: Principal
    snapshot: PolicySnapshot
    change: Callable[[], AbstractAsyncContextManager[Transaction]]
    verify_password: Callable[[PasswordCredential], Awaitable[str]]
    record: Callable[..., None]
    tentative: bool = False

    def enforce(self, condition: Condition, decision: Decision, *, given: str) -> None:  # noqa: ARG002  see `Caller`
        """Enforce a decision, with the message of Milvus; see `Caller.enforce`. The row has decided it before."""
        decision.require_allowed()

    def read(self, kind: type[_M]) -> _M:
        """Return the request message, which must be of a type.

        Raises:
            TypeError: it is of another type.
        """
        if not isinstance(self.message, kind):
            raise TypeError(f"{self.call.operation} is no {kind.__name__}")
        return self.message


async def cached(services: Services, request: Request, answer: Callable[[], Awaitable[bytes]]) -> bytes:
    """Return the response to a request that has the same response for every caller at one revision of the policy.

    Args:
        services: what services work with.
        request: the request.
        answer: returns the response, where it is not in the cache.
    """
    revision = request.snapshot.revision
    remembered = services.response_cache.get(request.call, revision)
    if remembered is not None:
        return remembered
    return services.response_cache.put(request.call, revision, await answer())


def decode_password(encoded: str, what: str) -> Secret:
    """Return the password behind its base64 form (contract 1.2, 2.2).

    Args:
        encoded: standard base64 of the UTF-8 password.
        what: the name of the value in the message of an error, for example `old password`.

    Raises:
        InvalidArgument: it is not base64, or not of UTF-8. The message does not repeat the value.
    """
    try:
        return Secret(base64.b64decode(encoded, validate=True).decode())
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidArgument(
            f"decode {what} failed: it must be the standard base64 form of UTF-8 text, with padding"
        ) from None
