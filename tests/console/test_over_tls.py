"""Over TLS a browser, which offers h2 and http/1.1, gets the console, and a cookie that nobody else can set."""

from pathlib import Path

import trustme
from playwright.sync_api import expect
from tests.console.conftest import PASSWORDS, Console
from tests.support import server_in_thread

from kiteward.config.loading import settings_from


def test_browser_gets_the_console_over_tls_with_a_cookie_of_this_host_alone(console: Console, tmp_path: Path) -> None:
    leaf = trustme.CA().issue_cert("localhost")
    leaf.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    settings = settings_from(
        {
            "common": {"security": {"tlsMode": 1}},
            "tls": {"serverPemPath": str(tmp_path / "cert.pem"), "serverKeyPath": str(tmp_path / "key.pem")},
        }
    )
    with (
        server_in_thread.running(tmp_path, tls=settings.tls) as (uri, _),
        console.visitor(ignore_https_errors=True) as context,
    ):
        page = context.new_page()
        answer = page.goto(f"{uri}/console/sign-in")
        assert answer is not None
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "http/1.1"
        page.locator("#user").fill("root")
        page.locator("#password").fill(PASSWORDS["root"])
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        (cookie,) = context.cookies()
        assert (cookie["name"], cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (
            "__Host-kiteward",
            True,
            True,
            "Strict",
            "/",
        )
