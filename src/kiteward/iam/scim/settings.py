"""The settings of SCIM, and the names in Kiteward of the users that it makes."""

import re
from dataclasses import dataclass
from typing import Final

from kiteward.authn.oidc.issuers import NameRule
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, OperationRefused
from kiteward.domain.identity import ROOT
from kiteward.domain.naming import NamingRules
from kiteward.iam.scim.faults import invalid_value

_PLACE: Final = re.compile(r"\{[^{}]+\}")


@dataclass(frozen=True, slots=True)
class ScimSettings:
    """The settings of SCIM.

    Attributes:
        names: how its users are named, in the template the `userName` in braces; None where SCIM is not enabled. Its
            prefix is not empty, so that it can make neither `root` nor a user of another origin.
        issuer: the identity provider whose tokens sign its users in, `kiteward.scim.issuer`; empty for none.
    """

    names: NameRule | None = None
    issuer: str = ""

    @property
    def enabled(self) -> bool:
        """Whether it is served, `kiteward.scim.enabled`."""
        return self.names is not None

    def require_enabled(self) -> NameRule:
        """Return how its users are named.

        Raises:
            OperationRefused: SCIM is not enabled.
        """
        if self.names is None:
            raise OperationRefused(
                "SCIM is not enabled: set kiteward.scim.enabled", ErrorDetail(ErrorCode.SCIM_DISABLED)
            )
        return self.names

    def name_made_of(self, login: str) -> str:
        """Return the name in Kiteward that a `userName` makes, legal or not.

        Raises:
            OperationRefused: SCIM is not enabled.
        """
        rule, text = self.require_enabled(), login
        for old, new in rule.replaced.items():
            text = text.replace(old, new)
        return _PLACE.sub(lambda _place: text, rule.template)

    def name_of(self, login: str, naming: NamingRules, *, reserved: frozenset[str] = frozenset()) -> str:
        """Return the name in Kiteward of a user with a `userName`.

        Args:
            login: the `userName`.
            naming: the rules for user names.
            reserved: names that SCIM never gives, besides `root`.

        Raises:
            InvalidArgument: it is no legal name.
            OperationRefused: SCIM is not enabled.
        """
        name = self.name_made_of(login)
        try:
            naming.check_user_name(name)
        except InvalidArgument as error:
            raise invalid_value(
                "userName", f"makes no legal user name in Kiteward, see kiteward.scim.userReplace: {error}"
            ) from None
        if name in (self.require_enabled().prefix, ROOT) or name in reserved:
            raise invalid_value("userName", "makes a name that SCIM may not give")
        return name
