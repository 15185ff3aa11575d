"""Reviews a remote engine for the doctor: whether it can be used, and what is unsafe about it. It changes nothing."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from kiteward.bootstrap.review import Review
from kiteward.bootstrap.start_checks import is_loopback
from kiteward.domain.errors import EngineAccessDenied, EngineError
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, ROOT, Secret
from kiteward.engine.remote import ACCOUNT_DENIED, ACCOUNT_FAULTS, RemoteEngine
from kiteward.engine.upstream import RemoteEngineSettings
from kiteward.milvus import messages

_NOBODYS: Final = "kiteward_doctor"
"""The collection that the trial requests name: one that nobody has."""

_TIMEOUT: Final = 5.0

_NO_AUTHORIZATION: Final = (
    "the remote engine accepts calls without a credential: everybody who reaches it may do everything; set "
    "common.security.authorizationEnabled there"
)
_DEFAULT_PASSWORD: Final = "the remote engine accepts root with the default password: change it there"  # noqa: S105  a sentence

_COLLECTION: Final = MappingProxyType({"collection_name": _NOBODYS})

TRIALS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = MappingProxyType(
    {
        "CreateAlias": ("CreateAlias", _COLLECTION),
        "CreateCollection": ("CreateCollection", _COLLECTION),
        "CreateDatabase": ("CreateDatabase", MappingProxyType({"db_name": "-"})),
        "CreateIndex": ("CreateIndex", _COLLECTION),
        "CreatePartition": ("CreatePartition", _COLLECTION),
        "Delete": ("Delete", _COLLECTION),
        "DescribeAlias": ("DescribeAlias", MappingProxyType({"alias": _NOBODYS})),
        "DescribeCollection": ("DescribeCollection", _COLLECTION),
        "DropAlias": ("DropAlias", MappingProxyType({"alias": _NOBODYS})),
        "DropCollection": ("DropCollection", _COLLECTION),
        "DropDatabase": ("DropDatabase", MappingProxyType({"db_name": _NOBODYS})),
        "DropIndex": ("DropIndex", _COLLECTION),
        "DropPartition": ("DropPartition", _COLLECTION),
        "Flush": ("Flush", MappingProxyType({"collection_names": (_NOBODYS,)})),
        "GetLoadState": ("GetLoadState", _COLLECTION),
        "GetStatistics": ("GetCollectionStatistics", _COLLECTION),
        "HasPartition": ("HasPartition", _COLLECTION),
        "IndexDetail": ("DescribeIndex", _COLLECTION),
        "Insert": ("Insert", _COLLECTION),
        "ListAliases": ("ListAliases", MappingProxyType({})),
        "Load": ("LoadCollection", _COLLECTION),
        "Query": ("Query", _COLLECTION),
        "Release": ("ReleaseCollection", _COLLECTION),
        "RenameCollection": ("RenameCollection", MappingProxyType({"oldName": _NOBODYS, "newName": _NOBODYS})),
        "Search": ("Search", _COLLECTION),
        "ShowCollections": ("ShowCollections", MappingProxyType({})),
        "ShowPartitions": ("ShowPartitions", _COLLECTION),
        "Upsert": ("Upsert", _COLLECTION),
    }
)
"""Privilege of Milvus -> a request that needs it, and that can change nothing.

Milvus checks the privilege first. Then it refuses the request, because the collection does not exist or the name is
illegal. `ListDatabases` is needed for the check that precedes these.
"""


async def review_engine(settings: RemoteEngineSettings) -> Review:
    """Call a remote engine as the service account, without a credential, and as `root` with the default password.

    Raises:
        ConfigurationError: the files for TLS cannot be used.
    """
    unsafe = _unsafe_settings(settings)
    async with _engine(settings) as engine:
        fault = await engine.check()
        if fault and fault not in ACCOUNT_FAULTS:
            return Review(faults=(fault,), unsafe=unsafe)
        if fault and fault != ACCOUNT_DENIED:
            return Review(faults=(fault,), unsafe=unsafe + await _unsafe_access(settings))
        lacking = [name for name in TRIALS if await _is_denied(engine, name)] + (["ListDatabases"] if fault else [])
        version = engine.health().version or "of an unknown version"
    faults = (f"the service account lacks in the remote engine: {', '.join(sorted(lacking))}",) if lacking else ()
    note = f"the remote engine {settings.address} is Milvus {version}"
    return Review((note,), faults, unsafe + await _unsafe_access(settings))


async def _unsafe_access(settings: RemoteEngineSettings) -> tuple[str, ...]:
    """Return what is unsafe about whom a remote engine accepts."""
    if await _accepts(replace(settings, user="", password=Secret(""))):
        return (_NO_AUTHORIZATION,)
    if await _accepts(replace(settings, user=ROOT, password=Secret(DEFAULT_ROOT_PASSWORD))):
        return (_DEFAULT_PASSWORD,)
    return ()


def _unsafe_settings(settings: RemoteEngineSettings) -> tuple[str, ...]:
    found = []
    if settings.user == ROOT:
        found.append("kiteward.engine.user is root: give the service account a role with the privileges that it needs")
    if settings.user and not settings.address.tls and not is_loopback(settings.address.host):
        found.append(
            f"kiteward.engine.address is {settings.address}: the password of the service account crosses the network "
            "without TLS; use grpcs://"
        )
    return tuple(found)


@contextlib.asynccontextmanager
async def _engine(settings: RemoteEngineSettings) -> AsyncIterator[RemoteEngine]:
    engine = RemoteEngine(settings)
    try:
        yield engine
    finally:
        await engine.close()


async def _accepts(settings: RemoteEngineSettings) -> bool:
    """Return whether a remote engine accepts this user, whatever it allows to it."""
    async with _engine(settings) as engine:
        return await engine.check() in ("", ACCOUNT_DENIED)


async def _is_denied(engine: RemoteEngine, privilege: str) -> bool:
    method, fields = TRIALS[privilege]
    payload = messages.method_of(method).request(**fields).SerializeToString()
    try:
        await engine.call(method, payload, metadata={}, timeout=_TIMEOUT)
    except EngineAccessDenied:
        return True
    except EngineError:
        return False
    return False
