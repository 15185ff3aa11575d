"""Reviews the store for the doctor: whether it can be used, and what is unsafe in it. It changes nothing."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kiteward.authn.hashing import PasswordHasher
from kiteward.authn.principals import principal_of
from kiteward.authn.second_factor.rules import RequiredOf
from kiteward.authz.model import ADMIN_ROLE
from kiteward.authz.policy import decide_administrator
from kiteward.authz.row_policies import CompiledRowRules, ProtectedCollection
from kiteward.bootstrap.review import Review
from kiteward.bootstrap.start_checks import root_password_weakness
from kiteward.config.settings import Settings
from kiteward.domain.errors import StoreUnavailable
from kiteward.domain.identity import ROOT
from kiteward.store.base import Store
from kiteward.store.database_file import defects_of
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.store.revisions import require_known
from kiteward.store.sql import SqlStore

if TYPE_CHECKING:
    from kiteward.store.postgresql.review import Facts


async def review_file(path: Path, settings: Settings) -> Review:
    """Review a database file, which is migrated if it is older.

    Raises:
        StoreError: it cannot be read.
    """
    store = await SqlStore.open(path)
    try:
        defects = await asyncio.to_thread(defects_of, path)
        if defects:
            return Review(faults=tuple(f"{each}: restore a backup" for each in defects))
        return await _review(store, settings)
    finally:
        await store.close()


async def review_postgresql(database: PostgresqlSettings, settings: Settings) -> Review:
    """Review a PostgreSQL database. Tables of an older version are left as they are, and what they hold is not read."""
    from kiteward.store.postgresql.review import examine  # noqa: PLC0415  loads a driver that a file has no need of

    unsafe = tuple(unsafe_connection(database))
    try:
        facts = await examine(database)
        require_known(facts.tables)
    except StoreUnavailable as error:
        return Review(faults=(str(error),), unsafe=unsafe)
    tls = "without TLS" if database.tls.mode == "disable" else f"with TLS, sslmode={database.tls.mode}"
    about = (f"the store is in PostgreSQL {facts.version}, {tls}",)
    unsafe += tuple(_unsafe_server(facts))
    if not facts.current:
        state = "are of an older version: the next start changes them" if facts.tables else "do not exist yet"
        notes = (*about, f"the tables of the store {state}")
        return Review(notes=notes, unsafe=unsafe, present=bool(facts.tables))
    store = SqlStore.attach(database)
    try:
        content = await _review(store, settings)
    finally:
        await store.close()
    return replace(content, notes=(*about, *content.notes), unsafe=(*unsafe, *content.unsafe))


def unsafe_connection(database: PostgresqlSettings) -> Iterator[str]:
    """Yield a sentence about a connection to another machine that somebody in between could read or take over."""
    if not database.local and database.tls.mode == "disable":
        yield "kiteward.store.url says sslmode=disable: password hashes cross the network unencrypted; use verify-full"
    elif not database.local and database.tls.mode == "require":
        yield "kiteward.store.url says sslmode=require: any server may pretend to be the database; use verify-full"


def _unsafe_server(facts: "Facts") -> Iterator[str]:
    if not facts.fsync:
        yield "fsync is off in the database: acknowledged changes are lost when its machine stops; set it to on"
    if facts.superuser:
        yield "the user of the store is a superuser of the database: use one that owns this database and nothing else"


async def _review(store: Store, settings: Settings) -> Review:
    hasher = PasswordHasher()
    try:
        weakness = await root_password_weakness(store, hasher, settings)
    finally:
        hasher.close()
    policy = await store.policy()
    unsafe = [f"{weakness}: change it (MilvusClient.update_password)"] if weakness else []
    unsafe += [each async for each in _without_second_factor(store, settings)]
    return Review(
        present=bool(policy.roles),
        notes=tuple(_row_policies(policy.protected, shared=settings.engine is not None)),
        unsafe=tuple(unsafe),
    )


async def _without_second_factor(store: Store, settings: Settings) -> AsyncIterator[str]:
    """Yield a sentence for each administrator who must have a second factor and has none."""
    rules = settings.console.factors
    if not settings.console.enabled or rules.required_of is RequiredOf.NOBODY:
        return
    names = {ROOT, *(await store.bindings(ADMIN_ROLE)).get(ADMIN_ROLE, ())}
    for name in sorted(names):
        user = await store.user(name)
        if user is None or not user.enabled or user.second_factor or not user.has_password:
            continue  # without a password, nobody enrols a second factor
        if decide_administrator(principal_of(user, root_bypass=settings.root_bypass)).allowed:
            yield (
                f"{name} is an administrator without a second factor, which whoever signs in to the console first with "
                "the password can enrol: enrol it now"
            )


def _row_policies(protected: tuple[ProtectedCollection, ...], *, shared: bool) -> Iterator[str]:
    """Yield a sentence for each collection whose row policies do not protect as they seem to.

    Args:
        protected: the collections with row policies.
        shared: whether others than Kiteward can write to the engine.
    """
    for each in protected:
        name = f"{each.database}.{each.collection}"
        if each.enabled and shared:
            yield f"the row policies of {name} hold only for what is sent through Kiteward: let nobody else write to it"
        if each.policies and not each.enabled:
            yield f"the row policies of {name} are not enforced: set its property rls.enabled to true"
        for policy, fault in sorted(CompiledRowRules.compile(each).faults.items()):
            yield f"the row policy {policy} of {name} allows nothing: {fault}"
