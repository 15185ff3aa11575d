import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from tests.support.rest import Rest

from kiteward.api.rest.docs_page import DOCUMENT_PATH, PAGE_PATH, public_documents
from kiteward.api.rest.endpoint_table import TABLE, table_of
from kiteward.api.rest.endpoints import Body, Endpoint, Nothing, RequestContext


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, set[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")


async def test_the_page_is_shown_to_everybody_and_lists_every_endpoint(rest: Rest) -> None:
    response = await rest.send(PAGE_PATH, by=None, method="GET")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    for path in TABLE:
        assert f"POST {path}<" in response.text
    assert "`" not in response.text
    assert "<code>message</code> says why" in response.text


async def test_the_page_runs_nothing_and_loads_nothing(rest: Rest) -> None:
    response = await rest.send(PAGE_PATH, by=None, method="GET")
    page = Page(response.text)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "embed", "form", "base", "svg"}
    assert page.attributes["href"] == {DOCUMENT_PATH}
    assert not [name for name in page.attributes if name.startswith("on") or name in {"src", "style", "action"}]
    assert "url(" not in response.text
    assert "@import" not in response.text


async def test_the_policy_admits_its_own_style_and_nothing_else(rest: Rest) -> None:
    response = await rest.send(PAGE_PATH, by=None, method="GET")
    style = re.search(r"<style>(.*)</style>", response.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert [each for each in policy if not each.endswith("'none'")] == [f"style-src 'sha256-{digest}'"]


@pytest.mark.parametrize("path", [DOCUMENT_PATH, PAGE_PATH])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_they_are_only_read(rest: Rest, path: str, method: str) -> None:
    assert (await rest.send(path, method=method)).status_code == 404
    assert (await rest.send(path, by=None, method="HEAD")).status_code == 200


def test_text_of_declarations_stays_text() -> None:
    async def run(_context: RequestContext, _body: Body) -> Nothing:
        return Nothing()

    table = table_of([Endpoint("a/b", Body, Nothing, run, "<script>alert(1)</script> & more.")])
    page = public_documents(table)[PAGE_PATH].content.decode()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more." in page
