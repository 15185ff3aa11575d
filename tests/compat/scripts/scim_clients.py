"""What published clients of SCIM find, in an environment of their own: `scim_clients.py ADDRESS KEY`.

It prints a line for each check that was not passed, and how many were passed.
"""

import sys
from typing import Any

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import PatchOp, PatchOperation, SearchRequest, UniquenessException
from scim2_tester import check_server
from scim2_tester.utils import Status


def connected(address: str, key: str) -> SyncSCIMClient:
    """Return a client that has asked the server what it offers."""
    client = SyncSCIMClient(Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=60))
    client.discover()
    return client


def walk(client: SyncSCIMClient) -> None:
    """Make, find, change, rename, deactivate and delete with the published client, which validates every answer."""
    user_type, group_type = (client.get_resource_model(name) for name in ("User", "Group"))
    users = [client.create(user_type(user_name=f"walker{number}", active=True)) for number in range(3)]
    group = client.create(group_type(display_name="Walkers", members=[{"value": users[0].id, "type": "User"}]))
    found = client.query(user_type, query_parameters=SearchRequest(filter='userName eq "WALKER1"'))
    assert [each.id for each in found.resources] == [users[1].id]
    page = client.query(user_type, query_parameters=SearchRequest(start_index=2, count=1))
    assert (page.total_results, len(page.resources)) == (3, 1)
    add = PatchOperation(op=PatchOperation.Op.add, path="members", value=[{"value": users[1].id}])
    client.modify(group_type, group.id, PatchOp[group_type](operations=[add]))
    assert {each.value for each in client.query(group_type, group.id).members} == {users[0].id, users[1].id}
    gone = PatchOperation(op=PatchOperation.Op.remove, path=f'members[value eq "{users[0].id}"]')
    client.modify(group_type, group.id, PatchOp[group_type](operations=[gone]))
    assert {each.value for each in client.query(group_type, group.id).members} == {users[1].id}
    off = PatchOperation(op=PatchOperation.Op.replace_, path="active", value=False)
    assert client.modify(user_type, users[1].id, PatchOp[user_type](operations=[off])).active is False
    users[2].user_name = "walker-renamed"
    assert client.replace(users[2]).user_name == "walker-renamed"
    try:
        client.create(user_type(user_name="Walker0"))
    except UniquenessException:
        pass
    else:
        raise AssertionError("a userName was given twice")
    for each in (*users, group):
        client.delete(type(each), each.id)
    assert client.query(user_type).total_results == 0


def checked(client: SyncSCIMClient) -> list[Any]:
    """Return the results of all checks of the published tester."""
    return list(check_server(client))


def main() -> None:
    """Walk, then check."""
    client = connected(*sys.argv[1:])
    walk(client)
    results = checked(client)
    for each in results:
        if each.status is not Status.SUCCESS:
            print(each.status.name, each.title, each.resource_type or "", "|", each.reason)
    print("passed", sum(each.status is Status.SUCCESS for each in results))


main()
