"""The schemas: which attributes users and groups have here, a part of RFC 7643, 4.

Attributes that Kiteward has no use for (telephone numbers, addresses, photos) are not kept, so that nobody's are here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

USER_URN: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_URN: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_URN: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
SCHEMA_URN: Final = "urn:ietf:params:scim:schemas:core:2.0:Schema"
RESOURCE_TYPE_URN: Final = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
PROVIDER_URN: Final = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"


class Kind(StrEnum):
    """The type of an attribute (RFC 7643, 2.3)."""

    STRING = "string"
    BOOLEAN = "boolean"
    DATE_TIME = "dateTime"
    REFERENCE = "reference"
    COMPLEX = "complex"


class Mutability(StrEnum):
    """Who changes an attribute, and when (RFC 7643, 7)."""

    READ_WRITE = "readWrite"
    READ_ONLY = "readOnly"
    IMMUTABLE = "immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """An attribute, or a part of a complex one.

    Attributes:
        name: its name; names are compared without regard to case.
        description: for people, in one sentence.
        kind: its type.
        multi_valued: whether it has a list of values.
        required: whether it always has a value.
        case_exact: whether its values are compared by code point; otherwise without regard to case.
        mutability: who changes it.
        always: whether it is always returned.
        unique: whether no two resources have the same value.
        canonical: values that are suggested.
        references: what a reference refers to.
        parts: the parts of a complex attribute.
    """

    name: str
    description: str
    kind: Kind = Kind.STRING
    multi_valued: bool = False
    required: bool = False
    case_exact: bool = False
    mutability: Mutability = Mutability.READ_WRITE
    always: bool = False
    unique: bool = False
    canonical: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    parts: tuple["Attribute", ...] = ()

    def part(self, name: str) -> "Attribute | None":
        """Return the part of this name in any case, or None."""
        return next((each for each in self.parts if each.name.lower() == name.lower()), None)

    def document(self) -> dict[str, Any]:
        """Return the attribute as a schema describes it (RFC 7643, 7)."""
        described: dict[str, Any] = {
            "name": self.name,
            "type": self.kind.value,
            "multiValued": self.multi_valued,
            "description": self.description,
            "required": self.required,
            "mutability": self.mutability.value,
            "returned": "always" if self.always else "default",
        }
        if self.kind is Kind.COMPLEX:
            return {**described, "subAttributes": [part.document() for part in self.parts]}
        described |= {"caseExact": self.case_exact, "uniqueness": "server" if self.unique else "none"}
        described |= {"canonicalValues": list(self.canonical)} if self.canonical else {}
        return described | ({"referenceTypes": list(self.references)} if self.references else {})


_READ_ONLY: Final = Mutability.READ_ONLY
_IMMUTABLE: Final = Mutability.IMMUTABLE

ID: Final = Attribute(
    name="id", description="Its id, for ever", case_exact=True, mutability=_READ_ONLY, always=True, unique=True
)
EXTERNAL_ID: Final = Attribute(name="externalId", description="The id that the client gives it", case_exact=True)
META: Final = Attribute(
    name="meta",
    description="What is known of the resource itself",
    kind=Kind.COMPLEX,
    mutability=_READ_ONLY,
    parts=(
        Attribute(name="resourceType", description="User or Group", case_exact=True, mutability=_READ_ONLY),
        Attribute(name="created", description="When it was made", kind=Kind.DATE_TIME, mutability=_READ_ONLY),
        Attribute(name="lastModified", description="When it last changed", kind=Kind.DATE_TIME, mutability=_READ_ONLY),
        Attribute(name="location", description="Its address", kind=Kind.REFERENCE, mutability=_READ_ONLY),
        Attribute(name="version", description="Its version", case_exact=True, mutability=_READ_ONLY),
    ),
)
COMMON: Final = (ID, EXTERNAL_ID, META)
"""Attributes of every resource, which schemas do not list (RFC 7643, 3.1)."""


@dataclass(frozen=True, slots=True)
class ResourceSchema:
    """A type of resources with its schema.

    Attributes:
        urn: the URN of the schema.
        name: `User` or `Group`.
        endpoint: the path below the root of the API.
        description: for people, in one sentence.
        attributes: the attributes besides `COMMON`.
        not_kept: names, in lower case, of attributes of RFC 7643 that are accepted and not kept.
    """

    urn: str
    name: str
    endpoint: str
    description: str
    attributes: tuple[Attribute, ...]
    not_kept: frozenset[str] = field(default=frozenset())

    def attribute(self, name: str) -> Attribute | None:
        """Return the attribute of this name in any case, or None."""
        return next((each for each in (*COMMON, *self.attributes) if each.name.lower() == name.lower()), None)

    def document(self) -> dict[str, Any]:
        """Return the schema as a resource (RFC 7643, 7)."""
        return {
            "schemas": [SCHEMA_URN],
            "id": self.urn,
            "name": self.name,
            "description": self.description,
            "attributes": [each.document() for each in self.attributes],
            "meta": {"resourceType": "Schema"},
        }

    def resource_type(self) -> dict[str, Any]:
        """Return the type as a resource (RFC 7643, 6)."""
        return {
            "schemas": [RESOURCE_TYPE_URN],
            "id": self.name,
            "name": self.name,
            "endpoint": self.endpoint,
            "description": self.description,
            "schema": self.urn,
            "meta": {"resourceType": "ResourceType"},
        }


def _name_part(name: str, description: str) -> Attribute:
    return Attribute(name=name, description=description)


USER: Final = ResourceSchema(
    USER_URN,
    "User",
    "/Users",
    "A user of Kiteward that SCIM manages",
    (
        Attribute(
            name="userName",
            description="The name at the identity provider; the prefix of SCIM and it make the name in Kiteward",
            required=True,
            unique=True,
        ),
        Attribute(
            name="name",
            description="The parts of the person's name",
            kind=Kind.COMPLEX,
            parts=(
                _name_part("formatted", "The full name"),
                _name_part("familyName", "The family name"),
                _name_part("givenName", "The given name"),
                _name_part("middleName", "The middle name"),
                _name_part("honorificPrefix", "A title before the name"),
                _name_part("honorificSuffix", "A suffix after the name"),
            ),
        ),
        Attribute(name="displayName", description="The name to be shown"),
        Attribute(name="active", description="Whether the user may authenticate", kind=Kind.BOOLEAN),
        Attribute(
            name="emails",
            description="E-mail addresses; nothing is sent to them",
            kind=Kind.COMPLEX,
            multi_valued=True,
            parts=(
                Attribute(name="value", description="The address"),
                Attribute(name="display", description="How it is shown"),
                Attribute(name="type", description="What it is for", canonical=("work", "home", "other")),
                Attribute(name="primary", description="Whether it is the preferred one", kind=Kind.BOOLEAN),
            ),
        ),
        Attribute(
            name="groups",
            description="The groups that the user is a member of; they are changed at the groups",
            kind=Kind.COMPLEX,
            multi_valued=True,
            mutability=_READ_ONLY,
            parts=(
                Attribute(name="value", description="The id of the group", case_exact=True, mutability=_READ_ONLY),
                Attribute(
                    name="$ref",
                    description="The address of the group",
                    kind=Kind.REFERENCE,
                    case_exact=True,
                    mutability=_READ_ONLY,
                    references=("Group",),
                ),
                Attribute(name="display", description="The name of the group", mutability=_READ_ONLY),
                Attribute(name="type", description="Always direct", mutability=_READ_ONLY, canonical=("direct",)),
            ),
        ),
    ),
    frozenset(
        [
            "nickname",
            "profileurl",
            "title",
            "usertype",
            "preferredlanguage",
            "locale",
            "timezone",
            "password",
            "phonenumbers",
            "ims",
            "photos",
            "addresses",
            "entitlements",
            "roles",
            "x509certificates",
            # Of the enterprise extension (RFC 7643, 4.3); Entra leaves out its URN in some paths.
            "employeenumber",
            "costcenter",
            "organization",
            "division",
            "department",
            "manager",
        ]
    ),
)

GROUP: Final = ResourceSchema(
    GROUP_URN,
    "Group",
    "/Groups",
    "A group of users; its members have the roles that are mapped to its name",
    (
        Attribute(name="displayName", description="The name, to which roles are mapped", required=True),
        Attribute(
            name="members",
            description="The users of the group",
            kind=Kind.COMPLEX,
            multi_valued=True,
            parts=(
                Attribute(name="value", description="The id of the user", case_exact=True, mutability=_IMMUTABLE),
                Attribute(
                    name="$ref",
                    description="The address of the user",
                    kind=Kind.REFERENCE,
                    case_exact=True,
                    mutability=_IMMUTABLE,
                    references=("User",),
                ),
                Attribute(name="type", description="Always User", mutability=_IMMUTABLE, canonical=("User",)),
            ),
        ),
    ),
)

SCHEMAS: Final[Mapping[str, ResourceSchema]] = {each.urn: each for each in (USER, GROUP)}
"""The schemas by URN."""
