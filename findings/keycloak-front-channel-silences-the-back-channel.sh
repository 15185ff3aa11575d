#!/usr/bin/env bash
# Package:   Keycloak 26.7.3 (org.keycloak:keycloak-quarkus-dist, Maven Central); needs Java 17, curl and unzip.
# Behaviour: a client with a back-channel logout URL gets no logout token while "Front channel logout" is on, though it has
#            no front-channel URL: neither when an administrator ends the session, where there is no browser, nor when the
#            refresh token is sent to the logout endpoint. Nothing is reported, and the logout succeeds. A client that is
#            made in the administrators' console has it on, one that is made by REST has it off.
# Guess:     the URL that is there is called, at least where no browser takes part (OpenID Connect Back-Channel Logout 1.0, 2.5).
# Seen:      logout tokens with it off: administrator 1, refresh token 1; with it on: 0 and 0
set -euo pipefail
work=$(mktemp -d); server=
stop() { if [ -n "$server" ]; then kill -- "-$server" || true; wait "$server" || true; fi; rm -rf "$work"; }
trap stop EXIT; cd "$work"
version=26.7.3
curl --silent --show-error --fail --location --output keycloak.zip \
    "https://repo1.maven.org/maven2/org/keycloak/keycloak-quarkus-dist/$version/keycloak-quarkus-dist-$version.zip"
echo "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f  keycloak.zip" | sha256sum --check --quiet
unzip -q keycloak.zip
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
KC_BOOTSTRAP_ADMIN_USERNAME=operator KC_BOOTSTRAP_ADMIN_PASSWORD=operator setsid \
    "keycloak-$version/bin/kc.sh" start-dev --http-host=127.0.0.1 --http-port="$port" >log 2>&1 &
server=$!
PORT=$port python3 - <<'PYTHON'
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

ROOT = f"http://127.0.0.1:{os.environ['PORT']}"
LOGOUT = "/realms/films/protocol/openid-connect/logout"
received = []


class Client(BaseHTTPRequestHandler):
    def do_POST(self):
        received.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def post(path, **form):
    return urlopen(f"{ROOT}{path}", urlencode(form).encode()).read()


def token(realm, **form):
    return json.loads(post(f"/realms/{realm}/protocol/openid-connect/token", grant_type="password", **form))


def administer(path, body):
    own = token("master", client_id="admin-cli", username="operator", password="operator")["access_token"]
    headers = {"Authorization": f"Bearer {own}", "Content-Type": "application/json"}
    urlopen(Request(f"{ROOT}/admin/realms{path}", json.dumps(body).encode(), headers, method="POST")).read()


client = ThreadingHTTPServer(("127.0.0.1", 0), Client)
threading.Thread(target=client.serve_forever, daemon=True).start()
for _ in range(600):
    try:
        urlopen(f"{ROOT}/realms/master").read()
        break
    except URLError:
        time.sleep(0.5)
clients = [
    {
        "clientId": name,
        "publicClient": True,
        "directAccessGrantsEnabled": True,
        "frontchannelLogout": name == "on",
        "attributes": {"backchannel.logout.url": f"http://127.0.0.1:{client.server_port}/"},
    }
    for name in ("off", "on")
]
ann = {
    "id": "5b2f6a35-2f5c-4a1e-9a51-9e3c44b2d3b1",
    "username": "ann",
    "enabled": True,
    "firstName": "Ann",
    "lastName": "Example",
    "email": "ann@example.com",
    "credentials": [{"type": "password", "value": "ann"}],
}
administer("", {"realm": "films", "enabled": True, "clients": clients, "users": [ann]})
seen = {}
for name in ("off", "on"):
    login = {"client_id": name, "username": "ann", "password": "ann", "scope": "openid"}
    for by in ("administrator", "refresh token"):
        received.clear()
        refresh = token("films", **login)["refresh_token"]
        if by == "administrator":
            administer(f"/films/users/{ann['id']}/logout", {})
        else:
            post(LOGOUT, client_id=name, refresh_token=refresh)
        seen[name, by] = len(received)  # Keycloak waits for the answer before it answers itself
        print("front channel logout", name, "| ended by", by, "| logout tokens:", seen[name, by])
assert list(seen.values()) == [1, 1, 0, 0], seen
PYTHON
