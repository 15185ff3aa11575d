from typing import Any

import pytest

from kiteward.api.rest.settings import LARGEST_BODY, RestSettings
from kiteward.config.loading import settings_from
from kiteward.domain.errors import ConfigurationError


def test_the_keys_are_read() -> None:
    document = {
        "proxy": {"http": {"enabled": False, "requestTimeoutMs": 1500, "acceptTypeAllowInt64": False}},
        "kiteward": {"rest": {"maxBodyBytes": 4096, "corsOrigins": "https://a.example, http://b.example:8080"}},
    }
    assert settings_from(document).rest == RestSettings(
        enabled=False,
        request_timeout=1.5,
        allow_int64=False,
        max_body=4096,
        cors_origins=frozenset({"https://a.example", "http://b.example:8080"}),
    )


def test_without_keys_the_server_is_open_to_programs_and_closed_to_pages() -> None:
    settings = settings_from({}).rest
    assert settings == RestSettings()
    assert settings.enabled
    assert settings.allow_int64
    assert settings.request_timeout == 30
    assert settings.cors_origins == frozenset()


@pytest.mark.parametrize(
    "rest",
    [
        {"maxBodyBytes": 0},
        {"maxBodyBytes": LARGEST_BODY + 1},
        {"corsOrigins": ["https://a.example/"]},
        {"corsOrigins": ["a.example"]},
        {"corsOrigins": ["null"]},
        {"corsOrigins": ["https://*.a.example", "ftp://a.example"]},
        {"maxBody": 1},
    ],
)
def test_a_value_that_makes_no_sense_stops_the_start(rest: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"kiteward\.rest"):
        settings_from({"kiteward": {"rest": rest}})


def test_every_origin_is_one_star() -> None:
    assert settings_from({"kiteward": {"rest": {"corsOrigins": ["*"]}}}).rest.cors_origins == {"*"}
