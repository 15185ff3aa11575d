"""Whose share an attempt counts for."""

import pytest

from kiteward.authn.sources import source_of


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("10.1.2.3:4000", "10.1.2.3"),
        ("10.1.2.3:4001", "10.1.2.3"),
        ("[::ffff:10.1.2.3]:4000", "10.1.2.3"),
        ("[::ffff:a01:203]:4000", "10.1.2.3"),
        ("[2001:db8:1:2::1]:4000", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2:ffff:ffff:ffff:ffff]:4000", "2001:db8:1:2::/64"),
        ("[2001:db8:1:3::1]:4000", "2001:db8:1:3::/64"),
        ("[fe80::1%eth0]:4000", "fe80::/64"),
        ("[::1]:4000", "::/64"),
        ("", ""),
        ("somewhere", ""),
        ("somewhere:1", "somewhere"),
        ("[no:address]:1", "no:address"),
    ],
)
def test_a_source_is_an_ipv4_address_or_an_ipv6_network_of_64_bits(address: str, source: str) -> None:
    assert source_of(address) == source
