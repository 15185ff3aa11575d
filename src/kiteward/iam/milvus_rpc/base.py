"""What handlers of Milvus RPCs are called with, and what all of them decode alike."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from kiteward.authz.policy import PolicySnapshot
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.identity import PasswordCredential, Principal, Secret
from kiteward.iam.services import ReceivedCall, Services
from kiteward.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Request:
    """One administrative request, already allowed.

    Attributes:
        call: the request as it came.
        principal: who calls.
        snapshot: the policy it was allowed by.
        change: opens the transaction for a change; it checks again that the caller may, in case that changed while
            waiting.
        verify_password: returns the id of the stored credential that a user name and password match, or raises
            PasswordRejected; throttled and counted as if the caller had signed in with them.
        record: takes, by keyword, what the audit trail is to hold of what came of a change, beside the request itself;
            never a secret.
    """

    call: ReceivedCall
    principal: Principal
    snapshot: PolicySnapshot
    change: Callable[[], AbstractAsyncContextManager[Transaction]]
    verify_password: Callable[[PasswordCredential], Awaitable[str]]
    record: Callable[..., None]


async def cached(services: Services, request: Request, answer: Callable[[], Awaitable[bytes]]) -> bytes:
    """Return the answer to a request that is the same for every caller while the policy's revision stands.

    Args:
        services: what services work with.
        request: the request.
        answer: makes the answer where it is not in the cache.
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
        what: how to call it in the message, for example `old password`.

    Raises:
        InvalidArgument: not base64, or not UTF-8 behind it. The message holds nothing of the value.
    """
    try:
        return Secret(base64.b64decode(encoded, validate=True).decode())
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidArgument(
            f"decode {what} failed: it must be the standard base64 form of UTF-8 text, with padding"
        ) from None
