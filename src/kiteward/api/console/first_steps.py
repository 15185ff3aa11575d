"""The page about the first steps on a new server, for administrators."""

from typing import Final

from starlette.responses import Response

from kiteward.api.console.request import ConsoleRequest, Page
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied
from kiteward.iam.first_steps import FirstStep


async def show(request: ConsoleRequest) -> Response:
    """Show which of the first steps are taken, and where the others are."""
    if not request.me.administrator:
        raise AccessDenied("the first steps are for administrators", ErrorDetail(ErrorCode.ADMINISTRATOR_NEEDED))
    return request.page("first_steps.html", steps=[(step, step not in request.me.first_steps) for step in FirstStep])


PAGES: Final = (Page("first-steps", show),)
