"""Milvus's RPCs about tags of users."""

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument
from kiteward.iam import tags
from kiteward.iam.milvus_rpc.base import Request
from kiteward.iam.services import Services
from kiteward.iam.tags import TagHolder
from kiteward.milvus import messages

_pb = messages.milvus_pb2


async def add(services: Services, request: Request) -> bytes:  # noqa: ARG001  as every handler
    """Set tags of a user; one of the same key is replaced."""
    message = request.read(_pb.AddUserTagsRequest)
    await tags.set_tags(request, _user(message.user_name), dict(message.tags))
    return messages.success("AddUserTags")


async def delete(services: Services, request: Request) -> bytes:  # noqa: ARG001
    """Delete tags of a user. Deleting one that the user does not have succeeds."""
    message = request.read(_pb.DeleteUserTagsRequest)
    await tags.delete_tags(request, _user(message.user_name), list(message.tag_keys))
    return messages.success("DeleteUserTags")


async def get(services: Services, request: Request) -> bytes:
    """Return the tags of a user."""
    message = request.read(_pb.GetUserTagsRequest)
    held = await tags.held_tags(services, request, _user(message.user_name))
    return bytes(_pb.GetUserTagsResponse(status=messages.Status(), tags=held.own).SerializeToString())


async def list_users(services: Services, request: Request) -> bytes:
    """List the users with a tag, sorted by name."""
    message = request.read(_pb.ListUsersWithTagRequest)
    names = await tags.users_with_tag(services, request, message.tag_key, message.tag_value)
    return bytes(_pb.ListUsersWithTagResponse(status=messages.Status(), user_names=names).SerializeToString())


def _user(name: str) -> TagHolder:
    if not name:
        raise InvalidArgument("username must be not empty", ErrorDetail(ErrorCode.NAME_EMPTY), field="userName")
    return TagHolder(name)
