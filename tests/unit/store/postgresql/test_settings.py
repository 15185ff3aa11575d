import ssl
from pathlib import Path

import pytest
import trustme

from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret
from kiteward.store.postgresql.settings import PostgresqlSettings, PostgresqlTls


def parsed(text: str) -> PostgresqlSettings:
    return PostgresqlSettings.parse(text)


@pytest.mark.parametrize(
    ("text", "hosts", "user", "database"),
    [
        ("postgresql://kiteward@db.example.com/store", (("db.example.com", 5432),), "kiteward", "store"),
        ("postgres://kiteward@db.example.com:5433/store", (("db.example.com", 5433),), "kiteward", "store"),
        ("postgresql://kite%40ward@[::1]:5433/my%20store", (("::1", 5433),), "kite@ward", "my store"),
        ("postgresql://kiteward@one,two:5433/store", (("one", 5432), ("two", 5433)), "kiteward", "store"),
        ("postgresql://kiteward@/store?host=/run/postgresql", (("/run/postgresql", 5432),), "kiteward", "store"),
        ("postgresql://kiteward@/store?host=/run/postgresql:5433", (("/run/postgresql", 5433),), "kiteward", "store"),
    ],
)
def test_address_names_hosts_user_and_database(
    text: str, hosts: tuple[tuple[str, int], ...], user: str, database: str
) -> None:
    settings = parsed(text)
    assert (settings.hosts, settings.user, settings.database) == (hosts, user, database)


@pytest.mark.parametrize(
    "text",
    [
        "mysql://kiteward@db/store",
        "postgresql:store",
        "postgresql://db/store",
        "postgresql://kiteward@db",
        "postgresql://kiteward@db/",
        "postgresql://kiteward@db/a/b",
        "postgresql://kiteward@db:port/store",
        "postgresql://kiteward@/store",
        "postgresql://kiteward@db/store#part",
        "postgresql://kiteward@db/store?host=/run/postgresql",
        "postgresql://kiteward@/store?host=db",
        "postgresql://kiteward@db/store?sslmode=prefer",
        "postgresql://kiteward@db/store?sslmode=allow",
        "postgresql://kiteward@db/store?sslmode=",
        "postgresql://kiteward@db/store?sslmode=require&sslmode=disable",
        "postgresql://kiteward@db/store?options=-csearch_path%3Dx",
        "postgresql://kiteward@db/store?sslcert=/a.pem",
        "postgresql://kiteward@localhost/store?sslrootcert=/ca.pem",
        "postgresql://kiteward@[db/store",
        "",
    ],
)
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(must|has|names) "):
        parsed(text)


@pytest.mark.parametrize(
    "text", ["postgresql://kiteward:hunter2@db/store", "postgresql://kiteward@db/store?password=hunter2"]
)
def test_address_with_a_password_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"kiteward\.store\.password") as refusal:
        parsed(text)
    assert "hunter2" not in str(refusal.value)


def test_password_is_in_no_text_of_the_settings() -> None:
    settings = PostgresqlSettings.parse("postgresql://kiteward@db/store", password=Secret("hunter2"))
    assert "hunter2" not in f"{settings} {settings!r}"
    assert str(settings) == "postgresql://db:5432/store"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_connection_on_this_machine_needs_no_tls(host: str) -> None:
    settings = parsed(f"postgresql://kiteward@{host}/store")
    assert (settings.local, settings.tls.mode, settings.tls.context()) == (True, "disable", None)


def test_connection_to_another_machine_has_tls_and_verifies_its_name() -> None:
    settings = parsed("postgresql://kiteward@localhost,db/store")
    context = settings.tls.context()
    assert not settings.local
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("mode", "verifies", "names"),
    [
        ("require", ssl.CERT_NONE, False),
        ("verify-ca", ssl.CERT_REQUIRED, False),
        ("verify-full", ssl.CERT_REQUIRED, True),
    ],
)
def test_sslmode_says_what_is_verified(mode: str, verifies: ssl.VerifyMode, names: bool) -> None:
    context = parsed(f"postgresql://kiteward@db/store?sslmode={mode}").tls.context()
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (verifies, names)


def test_files_of_certificates_are_used(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("kiteward")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    own = tmp_path / "own.pem"
    tls = parsed(f"postgresql://kiteward@db/store?sslrootcert={tmp_path / 'ca.pem'}&sslcert={own}&sslkey={own}").tls
    assert tls == PostgresqlTls("verify-full", tmp_path / "ca.pem", own, own)
    context = tls.context()
    assert context is not None
    assert len(context.get_ca_certs()) == 1


def test_authorities_of_the_system_can_be_named() -> None:
    assert parsed("postgresql://kiteward@db/store?sslrootcert=system").tls.ca is None


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert"])
def test_file_that_cannot_be_used_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "nothing.pem").write_text("nothing", encoding="utf-8")
    more = "&sslkey=/absent.pem" if name == "sslcert" else ""
    tls = parsed(f"postgresql://kiteward@db/store?{name}={tmp_path / 'nothing.pem'}{more}").tls
    with pytest.raises(ConfigurationError, match=name):
        tls.context()
