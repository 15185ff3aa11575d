"""Decides how the row policies of a collection bear on a request whose privileges suffice (decision 0044).

The same snapshot decides about privileges and rows, so that a request sees one revision of the policy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from kiteward.authz.policy import Condition, Decision, PolicySnapshot, decide
from kiteward.authz.privileges import PRIVILEGES
from kiteward.authz.row_policies import CompiledRowRules, RowAction
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied, InUse
from kiteward.domain.identity import Principal
from kiteward.filters import Dialect
from kiteward.gateway.operations import Operation, RowUse
from kiteward.gateway.recording import Recording
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.gateway.row_access.reading import FilteredRead
from kiteward.milvus import messages

_BY_NUMBER: Final = "(a field by its number)"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAccess:
    """How row policies bear on an authorized request.

    Attributes:
        database: the resolved database.
        collection: the collection, aliases resolved.
        rules: its row policies.
        bypassed: whether the principal bypasses them; such a write still waits for the checks of others.
        read: the request, if it is a filtered read. It is forwarded instead of the resolved request's payload.
    """

    database: str
    collection: str
    rules: CompiledRowRules
    bypassed: bool = False
    read: FilteredRead | None = None

    @property
    def policies(self) -> tuple[str, ...]:
        """The names of the policies by which a read is answered, sorted."""
        return () if self.read is None else self.read.rule.policies


def row_access(
    recording: Recording,
    resolved: ResolvedRequest,
    principal: Principal,
    snapshot: PolicySnapshot,
    *,
    dialect: Dialect,
) -> RowAccess | None:
    """Return how row policies bear on a request to an RPC; None where they do not.

    The policies by which a read is answered, and a refusal, are noted in the recording.

    Args:
        recording: of the request.
        resolved: the resolved request, whose privileges suffice.
        principal: the caller.
        snapshot: the policy by which its privileges were decided.
        dialect: the engine's language of filters.

    Raises:
        AccessDenied: the request is about all rows, a read with something that is not accepted, or a rename without
            ManageRLS.
        InUse: it changes a field that a policy reads.
        PayloadMalformed: it is no message of its type.
        FilterSyntaxError: its filter cannot be parsed.
    """
    row = recording.operation
    if not snapshot.row_rules or row is None or row.rows is RowUse.NONE:
        return None
    try:
        access = _decided(row, resolved, principal, snapshot, dialect)
    except AccessDenied as error:
        recording.decision = Decision(
            False, f"row policies: {error}", str(error), ErrorDetail(error.code, error.details[0].parameters)
        )
        raise
    if access is not None and access.read is not None:
        recording.result["row_policies"] = list(access.policies)
    return access


def _decided(
    row: Operation, resolved: ResolvedRequest, principal: Principal, snapshot: PolicySnapshot, dialect: Dialect
) -> RowAccess | None:
    if row.rows is RowUse.DEFINITION:
        _check_definition(row, resolved, snapshot)
        return None
    if row.rows is RowUse.WHOLE:
        _check_whole(row, resolved, principal, snapshot)
        return None
    collection = resolved.collections[0]
    rules = snapshot.protected(resolved.database, collection)
    if rules is None:
        return None
    named: Any = {"database": resolved.database, "collection": collection, "rules": rules}
    if row.rows is RowUse.MOVED:
        # Grants on the new name decide who bypasses the policies, and who may change them.
        moving = Condition(PRIVILEGES["ManageRLS"], resolved.database, (collection,))
        decide(principal, (moving,), snapshot).require_allowed()
        return None
    bypassed = rules.bypassed_by(principal, snapshot)
    if row.rows is RowUse.WRITTEN:
        return RowAccess(**named, bypassed=bypassed)
    if bypassed:
        return None
    if row.rows is RowUse.COUNTS:
        return RowAccess(**named)
    # The actions of reads are named as their privileges; a hybrid search needs that of a search.
    rule = rules.using(principal, RowAction(row.privilege.name if row.privilege else ""))
    return RowAccess(**named, read=FilteredRead.of(row.name, resolved.payload, rule, dialect=dialect))


def _check_whole(row: Operation, resolved: ResolvedRequest, principal: Principal, snapshot: PolicySnapshot) -> None:
    """Refuse a request about all rows of a collection whose policies the principal does not bypass.

    Raises:
        AccessDenied: it is about such a collection, or may be about any and there is one.
    """
    for rules in _concerned(row, resolved, snapshot):
        if rules.enabled and not rules.bypassed_by(principal, snapshot):
            raise AccessDenied(
                f"{row.name} is about all rows, and row policies let you see some rows of a collection only: "
                + ("`rls.force` makes them apply to everybody" if rules.force else "it needs the privilege SkipRLS"),
                ErrorDetail(ErrorCode.ROW_POLICIES_ALL_ROWS, {"operation": row.name}),
            )


def _check_definition(row: Operation, resolved: ResolvedRequest, snapshot: PolicySnapshot) -> None:
    """Refuse a request of anybody that changes or drops a field that a policy reads, enforced or not.

    Raises:
        InUse: it does.
        PayloadMalformed: it is no message of its type.
    """
    concerned = [rules for rules in _concerned(row, resolved, snapshot) if rules.read_fields]
    if not concerned:
        return
    changed = tuple(_changed_fields(messages.decode(row.name, resolved.payload)))
    for rules in concerned:
        for name in changed:
            if name == _BY_NUMBER or name in rules.read_fields:
                raise InUse(
                    f"row policies of {rules.stored.collection} read the field {name}: change or drop them first"
                    if name != _BY_NUMBER
                    else f"name the field to drop: row policies of {rules.stored.collection} read some of its fields",
                    ErrorDetail(
                        ErrorCode.ROW_POLICIES_READ_FIELD, {"collection": rules.stored.collection, "name": name}
                    ),
                )


def _concerned(row: Operation, resolved: ResolvedRequest, snapshot: PolicySnapshot) -> Iterator[CompiledRowRules]:
    """Yield the policies of the collections that a request may be about.

    Without a name it may be about any of its database; without a database, about any at all.
    """
    names = resolved.collections
    if names and all(names):
        found = (snapshot.row_rules.get((resolved.database, name)) for name in names)
        yield from (rules for rules in found if rules is not None)
        return
    for (database, _), rules in snapshot.row_rules.items():
        if not row.database or database == resolved.database:
            yield rules


def _changed_fields(message: Any) -> Iterator[str]:
    """Yield the names of fields that the request of a DEFINITION changes or drops."""
    if isinstance(message, messages.milvus_pb2.AlterCollectionFieldRequest):
        yield message.field_name
    elif isinstance(message, messages.milvus_pb2.AlterCollectionSchemaRequest):
        dropped = message.action.drop_request
        if dropped.field_name:
            yield dropped.field_name
        if dropped.field_id:
            yield _BY_NUMBER
        for function in message.action.add_request.func_schema:
            yield from function.output_field_names
    elif hasattr(message, "functionSchema"):
        yield from message.functionSchema.output_field_names
