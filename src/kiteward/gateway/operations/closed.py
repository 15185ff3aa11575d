"""RPCs that are not offered."""

from typing import Final

from kiteward.gateway.operations.declare import closed

ROWS: Final = (
    *closed("Dummy RegisterLink", "it is an obsolete part of the protocol that no client needs"),
    *closed("CalcDistance", "Milvus no longer offers it, and it selects stored vectors by id"),
    *closed("CreateReplicateStream DumpMessages", "streaming calls are not authorized"),
    *closed(
        "AddUserTags DeleteUserTags GetUserTags ListUsersWithTag CreateRowPolicy DropRowPolicy ListRowPolicies",
        "row-level security is not implemented",
    ),
    # The Node SDK recognises the gRPC status, and then sends heartbeats less often.
    *closed(
        "ClientHeartbeat",
        "client telemetry lets one user command the clients of others",
        unimplemented_by_grpc=True,
    ),
    *closed(
        "GetClientTelemetry PushClientCommand DeleteClientCommand",
        "client telemetry lets one user command the clients of others",
    ),
)
