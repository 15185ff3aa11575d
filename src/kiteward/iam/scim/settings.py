"""The settings of SCIM, and the names in Kiteward of the users that it makes."""

from dataclasses import dataclass
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import ConfigurationError, InvalidArgument, OperationRefused
from kiteward.domain.identity import ROOT
from kiteward.domain.naming import NamingRules
from kiteward.iam.scim.faults import invalid_value

_AT: Final = "@"


@dataclass(frozen=True, slots=True)
class ScimSettings:
    """The settings of SCIM.

    Attributes:
        enabled: whether it is served, `kiteward.scim.enabled`.
        user_prefix: how the names of its users in Kiteward begin, `kiteward.scim.userPrefix`; not empty where it is
            enabled, so that it can make neither `root` nor a user of another origin.
        strip_domain: whether what follows the last `@` of a `userName` is no part of the name in Kiteward,
            `kiteward.scim.stripDomain`.

    Raises:
        ConfigurationError: it is enabled without a prefix, or the prefix cannot begin a user name.
    """

    enabled: bool = False
    user_prefix: str = ""
    strip_domain: bool = False

    def __post_init__(self) -> None:
        if self.enabled and not self.user_prefix:
            raise ConfigurationError(
                "kiteward.scim.enabled is true: kiteward.scim.userPrefix must say how the names of its users begin, "
                "such as scim_"
            )
        if self.user_prefix:
            try:
                NamingRules().check_user_name(self.user_prefix)
            except InvalidArgument as error:
                raise ConfigurationError(f"kiteward.scim.userPrefix cannot begin a user name: {error}") from None

    def require_enabled(self) -> None:
        """Require that SCIM is enabled.

        Raises:
            OperationRefused: it is not.
        """
        if not self.enabled:
            raise OperationRefused(
                "SCIM is not enabled: set kiteward.scim.enabled", ErrorDetail(ErrorCode.SCIM_DISABLED)
            )

    def name_made_of(self, login: str) -> str:
        """Return the name in Kiteward that a `userName` makes, legal or not."""
        local = login.rpartition(_AT)[0] if self.strip_domain and _AT in login else login
        return f"{self.user_prefix}{local}"

    def name_of(self, login: str, naming: NamingRules, *, reserved: frozenset[str] = frozenset()) -> str:
        """Return the name in Kiteward of a user with a `userName`.

        Args:
            login: the `userName`.
            naming: the rules for user names.
            reserved: names that SCIM never gives, besides `root`.

        Raises:
            InvalidArgument: it is no legal name.
        """
        name = self.name_made_of(login)
        try:
            naming.check_user_name(name)
        except InvalidArgument as error:
            raise invalid_value("userName", f"makes no legal user name in Kiteward: {error}") from None
        if name in (self.user_prefix, ROOT) or name in reserved:
            raise invalid_value("userName", "makes a name that SCIM may not give")
        return name
