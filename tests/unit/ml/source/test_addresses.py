from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.errors import SourceForbiddenAddress, SourceNotFound
from ml.source.addresses import AddressPolicy, is_public

PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001:80b::200e"]
PRIVATE = [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.192", "198.18.0.1", "224.0.0.1",
    "255.255.255.255", "240.0.0.1", "168.63.129.16", "203.0.113.9",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1",
    "64:ff9b::a9fe:a9fe", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1",
    "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "100::1",
    "2001:db8::1", "3fff::1", "5f00::1", "4000::1",
    "localhost", "", "0x7f.1", "2130706433", "[::1]",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_and_what_is_no_address_are_not(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_what_is_public_is_global_too(address: ipaddress.IPv4Address) -> None:
    if is_public(str(address)):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_inside_an_ipv6_address_never_becomes_more_public(
    address: ipaddress.IPv4Address,
) -> None:
    number = int(address)
    assert is_public(f"::ffff:{address}") == is_public(str(address))
    for carrier in (number, (0x64FF9B << 96) | number, (0x2002 << 112) | (number << 80)):
        assert not is_public(str(ipaddress.IPv6Address(carrier)))


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_public(address: ipaddress.IPv6Address) -> None:
    if is_public(str(address)) and address.ipv4_mapped is None:
        assert address in ipaddress.IPv6Network("2000::/3")
        assert address.is_global
        assert address.sixtofour is None
        assert address.teredo is None


@given(st.text())
def test_any_text_is_either_a_url_or_refused_with_our_own_error(url: str) -> None:
    try:
        parts = AddressPolicy().check_url(url)
    except (SourceForbiddenAddress, SourceNotFound):
        return
    assert parts.scheme in ("http", "https")
    assert parts.hostname


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/a.mp3",
        "file:///etc/passwd",
        "data:audio/wav;base64,AAAA",
        "javascript:alert(1)",
        "http://user:secret@example.com/",
        "http://user@example.com/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[fe80::1%25eth0]/",
        "http://169.254.169.254/latest/meta-data",
        "http://example.com:22/",
        "https://example.com:8443/",
    ],
)
def test_urls_that_may_not_be_fetched(url: str) -> None:
    with pytest.raises(SourceForbiddenAddress):
        AddressPolicy().check_url(url)


@pytest.mark.parametrize(
    "url", ["", "words", "http://", "http://[::1", "http://a:99999/", "http://a b/", "//host/x"]
)
def test_what_is_no_url_is_not_found(url: str) -> None:
    with pytest.raises(SourceNotFound):
        AddressPolicy().check_url(url)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "0"])
def test_names_and_odd_spellings_of_private_addresses_do_not_resolve(host: str) -> None:
    with pytest.raises(SourceForbiddenAddress):
        AddressPolicy().resolve(host, 80)


def test_private_networks_may_be_allowed() -> None:
    policy = AddressPolicy(("127.0.0.0/8",))
    assert not policy.permits("10.0.0.1", 80)
    assert not policy.permits("::1", 80)
    assert policy.check_url("http://127.0.0.1:8080/a.mp3").port == 8080
    assert "127.0.0.1" in policy.resolve("127.0.0.1", 8080)
