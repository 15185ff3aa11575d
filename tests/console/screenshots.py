"""Takes pictures of every page of the console, to be looked at: `python -m tests.console.screenshots DIRECTORY`.

Each page is opened on a telephone, a laptop and a wide screen, in both themes and both languages. The server and what
is in it are made for the run. A page that does not answer with 200 is named at the end, and the exit code is 1 then.
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, Final, cast

import httpx
from playwright.sync_api import Browser
from tests.console.conftest import PASSWORDS, Console, opened_browser, people
from tests.support import server as servers
from tests.support.server import RunningServer

from kiteward.api.console.pages import PAGES

WIDTHS: Final = (390, 1280, 1920)
THEMES: Final = ("light", "dark")
LANGUAGES: Final = {"en": "en-US", "zh": "zh-CN"}
HEIGHTS: Final = {390: 844, 1280: 800, 1920: 1080}

QUERIES: Final[Mapping[str, tuple[str, ...]]] = {
    "matrix": ("", "?role=docs_reader", "?role=docs_reader&columns=Collection"),
    "compare-roles": ("", "?role=docs_reader&other=public", "?role=docs_reader&other=docs_reader"),
    "explain": ("", "?user=reader&privilege=Search&collection=docs", "?user=reader&privilege=Insert&collection=docs"),
    "audit": ("", "?outcome=refused"),
    "sign-in": ("", "?why=ended"),
    "overview": ("", "?period=day"),
    "users": ("", "?state=disabled", "?q=nobody"),
    "tagged-users": ("?key=team&value=blue",),
    "users/{name}/tags/delete": ("?key=team",),
    "keys/{key_id}/tags/delete": ("?key=team",),
    "roles/{name}/revoke": ("?privilege=Search&database=default&object=docs&type=Collection",),
    "collections/{database}/{name}/row": ("?key=1",),
    "collections/{database}/{name}/row/delete": ("?key=1",),
    "collections/{database}/{name}/preview": ("", "?user=reader&action=Query"),
}
"""The query strings with which a page is opened, where it needs one or has several states."""

LEFT_OUT: Final = re.compile(
    r"sign-in/.*|sign-out.*|second-step|once/.*|connect/.*|matrix/preview|second-factors/.+|providers/.+"
    r"|users/\{name\}/(unbind|cut-off|end-old-password|reset-factors)|preferences/.*"
    r"|.+\.csv|audit/export|names/.+|change-.+|undo"
)
"""Pages that only lead on, need an identity provider, a second factor or a ticket, or are files."""


def main() -> int:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, help="where the pictures are written")
    parser.add_argument("--only", default="", help="a regular expression of the paths below /console/")
    parser.add_argument("--widths", type=int, nargs="*", default=WIDTHS, choices=WIDTHS)
    parser.add_argument("--themes", nargs="*", default=THEMES, choices=THEMES)
    parser.add_argument("--languages", nargs="*", default=list(LANGUAGES), choices=list(LANGUAGES))
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    config = "kiteward: {metrics: {enabled: false}}"
    with tempfile.TemporaryDirectory() as data, servers.running(Path(data) / "data", config=config) as server:
        names = fill(server)
        paths = [path for path in paths_of(names) if re.search(arguments.only, path)]
        wrong: set[str] = set()
        with opened_browser() as browser:
            for width, theme, language in product(arguments.widths, arguments.themes, arguments.languages):
                looks = {"width": width, "theme": theme, "language": language}
                wrong |= set(take(server, browser, paths, arguments.directory, **looks))
    print("\n".join(sorted(wrong)) or f"{len(paths)} pages, all of them answered")
    return 1 if wrong else 0


def fill(server: RunningServer) -> dict[str, dict[str, str]]:
    """Make what pages show, and return the names to put into their paths: the first part -> placeholder -> name."""
    people(server)
    console = Console(server, cast("Browser", None))  # no page is opened with it
    for number in range(30):
        console.new_user(f"service_{number:02}", *(["docs_reader"] if number % 3 else []))
    console.rest("kiteward/users/disable", userName="service_03")
    console.rest("kiteward/tags/set", userName="reader", tags={"team": "blue"})
    console.rest("kiteward/limits/set", userName="reader", requestsPerSecond=50)
    console.rest("kiteward/limits/set", roleName="docs_reader", concurrentRequests=8)
    made = [
        console.rest("kiteward/api_keys/create", userName="reader", description=f"nightly job {number}")
        for number in range(3)
    ]
    key = made[0]["keyId"]
    console.rest("kiteward/api_keys/disable", keyId=made[1]["keyId"])
    console.rest("kiteward/tags/set", keyId=key, tags={"team": "blue"})
    console.rest("kiteward/limits/set", keyId=key, requestsPerSecond=5)
    console.rest("vectordb/privilege_groups/create", privilegeGroupName="searchers")
    group: dict[str, Any] = {"privilegeGroupName": "searchers", "privileges": ["Search", "Query"]}
    console.rest("vectordb/privilege_groups/add_privileges_to_group", **group)
    policy: dict[str, Any] = {
        "collectionName": "docs",
        "policyName": "own",
        "actions": ["Query", "Search"],
        "usingExpr": "id in [1, 2]",
    }
    console.rest("kiteward/row_policies/create", **policy)
    console.rest("vectordb/aliases/create", aliasName="documents", collectionName="docs")
    rows = [{"id": number, "vector": [0.1 * number] * 4, "title": f"title {number}"} for number in range(1, 40)]
    console.rest("vectordb/entities/insert", collectionName="docs", data=rows)
    httpx.post(f"{server.uri}/v2/vectordb/collections/list", headers={"Authorization": "Bearer reader:wrong"}, json={})
    return {
        "users": {"name": "reader", "role": "docs_reader"},
        "roles": {"name": "docs_reader", "user": "reader"},
        "groups": {"name": "searchers"},
        "keys": {"key_id": key},
        "collections": {
            "database": "default",
            "name": "docs",
            "policy": "own",
            "alias": "documents",
            "partition": "_default",
        },
        "audit": {"seq": "1"},
        "databases": {"database": "default", "name": "default"},
        "sessions": {"session": "0123456789abcdef"},
    }


def paths_of(names: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield the paths of all pages below `/console/`, with names and query strings in them."""
    for page in PAGES:
        if LEFT_OUT.fullmatch(page.path):
            continue
        path = page.path
        for placeholder, name in names.get(path.partition("/")[0], {}).items():
            path = path.replace(f"{{{placeholder}}}", name)
        for query in QUERIES.get(page.path, ("",)):
            yield f"{path}{query}"


def take(
    server: RunningServer,
    browser: Browser,
    paths: list[str],
    directory: Path,
    *,
    width: int,
    theme: str,
    language: str,
) -> Iterator[str]:
    """Take a picture of each page, and yield what did not answer with 200."""
    console = Console(server, browser)
    options = {"viewport": {"width": width, "height": HEIGHTS[width]}, "color_scheme": theme}
    with console.visitor(**options, locale=LANGUAGES[language]) as context:
        page = context.new_page()
        for path in sorted(paths, key=lambda path: not path.startswith(("sign-in", "preferences"))):
            if not path.startswith(("sign-in", "preferences")) and not context.cookies():
                console.sign_in(page, "root", PASSWORDS["root"])
            answer = page.goto(f"{console.address}{path}")
            if answer is None or not answer.ok:
                yield f"{path}: {answer.status if answer else 'no answer'}"
            name = re.sub(r"[^\w.-]+", "_", path).strip("_")
            page.screenshot(path=directory / f"{name}-{width}-{theme}-{language}.png", full_page=True)


if __name__ == "__main__":
    sys.exit(main())
