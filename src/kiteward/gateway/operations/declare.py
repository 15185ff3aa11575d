"""Functions that declare rows, one for each kind of operation.

Each takes the names of one or more RPCs that share all rules, and returns their rows. Whatever a row does not allow is
refused. The rules are the columns of `Operation`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from kiteward.audit.events import Event
from kiteward.authz.privileges import PRIVILEGES
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.identity import CredentialReach
from kiteward.gateway import outbound, providers, unheeded
from kiteward.gateway.audit_details import Recorded, readers_of
from kiteward.gateway.operations.row import Executor, Handler, Operation, RowUse
from kiteward.gateway.parameters import parameter_places
from kiteward.gateway.rule_places import places
from kiteward.milvus import messages

Rows = tuple[Operation, ...]

ONE_COLLECTION: Final = ("collection_name",)
ANY_CREDENTIAL: Final = CredentialReach.ANY
"""For responses that reveal nothing, or are filtered to what the credential may see."""

UNUSED: Final = "it has no effect"
RESOLVED: Final = "the line has the resolved database"
CONFIDENTIAL: Final = "it is secret, or may be"
"""Why a field is not recorded."""


def reads(names: str, privilege: str | None, *, rows: RowUse, **rules: Any) -> Rows:
    """Return rows that the engine executes and that change nothing. The database field is `db_name` unless given."""
    return _engine_rows(names, privilege, Executor.ENGINE, {"event": Event.DATA_READ, "rows": rows, **rules})


def writes(names: str, privilege: str, *, rows: RowUse, **rules: Any) -> Rows:
    """Return rows that the engine executes and that change entities."""
    return _engine_rows(names, privilege, Executor.ENGINE, {"event": Event.DATA_WRITE, "rows": rows, **rules})


def defines(names: str, privilege: str, *, rows: RowUse, **rules: Any) -> Rows:
    """Return rows that the engine executes and that change the definition of collections, databases or resources."""
    return _engine_rows(names, privilege, Executor.ENGINE, {"event": Event.DATA_DEFINITION, "rows": rows, **rules})


def changes_catalog(
    name: str, privilege: str, *, recorded: Mapping[str, Recorded], rows: RowUse = RowUse.NONE, **rules: Any
) -> Rows:
    """Return the row of an operation that creates, drops or renames databases, collections or aliases."""
    left_out = {"db_name": RESOLVED, **rules.pop("left_out", {})}
    rules = {"event": Event.OBJECT_CHANGE, "rows": rows, "recorded": recorded, "left_out": left_out, **rules}
    return _engine_rows(name, privilege, Executor.DDL, rules)


def tells(name: str, handler: Handler, **rules: Any) -> Rows:
    """Return the row of an RPC that reports to every principal about itself; it is recorded only when refused."""
    return (_row(name, Executor.HERE, None, {"handler": handler, "credential": ANY_CREDENTIAL, **rules}),)


def shows(name: str, privilege: str, handler: Handler, **rules: Any) -> Rows:
    """Return the row of an administrative read that Kiteward executes itself."""
    rules = {"handler": handler, "event": Event.ADMINISTRATIVE_READ, "recorded": {}, **rules}
    return (_row(name, Executor.HERE, privilege, rules),)


def changes(name: str, privilege: str, handler: Handler, *, event: Event, **rules: Any) -> Rows:
    """Return the row of a change of users or of the policy that Kiteward executes itself."""
    return (_row(name, Executor.HERE, privilege, {"handler": handler, "event": event, **rules}),)


def closed(names: str, code: ErrorCode, why: str, **rules: Any) -> Rows:
    """Return rows of RPCs that are refused for every caller, with the reason as a code and as text."""
    rules = {"closed": why, "closed_code": code, **rules}
    return tuple(_row(name, Executor.NOBODY, None, rules) for name in names.split())


def _engine_rows(names: str, privilege: str | None, executor: Executor, rules: Mapping[str, Any]) -> Rows:
    rows = tuple(_row(name, executor, privilege, {"database": "db_name", **rules}) for name in names.split())
    if unknown := set(rules.get("forwarded", "").split()).difference(*(row.forwarded for row in rows)):
        raise ValueError(f"{names} have no fields {', '.join(sorted(unknown))}")
    return rows


def _row(name: str, executor: Executor, privilege: str | None, rules: Mapping[str, Any]) -> Operation:
    given = dict(rules)
    if "failure" in given:
        given["failure_code"] = messages.ErrorCode.Value(given.pop("failure"))
    given.setdefault("needs_catalog", any(given.get(rule) for rule in ("database", "collections", "aliases")))
    given["forwarded"] = _those_of(name, given.get("forwarded", ""))
    given["used"] = _those_of(name, given.get("used", ""))
    if executor in (Executor.ENGINE, Executor.DDL):
        paths = messages.paths_in(name)
        given.update(
            places=places(outbound.RULES, paths),
            functions=providers.function_paths(paths),
            parameters=parameter_places(paths),
            unheeded_places=places(unheeded.RULES, paths),
        )
    row = Operation(name, executor, None if privilege is None else PRIVILEGES[privilege], **given)
    readers = readers_of(row.recorded or {}, messages.descriptor_of(messages.method_of(name).request))
    named = (row.creates, row.creates_database, row.creates_partitions, row.creates_fields, row.creates_indexes)
    return replace(row, readers=readers, creates_names=any(named))


def _those_of(name: str, fields: str) -> tuple[str, ...]:
    """Return the fields that the request of an RPC has; its row may share its rules with others that have more."""
    known = messages.descriptor_of(messages.method_of(name).request).fields_by_name
    return tuple(each for each in fields.split() if each in known)
