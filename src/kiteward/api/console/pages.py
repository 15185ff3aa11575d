"""The table of all pages of the console."""

from typing import Final

from kiteward.api.console import (
    access,
    account,
    audit_pages,
    first_steps,
    group_roles,
    identity_providers,
    keys,
    limits,
    one_time_secrets,
    provider_sign_in,
    roles,
    row_policies,
    second_factors,
    second_step,
    sign_in,
    tags,
    users,
)

PAGES: Final = (
    *sign_in.PAGES,
    *provider_sign_in.PAGES,
    *second_step.PAGES,
    *account.PAGES,
    *first_steps.PAGES,
    *second_factors.PAGES,
    *keys.PAGES,
    *one_time_secrets.PAGES,
    *users.PAGES,
    *identity_providers.PAGES,
    *group_roles.PAGES,
    *roles.PAGES,
    *access.PAGES,
    *row_policies.PAGES,
    *tags.PAGES,
    *limits.PAGES,
    *audit_pages.PAGES,
)
"""All pages. `new-user` is not below `users/`, where it could be the name of a user."""
