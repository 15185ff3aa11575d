"""What the SCIM API says of itself: ServiceProviderConfig, ResourceTypes and Schemas (RFC 7643, 5 to 7)."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kiteward.iam.scim.listing import MOST_LISTED
from kiteward.iam.scim.schemas import GROUP, PROVIDER_URN, SCHEMAS, USER

CONFIGURATION: Final = "ServiceProviderConfig"

_UNSUPPORTED: Final = {"supported": False}

PROVIDER: Final[Mapping[str, Any]] = {
    "schemas": [PROVIDER_URN],
    "patch": {"supported": True},
    "bulk": {**_UNSUPPORTED, "maxOperations": 0, "maxPayloadSize": 0},
    "filter": {"supported": True, "maxResults": MOST_LISTED},
    "changePassword": _UNSUPPORTED,
    "sort": _UNSUPPORTED,
    "etag": {"supported": True},
    "authenticationSchemes": [
        {
            "type": "oauthbearertoken",
            "name": "API key",
            "description": "An API key of Kiteward as a bearer token, whose owner has the privilege ProvisionUsers",
            "primary": True,
        }
    ],
    "meta": {"resourceType": CONFIGURATION},
}

LISTS: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "ResourceTypes": [USER.resource_type(), GROUP.resource_type()],
    "Schemas": [each.document() for each in SCHEMAS.values()],
}
"""The documents that are listed, by the endpoint at which they are."""


def document(endpoint: str, name: str) -> Mapping[str, Any] | None:
    """Return the document of an id at an endpoint of `LISTS`, or None."""
    return next((each for each in LISTS[endpoint] if each["id"].lower() == name.lower()), None)
