"""The public documents: the OpenAPI document, and a page that shows it.

Both describe the product and contain nothing about this server. The page is rendered once. It has no script and loads
nothing, and its content security policy forbids both.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, Final

import msgspec
from starlette.responses import Response

from kiteward.api.rest import headers
from kiteward.api.rest.endpoints import Table
from kiteward.api.rest.openapi import Schema, document

DOCUMENT_PATH: Final = "/openapi.json"
_FAILURE: Final = {"$ref": "#/components/schemas/Failure"}
"""The only response of an endpoint that is not served."""
PAGE_PATH: Final = "/docs"
PUBLIC_PATHS: Final = frozenset({DOCUMENT_PATH, PAGE_PATH})

_CODE: Final = re.compile(r"`([^`]*)`")
"""What the document, whose descriptions are Markdown, has as code."""

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24; }
h1 { margin-bottom: 0; } h2 { margin-top: 2rem; border-bottom: 1px solid #d0d7de; }
details { margin: .4rem 0; border: 1px solid #d0d7de; border-radius: 4px; }
summary { padding: .4rem .8rem; cursor: pointer; } summary code:first-child { margin-right: .8rem; font-weight: 600; }
table { border-collapse: collapse; margin: .4rem .8rem .8rem; }
td, th { padding: .2rem .8rem .2rem 0; text-align: left; }
pre { margin: .4rem .8rem .8rem; padding: .6rem; overflow-x: auto; background: #f6f8fa; }
@media (prefers-color-scheme: dark) { body { background: #0d1117; color: #e6edf3; } pre { background: #161b22; } }
"""


@dataclass(frozen=True, slots=True)
class PublicDocument:
    """A document that is served without authentication.

    Attributes:
        content: its bytes.
        media_type: their media type.
        policy: its content security policy.
    """

    content: bytes
    media_type: str
    policy: str

    def response(self) -> Response:
        """Return the response with this document."""
        return Response(self.content, media_type=self.media_type, headers={"Content-Security-Policy": self.policy})


def public_documents(table: Table) -> Mapping[str, PublicDocument]:
    """Return the public documents by path."""
    described = document(table)
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    return {
        DOCUMENT_PATH: PublicDocument(msgspec.json.encode(described), "application/json", headers.closed_but()),
        PAGE_PATH: PublicDocument(
            "".join(_page(described)).encode(), "text/html", headers.closed_but(style_src=f"'sha256-{digest}'")
        ),
    }


def _page(described: Schema) -> Iterator[str]:
    title = f"{described['info']['title']} {described['info']['version']}"
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
    yield f"<p>{_marked_up(described['info']['description'])}</p>"
    yield f'<p>For programs: <a href="{DOCUMENT_PATH}">{DOCUMENT_PATH}</a></p>'
    for tag in described["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2>"
        for path, methods in described["paths"].items():
            operation = methods["post"]
            if tag["name"] in operation["tags"]:
                yield from _operation(path, operation, described["components"]["schemas"])
    yield "</body></html>"


def _operation(path: str, operation: Schema, components: Schema) -> Iterator[str]:
    yield f"<details><summary><code>POST {escape(path)}</code>{_marked_up(operation['summary'])}</summary>"
    (taken,) = operation["requestBody"]["content"].values()
    body = _resolved(taken["schema"], components)
    required = body.get("required", [])
    yield "<table><tr><th>field<th>type<th>"
    for name, member in body.get("properties", {}).items():
        needed = "required" if name in required else ""
        yield f"<tr><td><code>{escape(name)}</code><td>{escape(_kind(member))}<td>{needed}"
    yield "</table>"
    outcome = operation["responses"]["200"]["content"]["application/json"]["schema"]
    yield f"<pre>{escape(_pretty(_shape(outcome, components)))}</pre></details>"


def _marked_up(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _shape(outcome: Schema, components: Schema) -> Any:
    """Return an example of a successful response, with types in place of values."""
    if outcome == _FAILURE:
        return {"code": "integer", "message": "string"}
    if "oneOf" not in outcome:
        return _example(outcome, components)
    return {
        name: member["const"] if "const" in member else _example(member, components)
        for name, member in outcome["oneOf"][0]["properties"].items()
    }


def _example(schema: Schema, components: Schema, depth: int = 4) -> Any:
    resolved = _resolved(schema, components)
    if depth and "properties" in resolved:
        return {name: _example(member, components, depth - 1) for name, member in resolved["properties"].items()}
    if depth and "items" in resolved:
        return [_example(resolved["items"], components, depth - 1)]
    return _kind(resolved)


def _resolved(schema: Schema, components: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Schema = components[schema["$ref"].rpartition("/")[2]]
    return found


def _kind(schema: Schema) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "items" in schema:
        return f"list of {_kind(schema['items'])}"
    return str(schema.get("type", "anything"))


def _pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
