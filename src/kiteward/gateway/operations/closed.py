"""RPCs that are not offered."""

from typing import Final

from kiteward.domain.error_codes import ErrorCode
from kiteward.gateway.operations.declare import closed

ROWS: Final = (
    *closed(
        "Dummy RegisterLink",
        ErrorCode.OPERATION_OBSOLETE,
        "it is an obsolete part of the protocol that no client needs",
    ),
    *closed(
        "CalcDistance", ErrorCode.OPERATION_REMOVED, "Milvus no longer offers it, and it selects stored vectors by id"
    ),
    *closed("CreateReplicateStream DumpMessages", ErrorCode.OPERATION_STREAMING, "streaming calls are not authorized"),
    # The Node SDK recognises the gRPC status, and then sends heartbeats less often.
    *closed(
        "ClientHeartbeat",
        ErrorCode.CLIENT_TELEMETRY_CLOSED,
        "client telemetry lets one user command the clients of others",
        unimplemented_by_grpc=True,
    ),
    *closed(
        "GetClientTelemetry PushClientCommand DeleteClientCommand",
        ErrorCode.CLIENT_TELEMETRY_CLOSED,
        "client telemetry lets one user command the clients of others",
    ),
)
