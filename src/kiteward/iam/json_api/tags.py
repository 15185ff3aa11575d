"""Tags of users and API keys, which row policies read."""

from typing import Final

from kiteward.audit.events import Event
from kiteward.authz.policy import Condition
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.identity import CredentialReach
from kiteward.iam import tags
from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request
from kiteward.iam.services import Services
from kiteward.iam.tags import TagHolder


class HolderNamed(Arguments):
    """Names a user or an API key; neither for the credential that the caller uses."""

    user_name: str = ""
    key_id: str = ""


class TagsGiven(Arguments):
    """Tags to set, of the user or API key that is named; its other tags stay."""

    tags: dict[str, str]
    user_name: str = ""
    key_id: str = ""


class TagsNamed(Arguments):
    """Keys of tags to delete, of the user or API key that is named."""

    keys: list[str]
    user_name: str = ""
    key_id: str = ""


class TagNamed(Arguments):
    """A tag by which users are found."""

    key: str
    value: str


class Tags(Outcome):
    """The tags of a user or an API key.

    `tags` are its own. `effectiveTags` are what row policies read: for an API key the tags of its owner, with those of
    the keys that it descends from and its own in their place.
    """

    user_name: str
    key_id: str | None
    tags: dict[str, str]
    effective_tags: dict[str, str]


class TagsChanged(Outcome):
    """The keys of the tags that were set, or of those that were deleted."""

    keys: list[str]


class TaggedUsers(Outcome):
    """The users with a tag, sorted by name."""

    user_names: list[str]


async def described(services: Services, request: Request, arguments: HolderNamed) -> Tags:
    """Return tags."""
    held = await tags.held_tags(services, request, TagHolder(arguments.user_name, arguments.key_id))
    return Tags(user_name=held.user_name, key_id=held.key_id, tags=dict(held.own), effective_tags=dict(held.effective))


async def changed(_services: Services, request: Request, arguments: TagsGiven) -> TagsChanged:
    """Set tags."""
    await tags.set_tags(request, TagHolder(arguments.user_name, arguments.key_id), arguments.tags)
    return TagsChanged(keys=sorted(arguments.tags))


async def deleted(_services: Services, request: Request, arguments: TagsNamed) -> TagsChanged:
    """Delete tags."""
    holder = TagHolder(arguments.user_name, arguments.key_id)
    return TagsChanged(keys=list(await tags.delete_tags(request, holder, arguments.keys)))


async def found(services: Services, request: Request, arguments: TagNamed) -> TaggedUsers:
    """Find the users with a tag."""
    names = await tags.users_with_tag(services, request, arguments.key, arguments.value)
    return TaggedUsers(user_names=list(names))


def _row(
    name: str, action: str, arguments: type[Arguments], outcome: type[Outcome], run: object, summary: str
) -> AdminOperation:
    """Return a row that any user may call with any credential: the service requires the privilege."""
    changes = outcome is TagsChanged
    return AdminOperation(
        name,
        f"tags/{action}",
        arguments,
        outcome,
        run,  # type: ignore[arg-type]  # handlers have their own types of arguments
        summary,
        administrators=False,
        own=outcome is Tags,
        on_objects=(Condition(PRIVILEGES["UpdateUser" if changes else "SelectUser"], not_oneself=changes),),
        credential=CredentialReach.ANY,
        changes=changes,
        event=Event.TAG_CHANGE if changes else Event.ADMINISTRATIVE_READ,
    )


ADMIN_OPERATIONS: Final = (
    _row("DescribeTags", "describe", HolderNamed, Tags, described, "Return the tags of a user or an API key."),
    _row("SetTags", "set", TagsGiven, TagsChanged, changed, "Set tags of a user or an API key."),
    _row("DeleteTags", "delete", TagsNamed, TagsChanged, deleted, "Delete tags of a user or an API key."),
    _row("ListTaggedUsers", "list_users", TagNamed, TaggedUsers, found, "List the users with a tag."),
)
