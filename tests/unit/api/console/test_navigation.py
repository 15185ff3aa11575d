"""Which links a user gets, and which of them is the current one."""

import re
from dataclasses import dataclass

import pytest

from kiteward.api.console.language import catalogues
from kiteward.api.console.navigation import GROUPS, groups
from kiteward.api.console.pages import PAGES


@dataclass
class Who:
    """A signed-in user."""

    administrator: bool = False
    enrolment_due: bool = False
    one_time_password: bool = False


def names(who: Who | None) -> list[str]:
    return [link.page for group in groups(who) for link in group.links]


def test_administrators_get_every_page_and_others_those_for_everybody() -> None:
    assert names(Who(administrator=True)) == [link.page for group in GROUPS for link in group.links]
    assert "users" not in names(Who())
    assert "account" in names(Who())
    assert all(group.links for group in groups(Who()))


def test_nobody_and_who_has_to_enrol_or_change_a_password_first_get_none() -> None:
    assert names(None) == []
    assert names(Who(administrator=True, enrolment_due=True)) == []
    assert names(Who(administrator=True, one_time_password=True)) == []


def test_every_entry_leads_to_a_page_and_has_its_texts() -> None:
    paths, texts = {page.path for page in PAGES}, catalogues()["en"].texts
    assert [page for page in names(Who(administrator=True)) if page not in paths or f"nav.{page}" not in texts] == []
    assert [group.name for group in GROUPS if f"nav.group.{group.name}" not in texts] == []


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/console/users", "users"),
        ("/console/users/keys/roles/x/remove", "users"),
        ("/console/new-key", "keys"),
        ("/console/tagged-users", "users"),
        ("/console/second-factors/app", "account"),
        ("/console/no-such-page", None),
    ],
)
def test_one_entry_is_current_where_a_page_belongs_to_it(path: str, page: str | None) -> None:
    current = [link.page for group in GROUPS for link in group.links if link.is_current(path)]
    assert current == ([page] if page else [])


ALONE = re.compile(
    r"sign-.+|second-step|preferences|first-steps|undo|once/\{ticket\}|names/\{kind\}|change-.+|[a-z-]+\.csv"
)
"""Pages before there is a navigation, files, and pages that are shown in the place of another one."""


def test_every_page_belongs_to_one_entry() -> None:
    links = [link for group in GROUPS for link in group.links]
    belongs = {page.path: sum(link.is_current(f"/console/{page.path}") for link in links) for page in PAGES}
    assert {path for path, count in belongs.items() if count != 1} == {
        path for path in belongs if ALONE.fullmatch(path)
    }
