"""Reads from the claims of a verified token who it is, and which groups, roles and tags it has."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kiteward.authn.oidc import refusals
from kiteward.authn.oidc.issuers import Issuer, NameRule
from kiteward.authn.oidc.tokens import VerifiedToken, claim, listed, texts_of
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import InvalidArgument, TokenRejected
from kiteward.domain.identity import ROOT
from kiteward.domain.naming import NamingRules, can_be_stored
from kiteward.domain.tags import check_tag_value
from kiteward.store.identity_records import ClaimedRights

MOST_GROUPS: Final = 1_000
"""Most groups of a token. A token with more is refused: which roles it would lose is not to be guessed."""

_PLACE: Final = re.compile(r"\{([^{}]+)\}")
_LONGEST_SHOWN: Final = 160


@dataclass(frozen=True, slots=True)
class FederatedIdentity:
    """Who a verified token is.

    Attributes:
        issuer: the name of its issuer.
        subject: unique there, and the same for as long as the person or program is known there.
        user_name: the name that a new user gets; one who has signed in before keeps the name.
        rights: its groups, the roles that its claim of roles gives, and its tags.
    """

    issuer: str
    subject: str
    user_name: str
    rights: ClaimedRights = field(default_factory=ClaimedRights)

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of its groups, sorted."""
        return self.rights.groups


def identity_of(token: VerifiedToken, naming: NamingRules) -> FederatedIdentity:
    """Return who a verified token is.

    Args:
        token: the token.
        naming: the rules of user names.

    Raises:
        TokenRejected: a claim is missing or unusable, or no user can have such a name.
    """
    issuer, claims = token.issuer, token.claims
    return FederatedIdentity(
        issuer.name, token.subject, _user_name(issuer.names, claims, naming), _rights(issuer, claims)
    )


def fill(rule: NameRule, claims: Mapping[str, Any]) -> str:
    """Return the name that a rule makes from claims.

    Raises:
        TokenRejected: a claim of the rule is missing, empty, or neither text nor number.
    """

    def value(place: "re.Match[str]") -> str:
        found = claim(claims, place[1])
        if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
            raise refusals.missing_claim(place[1])
        text = str(found)
        for old, new in rule.replaced.items():
            text = text.replace(old, new)
        return text

    return _PLACE.sub(value, rule.template)


def _user_name(rule: NameRule, claims: Mapping[str, Any], naming: NamingRules) -> str:
    name = fill(rule, claims)
    try:
        naming.check_user_name(name)
    except InvalidArgument as error:
        raise _no_name("it is no user name here", str(error)) from None
    if name == ROOT or not name.startswith(rule.prefix) or name == rule.prefix:
        raise _no_name("no token can have this name", f"{name!r}")
    return name


def _no_name(why: str, details: str) -> TokenRejected:
    return refusals.refused(
        ErrorCode.TOKEN_USER_NAME,
        f"the user name that is made from its claims cannot be used ({why}): see userClaim and userReplace",
        reason=f"the user name that is made from its claims cannot be used: {details[:_LONGEST_SHOWN]}",
    )


def _rights(issuer: Issuer, claims: Mapping[str, Any]) -> ClaimedRights:
    groups = _texts(claims, issuer.groups_claim)
    roles = issuer.allowed_roles.intersection(_texts(claims, issuer.roles_claim))
    return ClaimedRights(groups, tuple(sorted(roles)), _tags(issuer, claims))


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return the texts of a claim with a list of names, sorted; none where it is not there.

    Raises:
        TokenRejected: it has more than are read, or one that no database can hold.
    """
    value = listed(claims, name) if name else None
    if value is None:
        return ()
    found = sorted({each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)})
    if len(found) > MOST_GROUPS:
        raise refusals.refused(
            ErrorCode.TOKEN_GROUPS_LIMIT,
            f"its claim `{name}` has more than {MOST_GROUPS} values: let the issuer leave some out",
            name=name,
            limit=MOST_GROUPS,
        )
    if not can_be_stored("".join(found)):
        raise refusals.missing_claim(name)
    return tuple(found)


def _tags(issuer: Issuer, claims: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the tags that the claims give; a claim that is missing gives none.

    Raises:
        TokenRejected: a value is none that a tag can have: without the tag, it could see other rows.
    """
    values = {key: claim(claims, name) for key, name in sorted(issuer.tag_claims.items())}
    return {key: _tag(key, issuer.tag_claims[key], value) for key, value in values.items() if value is not None}


def _tag(key: str, name: str, value: object) -> str:
    texts = [] if isinstance(value, list) else texts_of(value)
    try:
        check_tag_value(key, "".join(texts))
    except InvalidArgument:
        raise refusals.missing_claim(name) from None
    return "".join(texts)


def credential_of(issuer: str, subject: str) -> str:
    """Return how an identity is recorded as the credential of a request: `oidc:<issuer>#<subject>`.

    It is of limited length, printable ASCII, and another one for each identity.
    """
    text = f"oidc:{issuer}#{subject}"
    if len(text) <= _LONGEST_SHOWN and text.isascii() and text.isprintable():
        return text
    plain = "".join(each if each.isascii() and each.isprintable() else "?" for each in text)
    return f"{plain[:_LONGEST_SHOWN]}~{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
