"""The import of users, roles, grants and groups from a running Milvus into the store of a configuration."""

import base64

from kiteward.authn.hashing import PasswordHasher
from kiteward.bootstrap.local_gateway import local_client, open_local
from kiteward.config.settings import Settings
from kiteward.domain.identity import Secret
from kiteward.engine.channel import EngineChannel
from kiteward.gateway.import_policy import ImportReport, Progress, Source, run_import


async def import_from(
    settings: Settings, uri: str, token: Secret, *, dry_run: bool, progress: Progress
) -> ImportReport:
    """Import users, roles, grants and groups from a running Milvus into the store of this configuration.

    Args:
        settings: the configuration whose store is the target.
        uri: the address of the Milvus to read.
        token: `user:password` of an administrator of that Milvus.
        dry_run: whether to report only what would be imported.
        progress: takes how far it is.

    Raises:
        ConfigurationError: the source cannot be read, or there is no data directory.
        RequestRefused: something in the source cannot be created here; nothing was imported.
    """
    authorization = Secret(base64.b64encode(token.reveal().encode()).decode())
    channel = EngineChannel.to(uri)
    hasher = PasswordHasher()
    try:
        async with open_local(settings) as gateway:
            source = Source(channel, authorization, progress)
            return await run_import(source, local_client(gateway), hasher, dry_run=dry_run, progress=progress)
    finally:
        hasher.close()
        await channel.close()
