"""Connect, GetVersion, CheckHealth: the server's identity, version and health (contract 1.5)."""

import secrets

from kiteward.authz.policy import listed_databases
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import DatabaseNotFound
from kiteward.domain.naming import DEFAULT_DATABASE
from kiteward.iam.milvus_rpc.base import Request
from kiteward.iam.server_state import version_of
from kiteward.iam.services import Services
from kiteward.milvus import messages


async def connect(services: Services, request: Request) -> bytes:
    """Return the server's identity. The client's database must exist and be visible to it; `default` always is.

    So clients connect while the engine is away, for what does not need it, and see the reason where they do.

    Raises:
        DatabaseNotFound: the database does not exist for this caller.
        EngineUnavailable: the engine does not respond now, and the database is not `default`.
    """
    database = request.call.database or DEFAULT_DATABASE
    if database != DEFAULT_DATABASE:
        visible = listed_databases(request.principal, [database], request.snapshot)[0]
        if visible:
            await services.catalog.ensure(database, caller=request.principal.user_name)
        if not visible or not services.catalog.has_database(database):
            raise DatabaseNotFound(
                f"database not found[database={database}]",
                ErrorDetail(ErrorCode.DATABASE_NOT_FOUND, {"name": database}),
            )
    engine = services.engine.health()
    return bytes(
        messages.ConnectResponse(
            status=messages.Status(),
            server_info=messages.ServerInfo(
                build_tags=version_of(engine), deploy_mode=engine.deploy_mode or "STANDALONE"
            ),
            # Any number but zero: the Node SDK takes zero for a server without Connect, and nobody looks it up later.
            identifier=secrets.randbelow(2**62) + 1,
        ).SerializeToString()
    )


async def get_version(services: Services, _request: Request) -> bytes:
    """Return the version."""
    version = version_of(services.engine.health())
    return bytes(messages.GetVersionResponse(status=messages.Status(), version=version).SerializeToString())


async def check_health(services: Services, _request: Request) -> bytes:
    """Return whether the engine can be reached; the status is success in either case."""
    health = services.engine.health()
    reasons = [] if health.ready else [health.reason]
    return bytes(
        messages.CheckHealthResponse(
            status=messages.Status(), isHealthy=health.ready, reasons=reasons
        ).SerializeToString()
    )
