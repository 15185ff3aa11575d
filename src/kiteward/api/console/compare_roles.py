"""The page that compares the grants of two roles."""

from typing import Any, Final

from starlette.responses import Response

from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.domain.errors import RequestRefused
from kiteward.iam.json_api.role_details import RolesCompared, RolesToCompare
from kiteward.iam.json_api.roles import RoleList, RoleListing


async def compare(request: ConsoleRequest) -> Response:
    """Show the grants of two roles side by side."""
    # Whom the gateway does not let list roles is refused here too, whether or not roles were named.
    await request.client.invoke("ListRoles", RoleListing(limit=1), RoleList)
    role, other = request.query_value("role").strip(), request.query_value("other").strip()
    values: dict[str, Any] = {"role": role, "other": other, "compared": None, "only": ()}
    if not (role and other):
        return request.page("compare_roles.html", **values)
    wanted = RolesToCompare(role_name=role, other_role_name=other)
    try:
        found = await request.client.invoke("CompareRoles", wanted, RolesCompared)
    except RequestRefused as error:
        field = "other" if error.field == "otherRoleName" else "role"
        return request.page_with_errors("compare_roles.html", {field: request.reason(error.details)}, **values)
    values["compared"] = found
    values["only"] = (
        (role, [each for each in found.grants if not each.held_by_other]),
        (other, [each for each in found.grants if not each.held]),
    )
    values["both"] = [each for each in found.grants if each.held and each.held_by_other]
    return request.page("compare_roles.html", **values)


PAGES: Final = (Page("compare-roles", compare),)
