"""The roles and tags of federated users: those of the user, and those that their claims give."""

from dataclasses import replace

from kiteward.authn.oidc.group_mapping import GroupMapping
from kiteward.authn.oidc.issuers import Issuer
from kiteward.domain.identity import Principal
from kiteward.store.identity_records import ClaimedRights


def with_rights(principal: Principal, rights: ClaimedRights, issuer: Issuer, stored: GroupMapping) -> Principal:
    """Return the principal of a user with what the claims of a token add.

    Args:
        principal: that of the user.
        rights: what the claims say.
        issuer: their issuer.
        stored: the roles that groups of this issuer give by the store, beside those of the configuration.
    """
    mapped = issuer.group_roles.roles_of(rights.groups) | stored.roles_of(rights.groups)
    claimed = issuer.allowed_roles.intersection(rights.roles)
    # A tag that claims give is never taken from the user instead: where the claim is missing, there is none.
    own = {key: value for key, value in principal.tags.items() if key not in issuer.tag_claims}
    given = {key: value for key, value in rights.tags.items() if key in issuer.tag_claims}
    return replace(principal, roles=principal.roles | mapped | claimed, tags={**own, **given})
