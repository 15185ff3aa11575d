"""Creates the service account of Kiteward in a Milvus, and changes the password of its `root`. It may be run again.

    python3 service_account.py http://milvus:19530 --root-password-file FILE --password-file FILE

The first run signs in as root with Milvus' default password and replaces it by that of the file; later runs sign in
with it. The account gets the privileges that docs/remote-engine.md lists for data, and no others. It needs pymilvus,
which the image of Kiteward has, and a Milvus 2.3 or newer.
"""

import argparse
import sys
from pathlib import Path

from pymilvus import MilvusClient, MilvusException

USER = "kiteward"
ROLE = "kiteward_service"
NEEDED = {
    "Global": [
        "CreateAlias",
        "CreateCollection",
        "CreateDatabase",
        "DescribeAlias",
        "DescribeCollection",
        "DropAlias",
        "DropCollection",
        "DropDatabase",
        "ListAliases",
        "ListDatabases",
        "RenameCollection",
        "ShowCollections",
    ],
    "Collection": [
        "Compaction",
        "CreateIndex",
        "CreatePartition",
        "Delete",
        "DropIndex",
        "DropPartition",
        "Flush",
        "GetLoadState",
        "GetStatistics",
        "HasPartition",
        "IndexDetail",
        "Insert",
        "Load",
        "Query",
        "Release",
        "Search",
        "ShowPartitions",
        "Upsert",
    ],
}
"""The privileges by the type of object on which Milvus grants them."""

_RECENT = (2, 5)
"""The first version that grants a privilege without the type of object."""


def main() -> int:
    """Run the program and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("uri", help="the Milvus, as http://milvus:19530")
    parser.add_argument("--root-password-file", type=Path, required=True, help="the password that root is to have")
    parser.add_argument("--password-file", type=Path, required=True, help="the password of the account")
    given = parser.parse_args()
    try:
        root = _as_root(given.uri, _text(given.root_password_file))
        left_out = _account(root, _text(given.password_file))
    except (MilvusException, OSError) as error:
        print(f"service_account: {error}", file=sys.stderr)
        return 1
    print(f"the account {USER} is there, with the role {ROLE}")
    if left_out:
        print(f"this Milvus does not know: {', '.join(left_out)}")
    return 0


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8").rstrip("\r\n")


def _as_root(uri: str, password: str) -> MilvusClient:
    """Return a client of root, whose password is this one afterwards."""
    try:
        return MilvusClient(uri=uri, token=f"root:{password}")
    except MilvusException:
        first = MilvusClient(uri=uri, token="root:Milvus")  # noqa: S106  the documented default, which ends here
        first.update_password("root", "Milvus", password)
        first.close()
        return MilvusClient(uri=uri, token=f"root:{password}")


def _account(root: MilvusClient, password: str) -> list[str]:
    """Create user and role where they are missing, and grant what is needed; return the privileges that are unknown."""
    if USER not in root.list_users():
        root.create_user(USER, password)
    if ROLE not in root.list_roles():
        root.create_role(ROLE)
    version = root.get_server_version().removeprefix("v").split(".")
    recent = (int(version[0]), int(version[1])) >= _RECENT
    left_out = [
        name for kind, names in NEEDED.items() for name in names if not _granted(root, kind, name, recent=recent)
    ]
    root.grant_role(USER, ROLE)
    return left_out


def _granted(root: MilvusClient, kind: str, name: str, *, recent: bool) -> bool:
    """Grant a privilege on everything, and return whether this Milvus knows it."""
    try:
        if recent:
            root.grant_privilege_v2(ROLE, name, collection_name="*", db_name="*")
        else:
            root.grant_privilege(ROLE, kind, name, "*", db_name="*")
    except MilvusException as error:
        if "not found the privilege" in str(error):
            return False
        raise
    return True


if __name__ == "__main__":
    sys.exit(main())
