"""`kiteward init`: create a new data directory with an administrator."""

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kiteward.cli.options import add_configuration, exit_status_of, settings_of
from kiteward.cli.output import note, print_json
from kiteward.cli.running import run_async
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, ROOT, Secret

if TYPE_CHECKING:  # the store is opened when the command runs, not to print its help
    from kiteward.config.settings import Settings


def add_parsers(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser("init", help="create a new data directory with an administrator")
    parser.add_argument("--admin", required=True, metavar="NAME", help="the administrator, for example db_admin")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_configuration(parser)
    parser.set_defaults(run=_init)


def _init(arguments: argparse.Namespace) -> int:
    return exit_status_of(lambda: run_async(_create(arguments.admin, settings_of(arguments), as_json=arguments.json)))


async def _create(admin: str, settings: "Settings", *, as_json: bool) -> None:
    from kiteward.cli.near import near  # noqa: PLC0415  as above

    # Checked before anything is created: a failure later would leave a directory without its administrator.
    settings.naming.check_user_name(admin)
    if admin == ROOT:
        raise ConfigurationError("root always exists: name another administrator, for example db_admin")
    closed = settings.default_root_password == Secret(DEFAULT_ROOT_PASSWORD)
    if closed:
        # `root` exists, as in every Milvus; nobody can sign in as it before the operator has set a password.
        settings = replace(settings, default_root_password=None)
    async with near(settings, create=True) as store:
        made = await store.ask("kiteward/users/create", {"userName": admin, "roles": ["admin"]})
    if as_json:
        print_json(
            {"userName": admin, "password": made["password"], "dataDir": str(settings.data_dir), "rootClosed": closed}
        )
    else:
        print(f"user: {admin}\npassword: {made['password']}")
    note("This password is shown once and not stored in plain text. Keep it.")
    if closed:
        note("root has no password; set one with `kiteward users reset-password root`.")
