"""Generates the OpenAPI 3.1 document from the rows that validate requests."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import msgspec

from kiteward import __version__
from kiteward.api.rest import headers, oauth
from kiteward.api.rest.endpoints import LONGEST_TIMEOUT, Endpoint, Table
from kiteward.api.rest.status import DEFECT, NOT_AUTHENTICATED, TIMEOUT, TOO_LARGE, UNEXPECTED
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.identity import Secret

Schema = dict[str, Any]

_SCHEMAS: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"
_TEXT: Final = "text/plain"

_DESCRIPTION: Final = (
    "Users, roles, privileges and vectors over HTTP, as Milvus has them. Every operation needs a credential. "
    "HTTP 200 with a `code` other than 0 means that the request was refused or failed; `message` says why."
)

_FAILURES: Final[Mapping[HTTPStatus, tuple[int, str]]] = {
    HTTPStatus.UNAUTHORIZED: (NOT_AUTHENTICATED, "The request is not authenticated."),
    HTTPStatus.FORBIDDEN: (
        UNEXPECTED,
        "The privilege is missing, or requests from pages of this origin are not allowed.",
    ),
    HTTPStatus.REQUEST_TIMEOUT: (TIMEOUT, "Timeout; a change may or may not have been made."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (TOO_LARGE, "The body is too large."),
    HTTPStatus.INTERNAL_SERVER_ERROR: (DEFECT, "An internal error."),
}
"""Failures with an HTTP status of their own: the code in the response, and its description."""


def document(table: Table) -> Schema:
    """Return the OpenAPI document of a table of endpoints."""
    kinds = [kind for endpoint in table.values() for kind in _kinds(endpoint)]
    schemas, components = msgspec.json.schema_components(kinds, schema_hook=_hook, ref_template=_SCHEMAS)
    known = _Schemas(kinds, schemas, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kiteward", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "security": _SECURITY,
        "tags": [{"name": name} for name in dict.fromkeys(endpoint.tag for endpoint in table.values())],
        "paths": {path: {"post": _operation(endpoint, known)} for path, endpoint in table.items()},
        "components": {
            "schemas": {**components, "Failure": _FAILURE, "OAuthFailure": _OAUTH_FAILURE},
            "parameters": _PARAMETERS,
            "responses": {status.name: _failure(status) for status in _FAILURES}
            | {"BAD_REQUEST": _BAD_REQUEST, "OAUTH": _OAUTH},
            "securitySchemes": _SCHEMES,
        },
    }


class _Schemas:
    """Finds the schema of a type."""

    def __init__(self, kinds: list[Any], schemas: tuple[Schema, ...], components: Schema) -> None:
        self._known = list(zip(kinds, schemas, strict=True))
        self._components = components

    def of(self, kind: Any) -> Schema:
        """Return the schema of a type, usually a reference."""
        return next(schema for known, schema in self._known if known == kind)

    def members(self, kind: Any) -> Schema:
        """Return the schemas of a type's members."""
        name = self.of(kind)["$ref"].rpartition("/")[2]
        members: Schema = self._components[name]["properties"]
        return members


def _kinds(endpoint: Endpoint[Any]) -> list[Any]:
    return [endpoint.body, endpoint.data, *([endpoint.extra] if endpoint.extra else [])]


def _hook(kind: type) -> Schema:
    """Return the schema of a type that msgspec does not support."""
    if kind is Secret:
        return {"type": "string", "format": "password"}
    raise NotImplementedError(f"{kind.__name__} has no schema")


def _operation(endpoint: Endpoint[Any], schemas: _Schemas) -> Schema:
    operation = {
        "operationId": f"{endpoint.tag}/{endpoint.path.partition('/')[2]}".rstrip("/").replace("/", "_"),
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "security": _SECURITY,
        "parameters": [{"$ref": f"#/components/parameters/{name}"} for name in _PARAMETERS],
    }
    return operation | (_of_form(endpoint, schemas) if endpoint.oauth else _of_json(endpoint, schemas))


def _of_form(endpoint: Endpoint[Any], schemas: _Schemas) -> Schema:
    """Return what an endpoint takes and answers as OAuth 2.0 does."""
    done = {"description": "Done.", "headers": _HEADERS, "content": {_JSON: {"schema": schemas.of(endpoint.data)}}}
    refused = {"$ref": "#/components/responses/OAUTH"}
    return {
        "requestBody": {"required": True, "content": {oauth.FORM: {"schema": schemas.of(endpoint.body)}}},
        "responses": {
            str(int(HTTPStatus.OK)): done,
            str(int(HTTPStatus.FORBIDDEN)): {"$ref": "#/components/responses/FORBIDDEN"},
            **{str(int(status)): refused for status in oauth.STATUSES},
        },
    }


def _of_json(endpoint: Endpoint[Any], schemas: _Schemas) -> Schema:
    return {
        "requestBody": {"required": True, "content": {_JSON: {"schema": schemas.of(endpoint.body)}}},
        "responses": {
            str(int(HTTPStatus.OK)): {
                "description": "Done, or refused with a `code` other than 0.",
                "headers": _HEADERS,
                "content": {_JSON: {"schema": _outcome(endpoint, schemas)}},
            },
            str(int(HTTPStatus.BAD_REQUEST)): {"$ref": "#/components/responses/BAD_REQUEST"},
            **{str(int(status)): {"$ref": f"#/components/responses/{status.name}"} for status in _FAILURES},
        },
    }


def _outcome(endpoint: Endpoint[Any], schemas: _Schemas) -> Schema:
    failure = {"$ref": "#/components/schemas/Failure"}
    if not endpoint.served:
        return failure
    members = {"code": {"const": 0}, "data": schemas.of(endpoint.data)}
    if endpoint.extra is not None:
        members |= schemas.members(endpoint.extra)
    success = {
        "type": "object",
        "properties": members,
        "required": ["code", "data"],
        "additionalProperties": False,
    }
    return {"oneOf": [success, failure]}


def _failure(status: HTTPStatus) -> Schema:
    code, description = _FAILURES[status]
    schema = {"allOf": [{"$ref": "#/components/schemas/Failure"}, {"properties": {"code": {"const": code}}}]}
    known = dict(_HEADERS)
    if status is HTTPStatus.UNAUTHORIZED:
        known["WWW-Authenticate"] = {"description": "The credential.", "schema": {"type": "string"}}
    return {"description": description, "headers": known, "content": {_JSON: {"schema": schema}}}


_SECURITY: Final[list[Schema]] = [{"bearer": []}, {"basic": []}]

_SCHEMES: Final[Schema] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Bearer user:password`, or `Bearer` and a key."},
    "basic": {"type": "http", "scheme": "basic"},
}

_PARAMETERS: Final[Schema] = {
    "Database": {
        "name": headers.DATABASE,
        "in": "header",
        "description": "The database, if the body names none.",
        "schema": {"type": "string"},
    },
    "RequestTimeout": {
        "name": headers.REQUEST_TIMEOUT,
        "in": "header",
        "description": "The timeout in seconds.",
        "schema": {"type": "integer", "minimum": 1, "maximum": LONGEST_TIMEOUT},
    },
    "AllowInt64": {
        "name": headers.ALLOW_INT64,
        "in": "header",
        "description": "Whether 64-bit integers are returned as numbers; otherwise as text.",
        "schema": {"type": "boolean"},
    },
}

_HEADERS: Final[Schema] = {
    headers.REQUEST_ID: {"description": "The id of this request in the log.", "schema": {"type": "string"}},
}

_FAULT: Final[Mapping[str, Schema]] = {
    "message": {"type": "string"},
    "reason": {
        "type": "string",
        "enum": [code.value for code in ErrorCode],
        "description": "What is wrong, below `/v2/kiteward/` alone.",
    },
    "field": {
        "type": "string",
        "description": "The argument at fault, below `/v2/kiteward/` alone and where it is one.",
    },
}

_FAILURE: Final[Schema] = {
    "type": "object",
    "properties": {
        "code": {"type": "integer", "not": {"const": 0}},
        **_FAULT,
        "others": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": dict(_FAULT),
                "required": ["message"],
                "additionalProperties": False,
            },
            "description": "What else is wrong, below `/v2/kiteward/` alone and where there is more.",
        },
    },
    "required": ["code", "message"],
    "additionalProperties": False,
}

_BAD_REQUEST: Final[Schema] = {
    "description": "The request is not HTTP.",
    "content": {_TEXT: {"schema": {"type": "string"}}},
}

_OAUTH_FAILURE: Final[Schema] = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    "required": ["error", "error_description"],
    "additionalProperties": False,
}

_OAUTH: Final[Schema] = {
    "description": "Refused or failed, as OAuth 2.0 says it (RFC 6749, 5.2); or the request is not HTTP.",
    "content": {
        _JSON: {"schema": {"$ref": "#/components/schemas/OAuthFailure"}},
        _TEXT: {"schema": {"type": "string"}},
    },
}
