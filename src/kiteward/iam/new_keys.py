"""What a new API key is made of, and the rules for that which do not depend on its owner."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from kiteward.domain.addresses import networks_of
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.domain.faults import Faults
from kiteward.domain.naming import check_description
from kiteward.iam.settings import LONGEST_LIFE

_MOST_NETWORKS: Final = 100


@dataclass(frozen=True, slots=True)
class NewKey:
    """An API key to be created.

    Attributes:
        owner: the user who is to own it; empty for the caller.
        description: free text.
        lifetime: seconds until it expires; None for the configured default.
        roles: the roles that it is restricted to; None for all roles of its owner.
        networks: the networks from which it is accepted, in CIDR form; empty for any.
    """

    owner: str = ""
    description: str = ""
    lifetime: int | None = None
    roles: Sequence[str] | None = None
    networks: Sequence[str] = ()


def check_new_key(new: NewKey) -> None:
    """Refuse what is wrong with a new key whoever its owner is.

    Raises:
        InvalidArgument: the description, lifetime or networks are not acceptable; it has the others.
    """
    checked(new)[0].require_none()


def checked(new: NewKey) -> tuple[Faults, NewKey]:
    """Return what is wrong with a new key whoever its owner is, and the key without that, for further checks.

    Args:
        new: the key, with the lifetime that it gets.
    """
    faults, sound = Faults(), replace(new, description="", lifetime=None, networks=())
    with faults:
        check_description(new.description)
        sound = replace(sound, description=new.description)
    with faults:
        _check_lifetime(new.lifetime)
        sound = replace(sound, lifetime=new.lifetime)
    with faults:
        sound = replace(sound, networks=_networks(new.networks))
    return faults, sound


def _check_lifetime(lifetime: int | None) -> None:
    if lifetime is not None and not 1 <= lifetime <= LONGEST_LIFE:
        raise InvalidArgument(
            f"`expiresIn` must be from 1 to {LONGEST_LIFE} seconds",
            ErrorDetail(ErrorCode.LIFETIME_OUT_OF_RANGE, {"limit": LONGEST_LIFE}),
            field="expiresIn",
        )


def _networks(given: Sequence[str]) -> tuple[str, ...]:
    if len(given) > _MOST_NETWORKS:
        raise InvalidArgument(
            f"`networks` must be at most {_MOST_NETWORKS}",
            ErrorDetail(ErrorCode.NETWORKS_LIMIT, {"limit": _MOST_NETWORKS}),
            field="networks",
        )
    try:
        return networks_of(given)
    except ValueError as error:
        raise InvalidArgument(
            f"`networks` must have networks such as 10.0.0.0/8 or 2001:db8::/32: {error}",
            ErrorDetail(ErrorCode.NETWORK_INVALID),
            field="networks",
        ) from None
