"""How addresses are written, and which of them count as one source."""

import pytest

from kiteward.domain.addresses import address_text, host_in, networks_of, source_of


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::ffff:c000:207", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("no:address", "no:address"),
        ("somewhere", "somewhere"),
        ("", ""),
    ],
)
def test_an_address_counts_as_the_network_whose_addresses_its_holder_chooses(host: str, source: str) -> None:
    assert source_of(host) == source


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::1", "::1"])
def test_host_is_read_out_of_what_was_written(host: str) -> None:
    assert host_in(address_text(host, 4000)) == host


def test_where_there_is_no_address_there_is_no_host() -> None:
    assert host_in("") == ""


def test_networks_are_sorted_and_each_is_there_once() -> None:
    assert networks_of(["2001:db8::/32", "10.0.0.0/8", "10.0.0.0/8"]) == ("10.0.0.0/8", "2001:db8::/32")


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ValueError, match="wrong"):
        networks_of(["10.0.0.0/8", "wrong"])
