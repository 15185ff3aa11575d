"""The privileges that forms offer, by the level at which Milvus grants them."""

from collections.abc import Sequence

from kiteward.api.console.forms import Field
from kiteward.api.console.language import Language
from kiteward.api.console.request import ConsoleRequest
from kiteward.authz.privileges import PRIVILEGES, Level


def privileges_by_level(text: Language) -> list[tuple[str, Sequence[str]]]:
    """Return the name of each level in a language, and its privileges by name."""
    return [
        (
            text(f"matrix.columns.{level}"),
            sorted(name for name, privilege in PRIVILEGES.items() if privilege.level is level),
        )
        for level in Level
    ]


def privileges_field(request: ConsoleRequest, held: Sequence[str] = ()) -> Field:
    """Return the field that chooses the privileges of a group, of which some are held."""
    levels = privileges_by_level(request.text)
    return Field(
        "privileges",
        "checks",
        hint=request.text("group_new.privileges"),
        options=[(name, name) for _, names in levels for name in names],
        sections={names[0]: level for level, names in levels},
        value=" ".join(held),
    )
