"""What an identity provider says of itself: the endpoints for signing in and out (OpenID Connect Discovery 1.0, 3)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from kiteward.authn.oidc.fetching import FetchFailed
from kiteward.authn.oidc.issuers import may_name


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """The endpoints of an identity provider.

    Attributes:
        authorization_endpoint: where the browser is sent to sign in.
        token_endpoint: where an authorization code is exchanged for tokens.
        end_session_endpoint: where the browser is sent to sign out there too; empty where there is none.
        names_issuer: whether every answer to the browser names the issuer (RFC 9207, 3).
    """

    authorization_endpoint: str
    token_endpoint: str
    end_session_endpoint: str = ""
    names_issuer: bool = False

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return the metadata of a discovery document.

        Raises:
            FetchFailed: it lacks an endpoint, or names one that its issuer may not name.
        """
        return cls(
            _endpoint(document, "authorization_endpoint"),
            _endpoint(document, "token_endpoint"),
            _endpoint(document, "end_session_endpoint") if "end_session_endpoint" in document else "",
            names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        )


def _endpoint(document: Mapping[str, Any], name: str) -> str:
    url = document.get(name)
    if not may_name(str(document.get("issuer")), url):
        raise FetchFailed(f"its metadata has no usable `{name}`")
    return str(url)
