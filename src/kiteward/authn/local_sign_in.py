"""Which users sign in to the console with a password, where an identity provider is the usual way."""

import ipaddress
from enum import StrEnum

from kiteward.domain.addresses import host_in
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied
from kiteward.domain.identity import Principal


class LocalSignIn(StrEnum):
    """The users who may, `kiteward.console.localSignIn`. REST and gRPC take passwords as ever."""

    EVERYONE = "everyone"
    ADMINISTRATORS = "administrators"
    ADMINISTRATORS_FROM_LOOPBACK = "administrators-from-loopback"
    NOBODY = "nobody"

    def require(self, principal: Principal, address: str) -> None:
        """Require that a user whose password was verified may begin a session.

        Args:
            principal: the user.
            address: where the request comes from, as `host:port`.

        Raises:
            AccessDenied: this user may not, or not from there.
        """
        if self is LocalSignIn.EVERYONE:
            return
        if self is LocalSignIn.NOBODY:
            raise AccessDenied(
                "nobody signs in to the console with a password here: use the identity provider",
                ErrorDetail(ErrorCode.LOCAL_SIGN_IN_CLOSED),
            )
        if self is LocalSignIn.ADMINISTRATORS_FROM_LOOPBACK and not _is_loopback(host_in(address)):
            raise AccessDenied(
                "passwords are accepted in the console only from the machine that the server runs on: "
                "use the identity provider",
                ErrorDetail(ErrorCode.LOCAL_SIGN_IN_LOOPBACK),
            )
        from kiteward.authz.policy import decide_administrator  # noqa: PLC0415  settings need no policy

        if not decide_administrator(principal).allowed:
            raise AccessDenied(
                "only administrators sign in to the console with a password here: use the identity provider",
                ErrorDetail(ErrorCode.LOCAL_SIGN_IN_ADMINISTRATORS),
            )


def _is_loopback(host: str) -> bool:
    """Return whether a client's host is a loopback address; one that is not known is none."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
