"""Milvus's RPCs about row policies. The pinned protocol has no type of a policy: all that it creates are permissive."""

from kiteward.authz.row_policies import PolicyType, RowPolicy
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.iam import row_policies
from kiteward.iam.milvus_rpc.base import Request
from kiteward.iam.row_policies import Place
from kiteward.iam.row_policy_forms import PolicyForm
from kiteward.iam.services import Services
from kiteward.milvus import messages

_pb = messages.milvus_pb2


async def create(services: Services, request: Request) -> bytes:
    """Create a permissive policy."""
    message = request.read(_pb.CreateRowPolicyRequest)
    form = PolicyForm(
        name=message.policy_name,
        policy_type=PolicyType.PERMISSIVE,
        actions=tuple(map(_action, message.actions)),
        roles=message.roles,
        using_expr=message.using_expr,
        check_expr=message.check_expr,
        description=message.description,
    )
    await row_policies.create_policy(services, request, _place(request, message), form)
    return messages.success("CreateRowPolicy")


async def drop(services: Services, request: Request) -> bytes:
    """Drop a policy."""
    message = request.read(_pb.DropRowPolicyRequest)
    await row_policies.drop_policy(services, request, _place(request, message), message.policy_name)
    return messages.success("DropRowPolicy")


async def list_all(services: Services, request: Request) -> bytes:
    """List the policies of a collection, restrictive ones too, sorted by name; times are in whole seconds."""
    message = request.read(_pb.ListRowPoliciesRequest)
    place = _place(request, message)
    held = (await row_policies.describe_protection(services, request, place)).collection
    response = _pb.ListRowPoliciesResponse(
        status=messages.Status(),
        policies=[_policy(policy) for policy in held.policies],
        db_name=place.database,
        collection_name=message.collection_name,
    )
    return bytes(response.SerializeToString())


def _place(
    request: Request, message: _pb.CreateRowPolicyRequest | _pb.DropRowPolicyRequest | _pb.ListRowPoliciesRequest
) -> Place:
    return Place(message.db_name or request.call.database or DEFAULT_DATABASE, message.collection_name)


def _action(value: _pb.RowPolicyAction.ValueType) -> str:
    """Return the name of an action; of one that the protocol does not have, its number."""
    return _pb.RowPolicyAction.Name(value) if value in _pb.RowPolicyAction.values() else str(value)


def _policy(policy: RowPolicy) -> _pb.RowPolicy:
    return _pb.RowPolicy(
        policy_name=policy.name,
        actions=sorted(_pb.RowPolicyAction.Value(action) for action in policy.actions),
        roles=policy.roles,
        using_expr=policy.using_expr,
        check_expr=policy.check_expr,
        description=policy.description,
        created_at=int(policy.created_at),
    )
