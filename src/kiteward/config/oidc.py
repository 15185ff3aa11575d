"""Reads the settings of identity providers. An error names the entry and the key, and never shows a value."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from kiteward.authn.oidc.group_mapping import GroupMapping
from kiteward.authn.oidc.issuers import ALGORITHMS, Client, Issuer, KeySource, NameRule, is_safe
from kiteward.config import oidc_keys as keys
from kiteward.config.key import Key
from kiteward.config.reader import Reader
from kiteward.config.sources import password_in
from kiteward.config.spelling import closest
from kiteward.domain.errors import ConfigurationError, InvalidArgument
from kiteward.domain.identity import Secret
from kiteward.domain.tags import check_tag_key

T = TypeVar("T")

_TEMPLATE: Final = re.compile(r"(?:[^{}]|\{[^{}]+\})*")
_PREFIX: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]*")
_SIGN_IN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+")
"""A scope (RFC 6749, 3.3)."""

_KNOWN: Final = frozenset(key.name for key in keys.ENTRY_KEYS)


def issuers(reader: Reader) -> tuple[Issuer, ...]:
    """Return the identity providers.

    Raises:
        ConfigurationError: an entry is wrong, or two of them contradict one another.
    """
    entries = reader.get(keys.OIDC)
    found = tuple(_Entry(f"{keys.OIDC.name}[{place}]", entry).issuer() for place, entry in enumerate(entries))
    _require_apart(found)
    return found


def _require_apart(found: Sequence[Issuer]) -> None:
    """Require that no two issuers are the same, and no user of one can be a user of another."""
    for place, issuer in enumerate(found):
        for other_place, other in enumerate(found[:place]):
            both = f"{keys.OIDC.name}[{other_place}] and {keys.OIDC.name}[{place}]"
            if issuer.client and other.client and issuer.sign_in_name == other.sign_in_name:
                raise ConfigurationError(f"{both} have the same name for signing in: set signInName of one of them")
            if issuer.name == other.name:
                raise ConfigurationError(f"{both} are the same issuer: list it once, with several audiences")
            prefixes = sorted((issuer.names.prefix, other.names.prefix), key=len)
            if prefixes[1].startswith(prefixes[0]):
                raise ConfigurationError(
                    f"{both} could name the same user: give them values of userPrefix of which none begins with another"
                )


class _Entry:
    """One entry of the list."""

    def __init__(self, name: str, given: Mapping[str, Any]) -> None:
        self._name = name
        self._given = given

    def issuer(self) -> Issuer:
        """Return the issuer.

        Raises:
            ConfigurationError: the entry is wrong.
        """
        for name in self._given:
            if name not in _KNOWN:
                meant = closest(str(name), _KNOWN)
                instead = f": did you mean {meant}?" if meant else f"; valid keys: {', '.join(sorted(_KNOWN))}"
                raise ConfigurationError(f"unknown key {self._name}.{name}{instead}")
        roles_claim, allowed = self.get(keys.ROLES_CLAIM), self.get(keys.ALLOWED_ROLES)
        self.require(
            bool(roles_claim) == bool(allowed), keys.ROLES_CLAIM, "and allowedRoles belong together: set both or none"
        )
        return Issuer(
            self._issuer_name(),
            self._audiences(),
            self._names(),
            keys=self._key_source(),
            algorithms=self._algorithms(),
            leeway=self.get(keys.CLOCK_LEEWAY),
            required_claims=self.get(keys.REQUIRED_CLAIMS),
            authorized_parties=self.get(keys.AUTHORIZED_PARTIES),
            authentication_age=self.get(keys.AUTHENTICATION_AGE),
            groups_claim=self._groups_claim(),
            group_roles=self._group_roles(),
            roles_claim=roles_claim,
            allowed_roles=allowed,
            tag_claims=self._tag_claims(),
            sign_up=self.get(keys.SIGN_UP),
            client=self._client(),
        )

    def get(self, key: Key[T]) -> T:
        """Return the value of a key.

        Raises:
            ConfigurationError: it is invalid.
        """
        value = self._given.get(key.name)
        if value is None:
            return key.default
        try:
            return key.kind.parse(value)
        except ValueError as error:
            raise self._wrong(key, str(error)) from None

    def require(self, holds: bool, key: Key[Any], rule: str) -> None:
        """Raise ConfigurationError with a rule about a key unless it holds."""
        if not holds:
            raise self._wrong(key, rule)

    def _wrong(self, key: Key[Any], rule: str) -> ConfigurationError:
        return ConfigurationError(f"{self._name}.{key.name} {rule}")

    def _issuer_name(self) -> str:
        name = self.get(keys.ISSUER)
        self.require(bool(name), keys.ISSUER, "is missing: name the issuer as the claim `iss` of its tokens does")
        remote = not (self._given.get(keys.JWKS_FILE.name) or self._given.get(keys.JWKS_URI.name))
        if remote:
            self.require(is_safe(name), keys.ISSUER, "must be like https://idp.example; http on loopback only")
        return name

    def _audiences(self) -> frozenset[str]:
        found = self.get(keys.AUDIENCE)
        self.require(bool(found), keys.AUDIENCE, "is missing: name for whom tokens must be, such as kiteward")
        return found

    def _names(self) -> NameRule:
        template, prefix = self.get(keys.USER_TEMPLATE), self.get(keys.USER_PREFIX)
        self.require(
            not template or self._given.get(keys.USER_CLAIM.name) is None,
            keys.USER_TEMPLATE,
            "and userClaim are both set: set one of them",
        )
        text = template or f"{{{self.get(keys.USER_CLAIM)}}}"
        self.require(
            _TEMPLATE.fullmatch(text) is not None and "{" in text,
            keys.USER_TEMPLATE,
            "must have claims in braces, as idp_{preferred_username}",
        )
        rule = NameRule(prefix + text, self.get(keys.USER_REPLACE))
        self.require(
            "{" not in prefix and _PREFIX.fullmatch(rule.prefix) is not None,
            keys.USER_PREFIX,
            "must begin with a letter, and have letters, digits, underscores, dots and hyphens only, as idp_; it may "
            "be left out only where userTemplate begins with such a text",
        )
        self.require(all(rule.replaced), keys.USER_REPLACE, "must not replace an empty text")
        return rule

    def _key_source(self) -> KeySource:
        uri, file, ca = self.get(keys.JWKS_URI), self.get(keys.JWKS_FILE), self.get(keys.CA_FILE)
        self.require(not (uri and file), keys.JWKS_URI, "and jwksFile are both set: set one of them")
        self.require(
            not uri or is_safe(uri), keys.JWKS_URI, "must be like https://idp.example/keys; http on loopback only"
        )
        return KeySource(uri, Path(file) if file else None, Path(ca) if ca else None)

    def _algorithms(self) -> frozenset[str]:
        found = self.get(keys.ACCEPTED_ALGORITHMS)
        self.require(
            bool(found) and found.issubset(ALGORITHMS),
            keys.ACCEPTED_ALGORITHMS,
            f"must be some of {', '.join(ALGORITHMS)}: only those whose keys can be published",
        )
        return found

    def _groups_claim(self) -> str:
        claim = self.get(keys.GROUPS_CLAIM)
        mapped = self.get(keys.GROUP_ROLES) or self.get(keys.GROUP_ROLE_PATTERNS)
        self.require(bool(claim) or not mapped, keys.GROUP_ROLES, "needs groupsClaim, the claim that holds the groups")
        return claim

    def _group_roles(self) -> GroupMapping:
        return GroupMapping(self.get(keys.GROUP_ROLES), self.get(keys.GROUP_ROLE_PATTERNS))

    def _tag_claims(self) -> Mapping[str, str]:
        found = self.get(keys.TAG_CLAIMS)
        try:
            for key in found:
                check_tag_key(key)
        except InvalidArgument as error:
            raise self._wrong(keys.TAG_CLAIMS, f"names a tag that cannot be: {error}") from None
        self.require(all(found.values()), keys.TAG_CLAIMS, "must name a claim for each tag")
        return found

    def _client(self) -> Client | None:
        client_id, secret, file = map(self.get, (keys.CLIENT_ID, keys.CLIENT_SECRET, keys.CLIENT_SECRET_FILE))
        self.require(not (secret and file), keys.CLIENT_SECRET, "and clientSecretFile are both set: set one of them")
        self.require(
            bool(client_id) or not (secret or file), keys.CLIENT_ID, "is missing: a secret without it is nobody's"
        )
        required = self.get(keys.SIGN_IN_CLAIMS)
        self.require(bool(client_id) or not required, keys.SIGN_IN_CLAIMS, "needs clientId: nobody signs in without it")
        if not client_id:
            return None
        if file:
            secret = password_in(file, f"{self._name}.{keys.CLIENT_SECRET_FILE.name}")
            self.require(bool(secret), keys.CLIENT_SECRET_FILE, "names an empty file")
        return Client(client_id, Secret(secret), self._sign_in_name(), self._scopes(), required)

    def _sign_in_name(self) -> str:
        name = self.get(keys.SIGN_IN_NAME)
        self.require(
            not name or _SIGN_IN_NAME.fullmatch(name) is not None,
            keys.SIGN_IN_NAME,
            "must have letters, digits, dots, underscores and hyphens only, at most 64",
        )
        return name

    def _scopes(self) -> tuple[str, ...]:
        found = self.get(keys.SCOPES)
        self.require("openid" in found, keys.SCOPES, "must contain openid: without it there is no ID token")
        self.require(all(map(_SCOPE.fullmatch, found)), keys.SCOPES, "must be names without spaces")
        return tuple(sorted(found))
