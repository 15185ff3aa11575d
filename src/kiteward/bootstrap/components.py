"""The parts that a server and the command line share."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kiteward.audit.events import Event
from kiteward.audit.reader import AuditReader
from kiteward.audit.writer import open_sink
from kiteward.authn.authenticator import Authenticator
from kiteward.authn.hashing import PasswordHasher
from kiteward.bootstrap.first_start import bootstrap
from kiteward.bootstrap.sharing import Sharing, servers_of
from kiteward.config.settings import Settings
from kiteward.domain.errors import StoreError
from kiteward.engine.base import Engine
from kiteward.filters import Dialect
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.collection_definitions import CollectionDefinitions
from kiteward.gateway.collection_sizes import CollectionSizes
from kiteward.gateway.ddl import DdlExecutor
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.gateway.row_access.counting import RowCounter
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.services import Services
from kiteward.store.base import Store

if TYPE_CHECKING:  # a command on a file has none of them
    from kiteward.audit.exports.exporter import ExportState
    from kiteward.audit.shared import SharedEvents, SharedTrail, StoreExport
    from kiteward.bootstrap.workers.place import Place

_log = logging.getLogger("kiteward")

_SHARE_SECONDS: Final = 1.0
"""Seconds between two times that audit events are stored for other replicas."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessControl:
    """The parts that authenticate callers and authorize their requests.

    Attributes:
        store: users, roles, grants, groups and keys.
        hasher: computes password hashes.
        authenticator: turns credentials into principals.
        policy_cache: the current policy; all changes of the policy go through it.
        recorder: writes the audit trail.
        sharing: what concerns other servers on the same store.
        exports: returns how far the exporters of the audit trail are.
    """

    store: Store
    hasher: PasswordHasher
    authenticator: Authenticator
    policy_cache: PolicyCache
    recorder: Recorder
    sharing: Sharing
    exports: "Callable[[], Sequence[ExportState]]" = tuple


async def load_access_control(
    settings: Settings,
    store: Store,
    authenticator: Authenticator,
    *,
    hasher: PasswordHasher,
    recorder: Recorder,
    sharing: Sharing,
) -> AccessControl:
    """Load the policy and create the built-in users and roles that are missing.

    Raises:
        ConfigurationError: as `bootstrap`.
        StoreUnavailable: the store cannot be read or written.
    """
    access = AccessControl(
        store=store,
        hasher=hasher,
        authenticator=authenticator,
        policy_cache=PolicyCache(store, authenticator, recorder, lease=sharing.lease, acknowledge=sharing.acknowledge),
        recorder=recorder,
        sharing=sharing,
    )
    await access.policy_cache.load()
    await bootstrap(settings, access.policy_cache, hasher, recorder)
    return access


def open_recorder(
    stack: AsyncExitStack, settings: Settings, store: Store, *, place: "Place | None" = None
) -> "tuple[Recorder, StoreExport | None]":
    """Open the audit trail and return its recorder, and what stores its lines for other replicas; `stack` closes it.

    Called before anything that records, so that the trail is closed after it. Where replicas share the store, changes
    are recorded there too, and the rest of what they share is stored until `stack` closes, the last line included.

    Args:
        stack: closes the trail.
        settings: the configuration.
        store: the store.
        place: its place among the workers of a server, one of which stores what the trails of all have, also the last
            lines of those that stop after it; None for a server of one process.

    Raises:
        ConfigurationError: the trail cannot be written.
    """
    audit = settings.audit
    if not audit.enabled:
        _log.warning("kiteward.audit.enabled is false: nothing is recorded")
    name = settings.replicas.shown
    events = _shared_events(name) if store.shared and audit.enabled else None

    def note(event: Event, lines: int) -> None:
        recorder.note_system_event(event, "ShareEvents", lines=lines)

    export = None
    if events is not None and (place is None or place.forwards):
        trail = audit.place(settings.data_dir)
        export = _store_export()(store, trail, events, keep_days=audit.keep_days, note=note)
        stack.push_async_callback(_store_the_rest, export)
        if place is not None:
            stack.push_async_callback(place.others_ended)
    sink = open_sink(audit, settings.data_dir, replica=name)
    stack.push_async_callback(sink.close)
    recorder = Recorder(sink, data_operations=audit.data_operations, shared=events)
    if export is not None:
        repeat(stack, _SHARE_SECONDS, "storing audit events", export.run)
    return recorder, export


def _shared_events(name: str) -> "SharedEvents":
    from kiteward.audit.shared import SharedEvents  # noqa: PLC0415  only servers that share a store need it

    return SharedEvents(name)


def _store_export() -> "type[StoreExport]":
    from kiteward.audit.shared import StoreExport  # noqa: PLC0415  as above

    return StoreExport


def _shared_trail(store: Store) -> "SharedTrail":
    from kiteward.audit.shared import SharedTrail  # noqa: PLC0415  as above

    return SharedTrail(store)


async def _store_the_rest(export: "StoreExport") -> None:
    try:
        await export.run()
    except (StoreError, OSError) as error:
        _log.warning("audit events that are not in the store yet are stored after the next start: %s", error)


def dialect_of(settings: Settings) -> Dialect:
    """Return the language of filters of the engine that the settings name."""
    return Dialect.EMBEDDED if settings.engine is None else Dialect.MILVUS


def make_services(
    settings: Settings, access: AccessControl, engine: Engine, catalog: Catalog, *, ddl: DdlExecutor
) -> Services:
    """Return the services that the handlers of operations use, configured from the settings."""
    recorder = access.recorder
    return Services(
        access.store,
        engine,
        catalog,
        CollectionDefinitions(engine, ddl, shared=catalog.shared),
        RowCounter(engine, dialect_of(settings)),
        CollectionSizes(engine, catalog.ids),
        access.hasher,
        settings.passwords,
        OPERATIONS,
        own_operations=ADMIN_OPERATIONS,
        factors=access.authenticator.factors,
        naming=settings.naming,
        limits=settings.limits,
        request_limits=settings.request_limits,
        super_users=settings.super_users,
        root_bypass=settings.root_bypass,
        key_rules=settings.key_rules,
        scim=settings.scim,
        exchange_rules=settings.exchange_rules,
        trail=AuditReader(settings.audit.place(settings.data_dir)) if settings.audit.enabled else None,
        shared_trail=_shared_trail(access.store) if access.store.shared and settings.audit.enabled else None,
        audit=recorder.state,
        sessions=access.authenticator.sessions,
        servers=servers_of(access.sharing, access.policy_cache),
        issuers={each.name: each for each in settings.issuers},
        refusals=recorder.refusals,
    )


async def record_last_used(store: Store, authenticator: Authenticator) -> None:
    """Store when users, keys and sessions were last used. After a failure the times are kept for the next call."""
    used = authenticator.take_last_used()
    if not used:
        return
    try:
        await store.record_last_used(used)
    except BaseException:
        authenticator.return_last_used(used)
        raise


def repeat(stack: AsyncExitStack, seconds: float, what: str, work: Callable[[], Awaitable[None]]) -> None:
    """Repeat work until `stack` closes. A failure is logged once, until the work succeeds again.

    Args:
        stack: ends the repetition when it closes.
        seconds: the pause between two runs.
        what: names the work in log lines.
        work: one run.
    """

    async def again() -> None:
        failing = False
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
                failing = False
            except Exception:  # noqa: BLE001  whatever it was, revocations by others must go on being followed
                if not failing:
                    _log.exception("%s failed; retrying", what)
                failing = True

    task = asyncio.create_task(again(), name=what)

    async def end() -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)
