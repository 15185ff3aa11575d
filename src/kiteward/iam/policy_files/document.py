"""The file of a policy: its sections and fields, from which its JSON Schema is made.

INVARIANT: a section or field that a file leaves out is left alone. What it names is complete: what is not in it goes.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kiteward.authz.privileges import ALL, BUILT_IN_GROUPS, PRIVILEGES, ObjectType
from kiteward.authz.row_policies import PolicyType, RowAction
from kiteward.domain.naming import ANY, DEFAULT_DATABASE

VERSION: Final = 1
"""The version of the format."""

SCHEMA_FILE: Final = "policy.schema.json"
"""Where editors look for the JSON Schema of a file that was exported: beside it."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_T = TypeVar("_T")

_KNOWN_PRIVILEGES: Final = [*sorted(BUILT_IN_GROUPS), *sorted(PRIVILEGES), ALL, ANY]


class Part(msgspec.Struct, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Base of the parts of a file."""


_Privilege = Annotated[
    str,
    Meta(
        description="A privilege, a built-in privilege group or one of `privilegeGroups`.",
        extra_json_schema={"anyOf": [{"enum": _KNOWN_PRIVILEGES}, {"minLength": 1}]},
    ),
]
_Description = Annotated[str, Meta(description="Free text.")]


class PolicyLimits(Part):
    """Limits of requests; what is left out is not limited. `{}` for no limits."""

    requests_per_second: Annotated[
        float | UnsetType, Meta(description="Requests a second on average, from 0.1 to 1,000,000.")
    ] = UNSET
    burst: Annotated[
        int | UnsetType,
        Meta(description="Requests at once after a pause; by default as many as in a second."),
    ] = UNSET
    concurrent_requests: Annotated[
        int | UnsetType, Meta(description="Requests that are worked on at the same time.")
    ] = UNSET


class PolicyGrant(Part, omit_defaults=False):
    """A privilege on a collection, or on all of a database or of the server."""

    privilege: _Privilege
    database: Annotated[str, Meta(description="A database, or `*` for all.")] = DEFAULT_DATABASE
    collection: Annotated[
        str, Meta(description="A collection or an alias, or `*` for all; for the object type User, a user.")
    ] = ANY
    object_type: Annotated[
        ObjectType | UnsetType,
        Meta(description="The object type; only for a grant that is stored under another one than its privilege has."),
    ] = UNSET


class PolicyGroup(Part):
    """A custom privilege group."""

    privileges: Annotated[list[_Privilege], Meta(description="Its privileges, all of one level.")]


class PolicyRole(Part):
    """A role. `admin` and `public` always exist, and are left alone if they are not in the file."""

    description: _Description | UnsetType = UNSET
    grants: Annotated[list[PolicyGrant] | UnsetType, Meta(description="All grants of the role; [] for none.")] = UNSET
    limits: Annotated[
        PolicyLimits | UnsetType, Meta(description="Limits of the requests of each user who holds the role.")
    ] = UNSET


class PolicyIdentity(Part):
    """Who a user is at an identity provider. It is read where the user is created, and cannot be changed."""

    issuer: Annotated[str, Meta(description="The identity provider, as `kiteward.oidc` names it.")]
    subject: Annotated[
        str | UnsetType, Meta(description="The subject (`sub`); without it, the first one who signs in with the name.")
    ] = UNSET


class PolicyUser(Part):
    """A user, without secrets. A new one has no password until somebody sets one, unless `apply` is asked for one."""

    description: _Description | UnsetType = UNSET
    enabled: Annotated[
        bool | UnsetType, Meta(description="Whether the user is allowed to sign in, as a new one is.")
    ] = UNSET
    roles: Annotated[
        list[str] | UnsetType,
        Meta(description="All roles that are bound to the user; [] for none.", extra_json_schema={"uniqueItems": True}),
    ] = UNSET
    tags: Annotated[dict[str, str] | UnsetType, Meta(description="All tags of the user; {} for none.")] = UNSET
    limits: Annotated[PolicyLimits | UnsetType, Meta(description="Limits of the user's requests.")] = UNSET
    identity: Annotated[
        PolicyIdentity | UnsetType, Meta(description="For users of an identity provider, who have no password.")
    ] = UNSET
    scim: Annotated[
        bool, Meta(description="Whether SCIM manages the user, who then must exist, and is enabled by SCIM alone.")
    ] = False


class PolicyRowRule(Part):
    """A row policy of a collection."""

    actions: Annotated[
        list[RowAction], Meta(description="What it is about.", min_length=1, extra_json_schema={"uniqueItems": True})
    ]
    type: Annotated[PolicyType, Meta(description="How it is combined with the others.")] = PolicyType.PERMISSIVE
    roles: Annotated[
        list[str],
        Meta(description="For whose holders it is; [] for everybody.", extra_json_schema={"uniqueItems": True}),
    ] = []
    using: Annotated[str, Meta(description="The stored rows that it allows; for Query, Search, Delete, Upsert.")] = ""
    check: Annotated[str, Meta(description="The written rows that it allows; for Insert and Upsert.")] = ""
    description: _Description = ""


class PolicyRows(Part, omit_defaults=False):
    """The row policies of one collection."""

    collection: Annotated[str, Meta(description="The collection, or an alias of it.")]
    database: Annotated[str, Meta(description="Its database.")] = DEFAULT_DATABASE
    enforced: Annotated[bool | UnsetType, Meta(description="Whether they are enforced (`rls.enabled`).")] = UNSET
    force: Annotated[
        bool | UnsetType, Meta(description="Whether also on administrators and holders of SkipRLS (`rls.force`).")
    ] = UNSET
    policies: Annotated[
        dict[str, PolicyRowRule] | UnsetType, Meta(description="All row policies of the collection, by name.")
    ] = UNSET


class PolicyGroupRole(Part, order=True):
    """A role that membership in a group of an identity provider gives. Those of the configuration are not here."""

    issuer: Annotated[str, Meta(description="The identity provider, or `scim` for groups that SCIM provisions.")]
    group: Annotated[str, Meta(description="The name of the group, or a pattern.")]
    role: Annotated[str, Meta(description="The role that it gives.")]
    pattern: Annotated[bool, Meta(description="Whether `*` in `group` stands for any text.")] = False


class PolicyDocument(Part):
    """A policy of Kiteward as code. A section that is left out is left alone; one that is there is complete."""

    version: Annotated[int, Meta(description="The version of the format.", extra_json_schema={"const": VERSION})]
    privilege_groups: Annotated[
        dict[str, PolicyGroup] | UnsetType, Meta(description="All custom privilege groups, by name.")
    ] = UNSET
    roles: Annotated[dict[str, PolicyRole] | UnsetType, Meta(description="All roles, by name.")] = UNSET
    users: Annotated[
        dict[str, PolicyUser] | UnsetType,
        Meta(description="All users with a password, by name, but `root`; others may be left out."),
    ] = UNSET
    row_policies: Annotated[list[PolicyRows] | UnsetType, Meta(description="All collections with row policies.")] = (
        UNSET
    )
    group_roles: Annotated[
        list[PolicyGroupRole] | UnsetType, Meta(description="All roles that groups of identity providers give.")
    ] = UNSET


SECTIONS: Final = tuple(
    field.encode_name for field in msgspec.structs.fields(PolicyDocument) if field.name != "version"
)
"""The sections of a file, in their order."""


def given(value: _T | UnsetType, otherwise: _T) -> _T:
    """Return what a file gives for a field, or something else where it leaves the field out."""
    return otherwise if isinstance(value, UnsetType) else value


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a file."""
    made = msgspec.json.schema(PolicyDocument)
    return {
        "$schema": DIALECT,
        "title": "Policy of Kiteward",
        "$ref": made["$ref"],
        "$defs": {name: _described(part) for name, part in sorted(made["$defs"].items())},
    }


def _described(part: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a part without titles, which editors would show beside its description."""
    return {key: value for key, value in part.items() if key != "title"}


def plain(document: PolicyDocument, sections: Sequence[str] = SECTIONS) -> dict[str, Any]:
    """Return a file as plain values, by the names that it spells, with some of its sections."""
    values: dict[str, Any] = msgspec.to_builtins(document)
    return {key: value for key, value in values.items() if key == "version" or key in sections}
