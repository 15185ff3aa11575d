"""Whether a caller may write the rows of an Insert or Upsert, by the row policies of their collection.

1. Every row that is written satisfies `check_expr`: of an insert that for insert, of an upsert that for upsert.
2. Every stored row whose key is written satisfies `using_expr` for upsert. Engines let an insert replace the row that
   has its key, so that this holds for inserts too; then the row that is written satisfies `check_expr` for both.
3. A row that is upserted in part is checked as it will be stored.
4. What cannot be evaluated is refused, and one row refuses all.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kiteward.authz.row_policies import BoundRule, CompiledRowRules, PolicyType, RowAction
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, InvalidArgument
from kiteward.domain.identity import Principal
from kiteward.filters import fields_of, matches
from kiteward.gateway.row_access.columns import GivenRows, Values, given_rows
from kiteward.gateway.row_access.fields import CollectionFields, Value
from kiteward.gateway.row_access.stored_rows import Key, Row, StoredRows
from kiteward.gateway.row_access.verdicts import Verdicts
from kiteward.milvus.messages import schema_pb2
from kiteward.milvus.row_columns import WriteRequest

_ROWS_AT_A_TIME: Final = 5_000
"""Rows that are checked before other requests get the event loop: some milliseconds."""

_REPLACE: Final = schema_pb2.FieldPartialUpdateOp.OpType.Value("REPLACE")


@dataclass(frozen=True, slots=True)
class WriteCheck:
    """Checks one request.

    Attributes:
        rules: the row policies of its collection.
        principal: its caller.
        stored: reads the rows of the collection, which nobody else writes meanwhile.
    """

    rules: CompiledRowRules
    principal: Principal
    stored: StoredRows

    async def insert(self, write: WriteRequest) -> None:
        """Require that an Insert may be made.

        Raises:
            AccessDenied: a row policy does not allow it.
            InvalidArgument: it is wrong, or cannot be checked.
            EngineError: the stored rows cannot be read.
        """
        fields = await self.stored.fields()
        inserting, upserting = self._check(RowAction.INSERT), self._check(RowAction.UPSERT)
        needed = _fields(inserting)
        if not fields.generates_keys:
            needed |= _fields(upserting)
        rows = _given(write, fields, needed)
        if fields.generates_keys and fields.key.name in rows.columns:
            raise _unwanted_key(fields)
        columns = {name: _complete(name, rows, fields) for name in needed}
        await self._judge(inserting, columns, rows.count, RowAction.INSERT)
        if fields.generates_keys:
            return
        keys = _keys(rows, fields)
        stored = await self._stored(keys, frozenset(), fields=fields)
        places = [index for index, key in enumerate(keys) if key in stored]
        if places and not self.stored.unique_keys:
            raise self._taken(places[0])
        if places:
            replaced = {name: [column[index] for index in places] for name, column in columns.items()}
            await self._judge(upserting, replaced, len(places), RowAction.UPSERT, places)

    async def upsert(self, write: WriteRequest) -> None:
        """Require that an Upsert may be made. Raises as `insert`."""
        fields = await self.stored.fields()
        rule = self._check(RowAction.UPSERT)
        needed = _fields(rule)
        self._check_operations(write, fields)
        rows = _given(write, fields, needed)
        if fields.key.name not in rows.columns and fields.generates_keys:
            # Where an engine accepts it, all of them are new.
            await self._judge(
                rule, {name: _complete(name, rows, fields) for name in needed}, rows.count, RowAction.UPSERT
            )
            return
        keys = _keys(rows, fields)
        partial = bool(getattr(write.message, "partial_update", False))
        absent = needed - rows.columns.keys()
        if absent and not partial:
            raise _missing(min(absent), "an upsert that is not a partial update gives it for every row")
        stored = await self._stored(keys, absent, fields=fields)
        columns = {name: rows.columns[name] for name in needed if name not in absent}
        for name in absent:
            columns[name] = _merged(name, keys, stored, fields)
        await self._judge(rule, columns, rows.count, RowAction.UPSERT)

    def _check(self, action: RowAction) -> BoundRule:
        return self.rules.check(self.principal, action)

    async def _stored(
        self, keys: Sequence[Key], needed: frozenset[str], *, fields: CollectionFields
    ) -> Mapping[Key, Row]:
        """Return the rows under these keys, all of which the caller may replace, with the fields that are needed."""
        using = self.rules.using(self.principal, RowAction.UPSERT)
        stored = await self.stored.under(keys, needed | _fields(using), fields=fields)
        verdicts = Verdicts(using)
        for index, key in enumerate(keys):
            row = stored.get(key)
            if row is None and not fields.generates_keys:
                continue
            if row is None or not verdicts.allow_row(row):
                raise self._foreign(index)
            if index % _ROWS_AT_A_TIME == _ROWS_AT_A_TIME - 1:
                await asyncio.sleep(0)
        return stored

    async def _judge(
        self,
        rule: BoundRule,
        columns: Mapping[str, Values],
        count: int,
        action: RowAction,
        places: Sequence[int] | None = None,
    ) -> None:
        """Require that a rule allows rows.

        Args:
            rule: the rule.
            columns: the values of the fields that it reads.
            count: the number of rows.
            action: what the rule is about.
            places: their numbers in the request; None where all are there, in order.
        """
        verdicts = Verdicts(rule)
        given = [columns[name] for name in verdicts.names]
        for begin in range(0, count, _ROWS_AT_A_TIME):
            for index in range(begin, min(begin + _ROWS_AT_A_TIME, count)):
                if not verdicts.allow(tuple(column[index] for column in given)):
                    row = {column: columns[column][index] for column in verdicts.names}
                    raise self._violation(rule, row, action, index if places is None else places[index])
            await asyncio.sleep(0)

    def _violation(self, rule: BoundRule, row: Row, action: RowAction, index: int) -> AccessDenied:
        """Return the refusal of a row that a rule does not allow, with the policies because of which it does not."""
        restrictive = [part for part in rule.parts if part.policy_type is PolicyType.RESTRICTIVE]
        names = [part.name for part in restrictive if not matches(part.expression, row)]
        names = names or [part.name for part in rule.parts if part.policy_type is PolicyType.PERMISSIVE]
        collection = self.stored.collection
        if not names:
            return AccessDenied(
                f"no row policy of the collection {collection} lets {self.principal.user_name} write rows by {action}",
                ErrorDetail(ErrorCode.ROW_POLICY_ABSENT, {"collection": collection, "action": action}),
            )
        shown = ", ".join(names)
        which = "the row policy" if len(names) == 1 else "each of the row policies"
        return AccessDenied(
            f"row {index} violates `check_expr` of {which} {shown} of the collection {collection}",
            ErrorDetail(ErrorCode.ROW_VIOLATES_POLICY, {"row": index, "policies": shown, "collection": collection}),
        )

    def _foreign(self, index: int) -> AccessDenied:
        """Return the refusal of a row whose key is that of a row that the caller may not replace."""
        collection = self.stored.collection
        return AccessDenied(
            f"the key of row {index} is not that of a row which the row policies of the collection {collection} let "
            f"{self.principal.user_name} replace",
            ErrorDetail(ErrorCode.ROW_NOT_REPLACEABLE, {"row": index, "collection": collection}),
        )

    def _taken(self, index: int) -> InvalidArgument:
        """Return the refusal of an insert by which an engine would store a second row with the same key."""
        collection = self.stored.collection
        return InvalidArgument(
            f"the key of row {index} is that of a row of the collection {collection}: upsert the row, or delete the "
            "stored one first",
            ErrorDetail(ErrorCode.ROW_KEY_TAKEN, {"row": index, "collection": collection}),
        )

    def _check_operations(self, write: WriteRequest, fields: CollectionFields) -> None:
        """Require that no operation computes a value that is checked: engines differ in what they make of it."""
        for each in getattr(write.message, "field_ops", ()):
            if each.op != _REPLACE and each.field_name in {fields.key.name, *self.rules.read_fields}:
                raise _unchecked(each.field_name, "it is read by a row policy, so that it can be replaced only")


def _fields(rule: BoundRule) -> frozenset[str]:
    return fields_of(rule.expression)


def _given(write: WriteRequest, fields: CollectionFields, needed: frozenset[str]) -> GivenRows:
    return given_rows(write.columns, write.message.num_rows, fields=fields, needed=needed | {fields.key.name})


def _keys(rows: GivenRows, fields: CollectionFields) -> list[Key]:
    """Return the primary keys of rows, each of which is there once."""
    column = rows.columns.get(fields.key.name)
    if column is None:
        raise _missing(fields.key.name, "it is the primary key")
    first: dict[Key, int] = {}
    for index, key in enumerate(column):
        if not isinstance(key, str | int):
            raise _unchecked(fields.key.name, "it is the primary key, and is of a type that none has")
        if first.setdefault(key, index) != index:
            raise InvalidArgument(
                f"the rows {first[key]} and {index} have the same primary key: give each row once",
                ErrorDetail(ErrorCode.ROW_KEY_TWICE, {"first": first[key], "second": index}),
            )
    return list(first)


def _complete(name: str, rows: GivenRows, fields: CollectionFields) -> Values:
    """Return the values of a field in new rows: as they are given, or its default."""
    if name in rows.columns:
        return rows.columns[name]
    field = fields.by_name.get(name)
    if field is None or field.default is None or name == fields.key.name:
        raise _missing(name, "a row policy reads it")
    return [field.default] * rows.count


def _merged(name: str, keys: Sequence[Key], stored: Mapping[Key, Row], fields: CollectionFields) -> Values:
    """Return the values of a field that an update leaves as it is stored; of new rows its default."""
    field = fields.by_name.get(name)
    default = None if field is None else field.default
    values: list[Value | None] = []
    for index, key in enumerate(keys):
        row = stored.get(key)
        if row is None and default is None:
            raise _missing(name, f"a row policy reads it, and row {index} is new")
        values.append(default if row is None else row[name])
    return values


def _missing(name: str, why: str) -> InvalidArgument:
    return InvalidArgument(
        f"the column `{name}` is missing: {why}", ErrorDetail(ErrorCode.COLUMN_MISSING, {"column": name})
    )


def _unchecked(name: str, why: str) -> InvalidArgument:
    return InvalidArgument(
        f"the column `{name}` cannot be checked by row policies: {why}",
        ErrorDetail(ErrorCode.COLUMN_UNCHECKABLE, {"column": name}),
    )


def _unwanted_key(fields: CollectionFields) -> InvalidArgument:
    return _unchecked(fields.key.name, "the engine generates it: leave it out")
