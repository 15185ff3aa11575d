#!/usr/bin/env bash
# Package:   scim2-server 0.8.3 with scim2-models 0.12.3, as a WSGI application; no network.
# Behaviour: PATCH `add` of a member compares all its sub-attributes. A user that the group has by `value` alone is added
#            again by a request that also has `display`, and a third time by one that has `$ref`.
# Guess:     the `value` says who it is, and what is there already is not added (RFC 7644, 3.5.2.1).
# Seen:      one user, 3 members; the same three requests again change nothing
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check scim2-server==0.8.3 scim2-models==0.12.3
env/bin/python -W ignore - <<'PYTHON'
import io
import json
from wsgiref.util import setup_testing_defaults

from scim2_server.applications.wsgi import WSGIApplication
from scim2_server.memory import InMemoryStorage
from scim2_server.utils import load_default_provider

application = WSGIApplication(InMemoryStorage(), load_default_provider())
core = "urn:ietf:params:scim:schemas:core:2.0:"


def ask(method, path, body=None):
    content = json.dumps(body).encode() if body else b""
    request = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_TYPE": "application/scim+json",
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.input": io.BytesIO(content),
    }
    setup_testing_defaults(request)
    status = []
    answer = b"".join(application(request, lambda line, headers: status.append(line)))
    assert status[0].startswith("20"), (status, answer)
    return json.loads(answer) if answer else None


user = ask("POST", "/v2/Users", {"schemas": [core + "User"], "userName": "ann"})
group = f"/v2/Groups/{ask('POST', '/v2/Groups', {'schemas': [core + 'Group'], 'displayName': 'readers'})['id']}"
counts = []
for _ in range(2):
    for more in ({}, {"display": "ann"}, {"$ref": user["meta"]["location"], "type": "User"}):
        operation = {"op": "add", "path": "members", "value": [{"value": user["id"], **more}]}
        ask("PATCH", group, {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]})
        counts.append(len(ask("GET", group)["members"]))
values = {member["value"] for member in ask("GET", group)["members"]}
print("users", len(values), "members after each request", counts)
assert values == {user["id"]} and counts == [1, 2, 3, 3, 3, 3], (values, counts)
PYTHON
