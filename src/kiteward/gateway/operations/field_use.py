"""What happens to each field of each request, by the rows and by the table of the messages inside requests.

Whatever has no class is refused: it is no field of the type from which the request is read
(`kiteward.milvus.request_types`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum

from kiteward.gateway import outbound
from kiteward.gateway.audit_details import paths_of
from kiteward.gateway.operations.declare import UNUSED
from kiteward.gateway.operations.message_fields import BULK_NUMBERS, ENUMS, MESSAGES, OWN_ENUMS
from kiteward.gateway.operations.row import Executor, Operation
from kiteward.milvus import messages
from kiteward.milvus.request_reader import RequestReader
from kiteward.milvus.request_types import RequestTypes


class FieldUse(StrEnum):
    """What happens to a field of a request."""

    SELECTS = "selects"
    """It is read, and checked or executed by it here. It is forwarded as it is."""
    REWRITTEN = "rewritten"
    """It is read and checked, and forwarded with the resolved name where that differs."""
    FORWARDED = "forwarded"
    """The engine alone interprets it. It selects nothing that privileges are about. Parameters are checked by key."""
    UNUSED = "unused"
    """It is accepted because SDKs send it, and has no effect. No engine gets it."""
    REFUSED = "refused"
    """A request that sets it is refused."""

    __hash__ = str.__hash__


def uses_of(row: Operation) -> Mapping[str, FieldUse]:
    """Return the class of each field of an RPC's request, in the order of the protocol. Other fields have none.

    Raises:
        ValueError: the row names a field that the request does not have, or says two things about one.
    """
    declared = messages.descriptor_of(messages.method_of(row.name).request).fields_by_name
    if row.closed:
        return dict.fromkeys(declared, FieldUse.REFUSED)
    uses: dict[str, FieldUse] = {}
    for use, names in (_of_engine_row(row) if row.by_engine else _of_own_row(row)).items():
        for name in dict.fromkeys(names):
            if name not in declared or name in uses:
                raise ValueError(f"the row of {row.name} says two things about `{name}`, or there is no such field")
            uses[name] = use
    return {name: uses[name] for name in declared if name in uses}


def _of_engine_row(row: Operation) -> Mapping[FieldUse, Iterable[str]]:
    refused = {*row.refused, *(place.path for place in row.places if outbound.must_be_empty(place.rule))}
    rewritten = row.rewritten()
    by_key = {place.keys for place in row.parameters}
    checked = {*row.fields(), *row.content()}.difference(refused, rewritten, by_key)
    base = {"base"} & set(messages.descriptor_of(messages.method_of(row.name).request).fields_by_name)
    return {
        FieldUse.REFUSED: _top(refused),
        FieldUse.REWRITTEN: rewritten,
        FieldUse.SELECTS: _top(checked),
        FieldUse.FORWARDED: (*row.forwarded, *base),
    }


def _of_own_row(row: Operation) -> Mapping[FieldUse, Iterable[str]]:
    unused = {path for path, why in row.left_out.items() if why == UNUSED and "." not in path}
    base = {"base"} & set(messages.descriptor_of(messages.method_of(row.name).request).fields_by_name)
    recorded = (path for place in (row.recorded or {}).values() for path in paths_of(place))
    read = {path.partition(".")[0] for path in (*recorded, *row.left_out, *row.fields(), *row.used)}
    return {FieldUse.UNUSED: unused | base, FieldUse.SELECTS: read - unused, FieldUse.REFUSED: row.refused}


def _top(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(path for path in paths if "." not in path)


def with_readers(rows: Iterable[Operation]) -> tuple[Operation, ...]:
    """Return rows with what reads their requests: of all that is accepted, and of nothing else.

    Raises:
        ValueError: as `uses_of`.
        KeyError: an accepted field holds a message or an enum that the tables of these lack.
    """
    rows = tuple(rows)
    admitted = {name: fields.accepted for name, fields in MESSAGES.items()}
    opened = [row for row in rows if row.executor is not Executor.NOBODY]
    for row in opened:
        read = {path for path in (*row.fields(), *row.content()) if "." not in path}
        accepted = {name for name, use in uses_of(row).items() if use is not FieldUse.REFUSED}
        admitted[messages.descriptor_of(messages.method_of(row.name).request).full_name] = tuple(accepted | read)
    bulk = {*BULK_NUMBERS, *(name for name, fields in MESSAGES.items() if fields.bulk)}
    requests = [messages.method_of(row.name).request for row in opened]
    serialised = [held for request in requests for held in messages.serialised_in(request).values()]
    types = RequestTypes([*requests, *serialised], admitted, enums=ENUMS, open_enums=OWN_ENUMS, bulk=bulk)
    return tuple(replace(row, reader=_reader(types, row)) if row in opened else row for row in rows)


def _reader(types: RequestTypes, row: Operation) -> RequestReader:
    paths = dict.fromkeys((*row.fields(), *row.content(), *(place.path for place in row.unheeded_places)))
    return RequestReader(types, messages.method_of(row.name).request, tuple(paths), most_fields=row.most_fields)
