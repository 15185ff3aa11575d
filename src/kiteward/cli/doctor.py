"""`kiteward doctor`: show the effective settings, their origins, and what is unsafe. It changes nothing."""

import argparse
import logging
import shutil
import stat
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from kiteward.bootstrap.review import Review
from kiteward.bootstrap.sign_in_review import review_sign_in
from kiteward.bootstrap.start_checks import is_loopback, require_first_password
from kiteward.cli import serve
from kiteward.cli.options import given, given_keys
from kiteward.cli.output import print_json, say
from kiteward.cli.running import run_async
from kiteward.config.doubts import doubtful_keys
from kiteward.config.loading import explain, unknown_environment
from kiteward.config.reader import EffectiveValue
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError, KitewardError, StoreError
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, Secret
from kiteward.engine.confinement import available
from kiteward.net.hosts import ANY_HOST
from kiteward.net.tls import ServerTls
from kiteward.store.data_directory import STORE_FILE, DataDirectory

_R = TypeVar("_R")

_FLAGS = {"host": "kiteward.host", "port": "proxy.port", "data_dir": "kiteward.dataDir"}


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "doctor",
        help="print the configuration, and what is unsafe in it",
        description=(
            "Print each setting with its origin, and what is unsafe. A remote engine, a database and identity "
            "providers are called, to find out whether they can be used. Exit status 1 if anything is unsafe or wrong."
        ),
    )
    serve.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command and return the exit status: 0 when nothing was found, 1 otherwise or by a configuration error."""
    try:
        settings, in_force = explain(arguments.config, given=given_keys(arguments))
    except ConfigurationError as error:
        _print(arguments, [], {"configuration error": (str(error),)}, "")
        return 1
    flags = given(arguments)
    settings = replace(settings, **flags)
    over = {_FLAGS[name]: EffectiveValue(_FLAGS[name], str(value), "command line") for name, value in flags.items()}
    found = [
        *_unsafe_settings(settings),
        *_unsafe_pages(settings),
        *_unsafe_recording(settings),
    ]
    store, engine, sign_in = _store(settings), _engine(settings), review_sign_in(settings)
    issuers = _issuers(settings)
    found += (*sign_in.unsafe, *store.unsafe, *engine.unsafe, *issuers.unsafe)
    faults = (*store.faults, *engine.faults, *issuers.faults)
    notes = (*doubtful_keys(arguments.config), *_notes(settings))
    notes += (*sign_in.notes, *store.notes, *engine.notes, *issuers.notes)
    findings = {"note": notes, "fault": faults, "unsafe": found}
    _print(arguments, [over.get(every.key, every) for every in in_force], findings, _summary(len(faults), len(found)))
    return 1 if found or faults else 0


def _print(
    arguments: argparse.Namespace,
    settings: Sequence[EffectiveValue],
    findings: Mapping[str, Sequence[str]],
    summary: str,
) -> None:
    """Print settings with their origins, findings by their kind, and a summary."""
    if arguments.json:
        shown = [{"key": each.key, "value": each.shown, "origin": each.origin} for each in settings]
        listed = [{"kind": kind, "text": text} for kind, texts in findings.items() for text in texts]
        print_json({"settings": shown, "findings": listed})
        return
    for each in settings:
        say(f"{each.key} = {each.shown}  ({each.origin})")
    for kind, texts in findings.items():
        for text in texts:
            say(f"{kind}: {text}")
    if summary:
        say(summary)


def _summary(faults: int, unsafe: int) -> str:
    counted = [f"{faults} fault{'s' if faults > 1 else ''}"] if faults else []
    counted += [f"{unsafe} unsafe"] if unsafe else []
    return ", ".join(counted) or "nothing unsafe was found"


def _engine(settings: Settings) -> Review:
    """Return what is to be said about the remote engine, if there is one."""
    if settings.engine is None:
        return Review()
    from kiteward.bootstrap.engine_review import review_engine  # noqa: PLC0415  where there is a remote one

    # What is logged about connections is among the findings.
    logging.getLogger("kiteward").addHandler(logging.NullHandler())
    try:
        return run_async(review_engine(settings.engine))
    except ConfigurationError as error:
        return Review(faults=(str(error),))


def _issuers(settings: Settings) -> Review:
    """Return what is to be said about identity providers."""
    if not settings.issuers:
        return Review()
    from kiteward.bootstrap.issuer_review import review_issuers  # noqa: PLC0415  where there are any

    return run_async(review_issuers(settings.issuers))


def _notes(settings: Settings) -> Iterator[str]:
    if settings.store is None and not settings.data_dir.exists():
        yield f"there is no data directory {settings.data_dir}: the first start creates it"
    if settings.engine is None:
        yield from _confinement()
    elif any((settings.data_dir / "engine").glob("*")):
        yield f"{settings.data_dir}/engine holds data of the embedded engine, which are not served with a remote one"
    for name in unknown_environment():
        yield f"unknown environment variable {name}"
    without_tls = [settings.host] if settings.tls is None else []
    without_tls += [settings.metrics.host] if settings.metrics.enabled else []
    if not settings.hosts.names and not all(map(is_loopback, without_tls)):
        yield "kiteward.allowedHosts is empty: without TLS, HTTP is served for IP addresses and localhost only"


def _confinement() -> Iterator[str]:
    confinement = available()
    yield f"confinement of the engine's process: {confinement}"
    for gap in confinement.gaps:
        yield f"on this system, native code of the engine can access {gap}: run it on Linux 5.19 or newer"


def _unsafe_settings(settings: Settings) -> Iterator[str]:
    if not settings.authorization:
        yield "common.security.authorizationEnabled is false: everybody may do everything; set it to true"
    if settings.tls is None and not is_loopback(settings.host):
        yield f"kiteward.host is {settings.host}: credentials cross the network without TLS; set tlsMode"
    if settings.tls is not None:
        try:
            ServerTls(settings.tls)
        except ConfigurationError as error:
            yield str(error)
    if settings.metrics.enabled and not is_loopback(settings.metrics.host):
        yield f"kiteward.metrics.host is {settings.metrics.host}: metrics need no authentication; use 127.0.0.1"
    if settings.sync_mode == "none" and settings.engine is None:
        yield "kiteward.engine.syncMode is none: acknowledged writes are lost when the machine stops; use batch"
    if settings.seed_public:
        yield "common.security.enablePublicPrivilege is true: every user may describe every collection; set it to false"
    if settings.passwords.name == "legacy":
        yield "kiteward.passwordPolicy is legacy: any six characters are accepted; use standard or strict"


def _unsafe_pages(settings: Settings) -> Iterator[str]:
    if "*" in settings.rest.cors_origins:
        yield "kiteward.rest.corsOrigins has *: web pages of every origin are allowed; list the origins"
    if ANY_HOST in settings.hosts.names:
        yield "kiteward.allowedHosts has *: other sites' pages can reach this server by DNS rebinding; list the hosts"


def _unsafe_recording(settings: Settings) -> Iterator[str]:
    if not settings.audit.enabled:
        yield "kiteward.audit.enabled is false: there is no record of who did what; set it to true"


def _store(settings: Settings) -> Review:
    """Return what is to be said about the store."""
    if settings.store is None:
        review = _stored_file(settings)
    else:
        from kiteward.bootstrap.store_review import review_postgresql  # noqa: PLC0415  where there is a store

        try:
            review = run_async(review_postgresql(settings.store, settings))
        except (KitewardError, OSError) as error:
            return Review(faults=(str(error),))
    if review.present or review.faults:
        return review
    return replace(review, unsafe=(*review.unsafe, *_unsafe_first_start(settings)))


def _unsafe_first_start(settings: Settings) -> Iterator[str]:
    if settings.default_root_password == Secret(DEFAULT_ROOT_PASSWORD):
        yield "root will have the default password at the first start: set KITEWARD_ROOT_PASSWORD"
    try:
        require_first_password(settings)
    except ConfigurationError as error:
        yield str(error)


def _stored_file(settings: Settings) -> Review:
    """Review the store in the data directory. A copy of it is opened, because opening may migrate it."""
    directory = settings.data_dir
    unsafe: list[str] = []
    try:
        DataDirectory.require_restored(directory)
        if not directory.exists() or not (directory / STORE_FILE).exists():
            return Review(present=False)
        if stat.S_IMODE(directory.stat().st_mode) & 0o077:
            unsafe.append(f"the data directory {directory} is open to other users: chmod 700")
        from kiteward.bootstrap.store_review import review_file  # noqa: PLC0415  where there is a store

        review = _in_copy(directory, lambda store: review_file(store, settings))
    except PermissionError:
        unsafe.append(f"the data directory {directory} cannot be read to check the password of root: run as its owner")
        return Review(unsafe=tuple(unsafe))
    except (OSError, KitewardError) as error:
        return Review(faults=(str(error),), unsafe=tuple(unsafe))
    return replace(review, present=True, unsafe=(*unsafe, *review.unsafe))


def _in_copy(directory: Path, review: Callable[[Path], Coroutine[None, None, _R]]) -> _R:
    """Return the result of a review of a copy of the store in a data directory.

    Raises:
        OSError: its files cannot be read.
        StoreError: the store cannot be opened; the message names the original file, not the copy.
    """
    with tempfile.TemporaryDirectory() as copy:
        for file in directory.glob(f"{STORE_FILE}*"):
            shutil.copyfile(file, Path(copy) / file.name)
        try:
            return run_async(review(Path(copy) / STORE_FILE))
        except StoreError as error:
            raise StoreError(str(error).replace(copy, str(directory))) from error
