#!/usr/bin/env bash
# Package:   scim2-client 0.13.2 with scim2-models 0.12.3; the server is a function that answers one list.
# Behaviour: an address in a special-use domain (`corp.local`, as directories have them) or in one without a dot is not
#            accepted. One user with such an address, and the list of all users is refused, the others with it. No
#            setting of `ScimPolicy` changes that.
# Guess:     any address of RFC 5321 is accepted (RFC 7643, 4.1.2), or the one user is left out.
# Seen:      ann@example.com and bob@corp.local: ResponsePayloadValidationException; ann alone: ['ann']
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check scim2-client==0.13.2 scim2-models==0.12.3 httpx2==2.16.2
env/bin/python -W ignore - <<'PYTHON'
import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import User


def listed(*addresses):
    users = [
        {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": address,
            "userName": address.partition("@")[0],
            "emails": [{"value": address}],
            "meta": {"resourceType": "User", "location": f"http://scim/Users/{number}"},
        }
        for number, address in enumerate(addresses, 1)
    ]
    content = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": len(users),
        "startIndex": 1,
        "itemsPerPage": len(users),
        "Resources": users,
    }
    answer = httpx2.Response(200, json=content, headers={"Content-Type": "application/scim+json"})
    transport = httpx2.MockTransport(lambda request: answer)
    client = SyncSCIMClient(httpx2.Client(base_url="http://scim", transport=transport), resource_models=[User])
    client.register_naive_resource_types()
    try:
        return [user.user_name for user in client.query(User).resources]
    except Exception as error:
        return type(error).__name__


one, both = listed("ann@example.com"), listed("ann@example.com", "bob@corp.local")
print("ann", one, "ann and bob", both)
assert (one, both) == (["ann"], "ResponsePayloadValidationException"), (one, both)
PYTHON
