"""A real Keycloak in a process of its own, on loopback, with its data in a temporary directory.

    with keycloak.running(tmp_path) as provider, provider.client() as client:
        tokens = client.by_password(keycloak.person("alice"))

The distribution comes from Maven Central, once. It is started by the commands of `docs/keycloak.md`, which bring along
the realm of the documents, `examples/keycloak/kiteward-realm.json`. Tests have one more, with more clients and users.
"""

import contextlib
import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from tests.docs import snippets
from tests.docs.snippets import Shell
from tests.support import provider_process, toolchains
from tests.support.oauth import OAuthClient, Person
from tests.support.postgresql import free_port

VERSION: Final = "26.7.3"
_DIGEST: Final = "27a6535553c3cdcd083872ba40629efafb3475e3b758e0c6f691395561dd0f1f"
"""SHA-256 of the distribution; Maven has no lock of its own."""

_START: Final = "start-dev"
_COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
_REPOSITORY: Final = Path(__file__).resolve().parents[2]
PAGE: Final = _REPOSITORY / "docs" / "keycloak.md"
REALM_FILE: Final = _REPOSITORY / "examples" / "keycloak" / "kiteward-realm.json"

DOCUMENTED: Final = "kiteward"
"""The realm of the documents."""

REALM: Final = "tests"
CLIENT: Final = "kiteward"
CONSOLE: Final = "kiteward-console"
SIGN_IN_NAME: Final = "company"
"""What servers call this Keycloak on the page for signing in to the console."""

_DOCUMENTED_CONSOLE: Final = "http://localhost:19530"

PASSWORD: Final = "Wonder-Land-7"
SECRET: Final = "the-secret-of-a-client"
_ADMINISTRATOR: Final = ("operator", "choose-another-1")
"""Name and password, as the page has them."""

_KEYS: Final = "org.keycloak.keys.KeyProvider"
_ALL: Final = "all realms"

JAVA_OPTIONS: Final = "-Xms64m -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
"""The virtual machine starts sooner and takes less; how fast it is later does not matter here."""

ENVIRONMENT: Final[Mapping[str, str]] = {"JAVA_OPTS": JAVA_OPTIONS}
"""Variables of its process."""


def distribution() -> Path:
    """Return the directory of Keycloak, which is fetched and prepared once, or skip the test that needs it."""
    toolchains.installed("java", package="default-jdk-headless")
    maven = toolchains.installed("mvn", package="maven")
    product = toolchains.CACHE / "keycloak"

    def make() -> None:
        shutil.rmtree(product, ignore_errors=True)
        product.mkdir(parents=True)
        # The repository would keep a second copy of a quarter of a gigabyte.
        repository = product / "repository"
        artifact = f"-Dartifact=org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
        command = [maven, "--quiet", "--batch-mode", f"-Dmaven.repo.local={repository}", _COPY, artifact]
        toolchains.run([*command, f"-DoutputDirectory={product}"], cwd=product)
        packed = product / f"keycloak-quarkus-dist-{VERSION}.zip"
        with packed.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == _DIGEST
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(product)
        shutil.rmtree(repository)
        packed.unlink()
        (product / f"keycloak-{VERSION}").rename(product / "home")
        program = product / "home" / "bin" / "kc.sh"
        program.chmod(0o755)  # Python's module leaves the permissions out
        _start_once(program, product)

    toolchains.made(product, [VERSION, _DIGEST, _START], make)
    return product / "home"


def _start_once(program: Path, directory: Path) -> None:
    """Start it and stop it: the first time it builds itself and makes its tables, which takes longer than all tests."""
    provider = Keycloak(free_port())
    command = [str(program), _START, "--http-host=127.0.0.1", f"--http-port={provider.port}"]
    name, password = _ADMINISTRATOR
    more = {"KC_BOOTSTRAP_ADMIN_USERNAME": name, "KC_BOOTSTRAP_ADMIN_PASSWORD": password}
    within = toolchains.MAKING_WITHIN
    with provider_process.serving(
        command, provider.master, directory, environment={**ENVIRONMENT, **more}, within=within
    ):
        provider.close()


def at_port(text: str, port: int) -> str:
    """Return a block of the page with the port of Keycloak in place of the page's."""
    return text.replace("localhost", "127.0.0.1").replace("8080", str(port))


@dataclass(slots=True)
class Keycloak:
    """A running Keycloak with the realm of the documents, and that of tests.

    Attributes:
        port: its port on loopback.
    """

    port: int
    _http: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))
    _rotations: int = 0

    @property
    def issuer(self) -> str:
        """The issuer of the tokens of the tests' realm."""
        return f"{self.root}/realms/{REALM}"

    @property
    def master(self) -> str:
        """The address of the realm in which all others are administered."""
        return f"{self.root}/realms/master"

    @property
    def root(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def client(self, client_id: str = CLIENT, secret: str = "") -> OAuthClient:
        """Return a client of the tests' realm."""
        return OAuthClient(self.issuer, client_id, secret)

    def rotate(self) -> None:
        """Sign with a new key from now on; tokens by the older ones stay valid."""
        self._rotations += 1
        realm = self._administer("GET", "")
        self._administer(
            "POST",
            "/components",
            {
                "name": f"key {self._rotations}",
                "parentId": realm["id"],
                "providerId": "rsa-generated",
                "providerType": _KEYS,
                "config": {"priority": [str(1_000 + self._rotations)], "algorithm": ["RS256"], "keySize": ["2048"]},
            },
        )

    def withdraw_older_keys(self) -> None:
        """Publish the signing key only: tokens by older ones are worth nothing from now on."""
        keys = self._administer("GET", f"/components?type={_KEYS}")
        signing = [each for each in keys if each["providerId"] == "rsa-generated"]
        newest = max(signing, key=lambda each: int(each["config"]["priority"][0]))
        for each in signing:
            if each is not newest:
                self._administer("DELETE", f"/components/{each['id']}")

    def register_console(self, address: str) -> None:
        """Register the console of a server as the client `CONSOLE`, in place of the one at the documents' address.

        Args:
            address: where browsers, and Keycloak, find that server.
        """
        described = REALM_FILE.read_text(encoding="utf-8").replace(_DOCUMENTED_CONSOLE, address)
        (client,) = (each for each in json.loads(described)["clients"] if each["clientId"] == CONSOLE)
        (registered,) = self._administer("GET", f"/clients?clientId={CONSOLE}")
        self._administer("PUT", f"/clients/{registered['id']}", client)

    def end_sessions(self, user: str) -> None:
        """Sign a user out everywhere."""
        (found,) = self._administer("GET", f"/users?username={user}&exact=true")
        self._administer("POST", f"/users/{found['id']}/logout")

    def close(self) -> None:
        """Close the connections to it."""
        self._http.close()

    def _administer(self, method: str, path: str, body: Any = None) -> Any:
        """Make a call of the administrator, about the realm, or about all realms where there is none yet."""
        name, password = _ADMINISTRATOR
        grant = {"grant_type": "password", "client_id": "admin-cli", "username": name, "password": password}
        granted = self._http.post(f"{self.master}/protocol/openid-connect/token", data=grant)
        headers = {"Authorization": f"Bearer {granted.raise_for_status().json()['access_token']}"}
        url = f"{self.root}/admin/realms" + ("" if path == _ALL else f"/{REALM}{path}")
        response = self._http.request(method, url, json=body, headers=headers)
        assert response.is_success, (method, url, response.status_code, response.text)
        return response.json() if response.content else None

    def create(self, realm: Mapping[str, Any]) -> None:
        """Create a realm."""
        self._administer("POST", _ALL, realm)


def person(name: str) -> Person:
    """Return a user of the realm."""
    return Person(name, PASSWORD)


def realm() -> dict[str, Any]:
    """Return the realm of the documents under the name of the tests' one, with more clients and users.

    - `other`: a client that is not Kiteward's. Its tokens do not name Kiteward as audience, except for users with a
      role of the client `kiteward`: Keycloak then adds that client by itself.
    - `indexer`: a service that signs in with its own secret.
    - `pages`: a client whose users sign in at Keycloak's pages.
    """
    described: dict[str, Any] = {**json.loads(REALM_FILE.read_text(encoding="utf-8")), "realm": REALM}
    (own,) = (each for each in described["clients"] if each["clientId"] == CLIENT)
    mappers = own["protocolMappers"]
    described["clients"] += [
        {"clientId": "other", "publicClient": True, "directAccessGrantsEnabled": True},
        {
            "clientId": "indexer",
            "secret": SECRET,
            "serviceAccountsEnabled": True,
            "standardFlowEnabled": False,
            "protocolMappers": mappers,
        },
        {"clientId": "pages", "secret": SECRET, "redirectUris": ["http://127.0.0.1:1/*"], "protocolMappers": mappers},
    ]
    described["roles"] = {"client": {CLIENT: [{"name": "reader"}]}}
    described["groups"].append({"name": "indexers"})
    described["users"] += [
        _user("bob", groups=[]),
        _user("carol", groups=["/searchers"], roles={CLIENT: ["reader"]}),
        {
            "username": "service-account-indexer",
            "enabled": True,
            "serviceAccountClientId": "indexer",
            "groups": ["/indexers"],
        },
    ]
    return described


def _user(name: str, *, groups: list[str], roles: Mapping[str, list[str]] | None = None) -> dict[str, Any]:
    return {
        "username": name,
        "enabled": True,
        "firstName": name.capitalize(),
        "lastName": "Example",
        "email": f"{name}@example.com",
        "emailVerified": True,
        "groups": groups,
        "clientRoles": roles or {},
        "credentials": [{"type": "password", "value": PASSWORD, "temporary": False}],
    }


@contextlib.contextmanager
def running(directory: Path) -> Iterator[Keycloak]:
    """Run a Keycloak by the commands of the page for as long as the block lasts, or skip the test that needs it.

    Args:
        directory: where it is unpacked, and writes its log.
    """
    bring_realm, start, *_ = snippets.of(PAGE, "sh")
    home, provider = directory / "reader", Keycloak(free_port())
    shell = Shell(home)
    shutil.copytree(distribution(), home / f"keycloak-{VERSION}", symlinks=True)
    (home / "examples").symlink_to(REALM_FILE.parents[1])
    assert shell.run(bring_realm.text) == ""
    command = ["bash", "-euc", at_port(start.text, provider.port)]
    documented = f"{provider.root}/realms/{DOCUMENTED}"
    with provider_process.serving(command, documented, home, environment=ENVIRONMENT):
        try:
            provider.create(realm())
            yield provider
        finally:
            provider.close()
