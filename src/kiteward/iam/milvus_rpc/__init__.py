"""The RPCs that Kiteward answers itself: users, roles, grants, privilege groups, backup, and who the server is.

Each handler decodes a message, calls a service of `kiteward.iam`, gives its errors the texts of Milvus where these
differ, and encodes the response. No rule of identity management belongs here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from kiteward.iam.milvus_rpc import backup, grants, privilege_groups, roles, server, users
from kiteward.iam.milvus_rpc.base import Handler

HANDLERS: Final[Mapping[str, Handler]] = MappingProxyType(
    {
        **server.HANDLERS,
        **users.HANDLERS,
        **roles.HANDLERS,
        **grants.HANDLERS,
        **privilege_groups.HANDLERS,
        **backup.HANDLERS,
    }
)
"""Every handler by RPC name; a test demands one for each row of the operation table that is executed here."""
