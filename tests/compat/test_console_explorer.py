"""The data explorer before each engine: the pages of a collection, asked for as a browser without scripts does."""

import html
import json
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any, Final

import httpx
import pytest
from pymilvus import MilvusClient
from tests.compat import accounts
from tests.compat.test_row_preview import ask
from tests.support.server import RunningServer

NAME: Final = "explored"
HERE: Final = f"collections/default/{NAME}"
COUNT: Final = 45
OWNERS: Final = ("eva", "fay", "gil")


class Visitor:
    """Somebody who is signed in to the console."""

    def __init__(self, server: RunningServer, user: str, password: str) -> None:
        self._http = httpx.Client(
            base_url=f"{server.uri}/console/", headers={"Origin": server.uri, "Accept-Language": "en"}, timeout=120
        )
        signed_in = self._http.post("sign-in", data={"user": user, "password": password})
        assert signed_in.status_code == 303, text(signed_in)
        self._token = re.findall('name="csrf" value="([^"]*)"', self._http.get("account").text)[0]

    def open(self, path: str, status: int = 200) -> str:
        """Return a page."""
        answer = self._http.get(path)
        assert answer.status_code == status, text(answer)
        return answer.text

    def send(self, path: str, status: int = 303, **form: Any) -> str:
        """Send a form, and return the page, or where it leads."""
        answer = self._http.post(path, data={"csrf": self._token, **form})
        assert answer.status_code == status, text(answer)
        return answer.headers["location"] if status == 303 else answer.text

    def close(self) -> None:
        """Forget everything."""
        self._http.close()


def text(answer: httpx.Response) -> str:
    return shown(answer.text)


def shown(page: str) -> str:
    """Return the text of a page, as people read it."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page.partition("<main")[2])))


def keys(page: str) -> list[int]:
    """Return the keys of the rows of a page."""
    return [int(key) for key in re.findall(r'<th scope="row"[^>]*><a href="[^"]*/row\?key=(\d+)["&]', page)]


def follow(page: str, link: str) -> str:
    """Return the path that a link leads to."""
    (found,) = re.findall(rf'<a[^>]* href="/console/([^"]*)"[^>]*>{link}', page)
    return html.unescape(found)


@pytest.fixture(scope="module")
def visitor(server: RunningServer, root: MilvusClient) -> Iterator[Visitor]:
    """An administrator, and a collection that the pages have created, filled and loaded."""
    with closing(Visitor(server, "root", "Milvus")) as found:
        create(found)
        yield found
    if root.has_collection(NAME):
        root.drop_collection(NAME)


def create(visitor: Visitor) -> None:
    """Create, fill and load the collection."""
    fields: dict[str, Any] = {"rows": "4", "dynamic": "yes", "load": "yes"}
    made = (("id", "Int64", "", ""), ("vector", "FloatVector", "2", "IVF_FLAT"), ("owner", "VarChar", "32", ""))
    for row, (name, kind, size, index) in enumerate((*made, ("stars", "Int64", "", ""))):
        fields |= {f"name_{row}": name, f"type_{row}": kind, f"size_{row}": size, f"index_{row}": index}
        fields[f"metric_{row}"] = "L2" if index else ""
    made_it = visitor.send("new-collection", collection_name=NAME, database="default", **fields)
    assert made_it.endswith("?done=explorer_create")
    rows = [
        {"id": key, "vector": [key, 1], "owner": OWNERS[key % 3], "stars": (key * 7) % COUNT, "more": key}
        for key in range(COUNT)
    ]
    for part in range(3):  # each becomes a segment of its own
        assert visitor.send(f"{HERE}/insert", data=json.dumps(rows[part::3])).endswith("?done=explorer_insert")
        assert visitor.send(f"{HERE}/flush").endswith("?done=explorer_flush")


def test_rows_are_read_in_pages_forwards_and_back_filtered_sorted_and_counted(visitor: Visitor) -> None:
    first = visitor.open(f"{HERE}/rows?size=20")
    second = visitor.open(follow(first, "Next page"))
    third = visitor.open(follow(second, "Next page"))
    assert [*keys(first), *keys(second), *keys(third)] == [*range(COUNT)]
    assert keys(visitor.open(follow(third, "Previous page"))) == [*range(20, 40)]
    by_stars = sorted(range(COUNT), key=lambda key: (key * 7) % COUNT, reverse=True)
    page = visitor.open(f"{HERE}/rows?size=20&sort=stars&order=desc")
    assert keys(page) == by_stars[:20]
    assert keys(visitor.open(follow(page, "Next page"))) == by_stars[20:40]
    assert keys(visitor.open(f"{HERE}/rows?size=20&order=desc")) == [*range(COUNT - 1, COUNT - 21, -1)]
    page = visitor.open(f'{HERE}/rows?filter=owner == "fay" and stars > 3&count=1')
    assert keys(page) == [key for key in range(COUNT) if key % 3 == 1 and (key * 7) % COUNT > 3]
    assert f"{len(keys(page))} rows match." in shown(page)
    assert 'id="filter-error"' in visitor.open(f"{HERE}/rows?filter=owner ==", status=422)
    assert '"more": 7' in shown(visitor.open(f"{HERE}/row?key=7"))
    assert f"{COUNT}" in shown(visitor.open(HERE))


def test_rows_are_searched_by_vector_by_row_with_parameters_and_within_a_range(visitor: Visitor) -> None:
    wanted = {"field": "vector", "vector": "[10, 1]", "limit": "3"}
    assert keys(visitor.send(f"{HERE}/search", 200, **wanted, nprobe="16"))[0] == 10
    page = visitor.send(f"{HERE}/search", 200, **wanted, like="20", filter="id > 20", column=["id", "owner"])
    assert keys(page) == [21, 22, 23]
    assert "distances of the metric L2: smaller is nearer" in shown(page)
    near = {**wanted, "limit": "50", "radius": "5", "range_filter": "0.5", "nprobe": "128"}
    assert sorted(keys(visitor.send(f"{HERE}/search", 200, **near))) == [8, 9, 11, 12]
    assert keys(visitor.open(f"{HERE}/search?field=vector&like=30"))[0] == 30
    assert 'id="vector-error"' in visitor.send(f"{HERE}/search", 422, **{**wanted, "vector": "[1, 2, 3]"})
    assert 'id="nprobe-error"' in visitor.send(f"{HERE}/search", 422, **wanted, nprobe="0")
    assert 'id="metric-error"' in visitor.send(f"{HERE}/search", 422, **wanted, metric="IP")


def test_rows_are_marked_as_another_user_sees_them(visitor: Visitor, server: RunningServer, root: MilvusClient) -> None:
    accounts.add(root, "fay")
    accounts.grant(root, "explorers", ("CollectionReadOnly", NAME))
    root.grant_role("fay", "explorers")
    own_rows = {"usingExpr": "owner == $current_principal", "actions": ["Query", "Search"]}
    ask(server, "row_policies/create", collectionName=NAME, policyName="own", **own_rows)
    page = visitor.open(f"{HERE}/rows?size=100&view_as=fay")
    assert f"fay sees {COUNT // 3} of all {COUNT} rows." in shown(page)
    marks = re.findall(r'<span class="state (?:on|plain)">(Visible|Hidden)<', page)
    assert marks == ["Visible" if key % 3 == 1 else "Hidden" for key in range(COUNT)]
    ask(server, "row_policies/enable", collectionName=NAME)
    own = [key for key in range(COUNT) if key % 3 == 1]
    with closing(Visitor(server, "fay", accounts.PASSWORD)) as other:
        assert keys(other.open(f"{HERE}/rows?sort=stars&size=100")) == sorted(own, key=lambda key: (key * 7) % COUNT)
        assert keys(other.open(f"{HERE}/search?field=vector&like=4"))[0] == 4
        assert "row" in shown(other.open(f"{HERE}/row?key=3", status=404))
        assert 'id="like-error"' in other.send(f"{HERE}/search", 422, field="vector", vector="", limit="3", like="3")
        assert "/rows/delete" not in other.open(f"{HERE}/rows")
        other.send(f"{HERE}/rows/delete", 403, selected=["4"], apply="1")
        few = {"usingExpr": "stars in [31] and owner == $current_principal", "actions": ["Delete"]}
        ask(server, "row_policies/create", collectionName=NAME, policyName="few", **few)
        root.grant_privilege_v2("explorers", "Delete", NAME)
        left = other.send(f"{HERE}/rows/delete", 422, selected=["40", "43"], apply="1")  # stars of 10 and 31
        assert "1 of 2 rows are still there: row policies decide which rows you may delete." in shown(left)
        assert keys(other.open(f"{HERE}/rows?filter=id >= 40")) == [40]
    row = {"id": 43, "vector": [43, 1], "owner": "fay", "stars": 31, "more": 43}
    visitor.send(f"{HERE}/insert", data=json.dumps(row))
    root.drop_user("fay")


def test_a_collection_gets_aliases_and_partitions_is_released_loaded_and_dropped(visitor: Visitor) -> None:
    assert "explorer_new_alias" in visitor.send(f"{HERE}/new-alias", alias="explored_alias")
    assert "explored_alias" in visitor.open(HERE)
    assert "alias of explored" in shown(visitor.open("collections/default/explored_alias"))
    assert keys(visitor.open("collections/default/explored_alias/rows?size=20")) == [*range(20)]
    assert "explorer_drop_alias" in visitor.send(f"{HERE}/aliases/explored_alias/drop")
    assert "explorer_new_partition" in visitor.send(f"{HERE}/new-partition", partition_name="side")
    assert keys(visitor.open(f"{HERE}/rows?partition=side")) == []
    assert len(keys(visitor.open(f"{HERE}/rows?partition=_default&sort=stars"))) == COUNT
    assert "Number of rows to delete: 2" in shown(visitor.send(f"{HERE}/rows/delete", 200, selected=["5", "6"]))
    assert "explorer_delete_rows" in visitor.send(f"{HERE}/rows/delete", selected=["5", "6"], apply="1")
    assert keys(visitor.open(f"{HERE}/rows?filter=id < 8")) == [0, 1, 2, 3, 4, 7]
    assert "explorer_release" in visitor.send(f"{HERE}/release")
    assert "The collection is not loaded." in shown(visitor.open(f"{HERE}/rows", status=422))
    assert "The collection is not loaded." in shown(
        visitor.send(f"{HERE}/search", 422, field="vector", vector="[1, 1]", limit="3")
    )
    assert "explorer_partition_drop" in visitor.send(f"{HERE}/partitions/side/drop", typed_name="side")
    assert "explorer_load" in visitor.send(f"{HERE}/load")
    assert keys(visitor.open(f"{HERE}/rows?size=20")) == [0, 1, 2, 3, 4, *range(7, 22)]
    assert "explorer_rename" in visitor.send(f"{HERE}/rename", new_name="explored_again")
    assert 'id="typed_name-error"' in visitor.send("collections/default/explored_again/drop", 422, typed_name="x")
    again = visitor.send("collections/default/explored_again/drop", typed_name="explored_again")
    assert again == "/console/collections?done=explorer_drop&database=default"
    assert "explored_again" not in visitor.open("collections?database=default")


def test_a_database_is_created_shown_and_dropped(visitor: Visitor) -> None:
    assert "explorer_new_database" in visitor.send("new-database", database_name="explored_base")
    assert "explored_base" in shown(visitor.open("collections?database=explored_base"))
    assert "explorer_drop_database" in visitor.send("databases/explored_base/drop", typed_name="explored_base")
    visitor.open("collections?database=explored_base", status=404)
