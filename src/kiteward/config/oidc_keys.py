"""The rows of the settings of identity providers. Each entry of the list `kiteward.oidc` has keys of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kiteward.authn.oidc.issuers import ALGORITHMS, LEEWAY, LONGEST_AUTHENTICATION_AGE, LONGEST_LEEWAY, SUBJECT, SignUp
from kiteward.config.key import Key
from kiteward.config.kinds import Choice, Names, Number, Text

Entries = tuple[Mapping[str, Any], ...]
"""The entries of the list, each as the file has it."""


def _read(text: str, otherwise: str) -> object:
    """Return what a variable holds; raises ValueError with the given message."""
    from kiteward.config.yaml_text import NotYaml, document_of  # noqa: PLC0415  where a variable is set

    try:
        return document_of(text)[0]
    except NotYaml:
        raise ValueError(otherwise) from None


@dataclass(frozen=True, slots=True)
class EntryList:
    """A list of sections; an environment variable holds it as YAML or JSON."""

    takes: str

    def parse(self, value: object) -> Entries:
        if isinstance(value, str):
            value = _read(value, "must be a list of sections, in YAML or JSON")
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise ValueError("must be a list of sections, one for each identity provider")
        return tuple({str(name): inner for name, inner in each.items()} for each in value)


@dataclass(frozen=True, slots=True)
class NamesBy:
    """A mapping of names to names, one or a list each."""

    takes: str

    def parse(self, value: object) -> Mapping[str, frozenset[str]]:
        if not isinstance(value, dict):
            raise ValueError("must be a section of names")  # noqa: TRY004  as every wrong value
        names = Names("names")
        return {
            str(name): frozenset()
            if each is None
            else names.parse(str(each).lower() if isinstance(each, bool) else each)
            for name, each in value.items()
        }


@dataclass(frozen=True, slots=True)
class TextBy:
    """A mapping of names to texts; an environment variable holds it as YAML or JSON."""

    takes: str

    def parse(self, value: object) -> Mapping[str, str]:
        if isinstance(value, str):
            value = _read(value, "must be a section of texts, in YAML or JSON")
        if not isinstance(value, dict):
            raise ValueError("must be a section of texts")  # noqa: TRY004  as every wrong value
        return {str(name): Text("text").parse("" if each is None else each) for name, each in value.items()}


OIDC: Final[Key[Entries]] = Key(
    "kiteward.oidc",
    EntryList("list"),
    (),
    "identity providers whose tokens are accepted, as [single sign-on](single-sign-on.md#settings) describes",
    secret=True,
    unset="none",
)

ISSUER: Final[Key[str]] = Key("issuer", Text("URL"), "", "the issuer, exactly as the claim `iss` of its tokens says it")
AUDIENCE: Final[Key[frozenset[str]]] = Key(
    "audience", Names("names"), frozenset(), "for whom a token must be (`aud`); one of several is enough"
)
JWKS_URI: Final[Key[str]] = Key(
    "jwksUri", Text("URL"), "", "where its public keys are (JWK Set)", unset="found by discovery"
)
JWKS_FILE: Final[Key[str]] = Key("jwksFile", Text("path"), "", "instead: a file that holds them")
CA_FILE: Final[Key[str]] = Key("caFile", Text("path"), "", "CA that signs its certificate", unset="those of the system")
ACCEPTED_ALGORITHMS: Final[Key[frozenset[str]]] = Key(
    "algorithms",
    Names("names"),
    frozenset(ALGORITHMS),
    "algorithms of signatures that are accepted",
    unset="all of them",
)
CLOCK_LEEWAY: Final[Key[int]] = Key(
    "leeway", Number("seconds", 0, LONGEST_LEEWAY), LEEWAY, "by how much its clock may differ"
)
REQUIRED_CLAIMS: Final[Key[Mapping[str, frozenset[str]]]] = Key(
    "requiredClaims",
    NamesBy("claims"),
    {},
    "claims that a token must have, each with its accepted values",
    unset="none",
)
AUTHORIZED_PARTIES: Final[Key[frozenset[str]]] = Key(
    "authorizedParties", Names("names"), frozenset(), "clients whose tokens are accepted (`azp`)", unset="all"
)
AUTHENTICATION_AGE: Final[Key[int]] = Key(
    "maxAuthenticationAge",
    Number("seconds", 60, LONGEST_AUTHENTICATION_AGE),
    0,
    "how long ago a user may have authenticated there (`auth_time`)",
    unset="not looked at",
)
USER_CLAIM: Final[Key[str]] = Key("userClaim", Text("claim"), SUBJECT, "the claim that a user name is made from")
USER_TEMPLATE: Final[Key[str]] = Key(
    "userTemplate", Text("text"), "", "instead: a text with claims in braces, as k8s_{kubernetes.io/namespace}"
)
USER_PREFIX: Final[Key[str]] = Key(
    "userPrefix", Text("text"), "", "what its user names begin with; required unless the template begins with text"
)
USER_REPLACE: Final[Key[Mapping[str, str]]] = Key(
    "userReplace",
    TextBy("texts"),
    {},
    'text in claims and what stands for it in user names, as {"@": "_"}',
    unset="none",
)
GROUPS_CLAIM: Final[Key[str]] = Key(
    "groupsClaim", Text("claim"), "", "the claim with the groups of a user", unset="none"
)
GROUP_ROLES: Final[Key[Mapping[str, frozenset[str]]]] = Key(
    "groupRoles", NamesBy("roles"), {}, "groups and the roles that they give", unset="none"
)
GROUP_ROLE_PATTERNS: Final[Key[Mapping[str, frozenset[str]]]] = Key(
    "groupRolePatterns",
    NamesBy("roles"),
    {},
    "the same for patterns of groups, in which * stands for any text",
    unset="none",
)
ROLES_CLAIM: Final[Key[str]] = Key(
    "rolesClaim", Text("claim"), "", "a claim that names roles itself, of `allowedRoles`", unset="none"
)
ALLOWED_ROLES: Final[Key[frozenset[str]]] = Key(
    "allowedRoles", Names("roles"), frozenset(), "the roles that `rolesClaim` can give", unset="none"
)
TAG_CLAIMS: Final[Key[Mapping[str, str]]] = Key(
    "tagClaims", TextBy("claims"), {}, "tags for row policies and the claims that hold them", unset="none"
)
SIGN_UP: Final[Key[SignUp]] = Key(
    "signUp",
    Choice(tuple(SignUp)),
    SignUp.INVITED,
    "whether users are created when they sign in first, or administrators invite them",
)
CLIENT_ID: Final[Key[str]] = Key(
    "clientId", Text("text"), "", "the id of this server as a client, for signing in to the console", unset="none"
)
CLIENT_SECRET: Final[Key[str]] = Key(
    "clientSecret", Text("text"), "", "its secret, if it has one", secret=True, unset="none"
)
CLIENT_SECRET_FILE: Final[Key[str]] = Key(
    "clientSecretFile", Text("path"), "", "instead: a file that holds that secret"
)
SIGN_IN_NAME: Final[Key[str]] = Key(
    "signInName",
    Text("name"),
    "",
    "its name on the page for signing in, and in the redirect URI",
    unset="its host name",
)
SCOPES: Final[Key[frozenset[str]]] = Key(
    "scopes",
    Names("names"),
    frozenset({"openid", "profile"}),
    "what is asked for when somebody signs in to the console",
    unset="openid, profile",
)
SIGN_IN_CLAIMS: Final[Key[Mapping[str, frozenset[str]]]] = Key(
    "signInClaims",
    NamesBy("claims"),
    {},
    "claims that an ID token must have when somebody signs in to the console, as `requiredClaims` for access tokens",
    unset="none",
)

ENTRY_KEYS: Final[Sequence[Key[Any]]] = (
    ISSUER,
    AUDIENCE,
    JWKS_URI,
    JWKS_FILE,
    CA_FILE,
    ACCEPTED_ALGORITHMS,
    CLOCK_LEEWAY,
    REQUIRED_CLAIMS,
    AUTHORIZED_PARTIES,
    AUTHENTICATION_AGE,
    USER_CLAIM,
    USER_TEMPLATE,
    USER_PREFIX,
    USER_REPLACE,
    GROUPS_CLAIM,
    GROUP_ROLES,
    GROUP_ROLE_PATTERNS,
    ROLES_CLAIM,
    ALLOWED_ROLES,
    TAG_CLAIMS,
    SIGN_UP,
    CLIENT_ID,
    CLIENT_SECRET,
    CLIENT_SECRET_FILE,
    SIGN_IN_NAME,
    SCOPES,
    SIGN_IN_CLAIMS,
)
"""The keys of an entry, in the order of the document."""
