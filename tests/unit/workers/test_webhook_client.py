"""The client that carries reports, against receivers that behave badly."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import socket
import time
from email.utils import formatdate
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from egress import OUTSIDE, running
from receiver import Receiver, Reply

from app.stores.deliveries import DeliveryFailure
from ml.options import SourceOptions
from workers.webhook_client import NotDelivered, WebhookClient, seconds_of

LOOPBACK = SourceOptions(allowed_networks=("127.0.0.0/8",))
BODY = b'{"id": 1}'
SHORT = 0.4


def post(url: str, source: SourceOptions = LOOPBACK, timeout: float = 5.0):
    return WebhookClient(source, timeout=timeout).post(url, {"Webhook-Id": "1"}, BODY)


def failure_of(url: str, source: SourceOptions = LOOPBACK, timeout: float = 5.0):
    with pytest.raises(NotDelivered) as caught:
        post(url, source, timeout)
    return caught.value.failure


def test_a_report_arrives_as_it_was_sent():
    with Receiver() as receiver:
        assert post(f"{receiver.url}/ä?key=a b#there".replace(" ", "%20")).status == 200
    (received,) = receiver.received
    assert received.path == "/hook/%C3%A4?key=a%20b"
    assert received.body == BODY
    assert received.headers["Webhook-Id"] == "1"
    assert received.headers["Host"] == f"127.0.0.1:{receiver.port}"


def test_an_address_without_a_path_means_the_root():
    with Receiver() as receiver:
        post(f"http://127.0.0.1:{receiver.port}?key=1")
    assert receiver.received[0].path == "/?key=1"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status):
    with Receiver() as canary, Receiver() as receiver:
        receiver.otherwise = Reply(status, {"Location": canary.url})
        assert post(receiver.url).status == status
    assert canary.connections == 0


@pytest.mark.parametrize(
    "reply",
    [
        Reply(pause=60),
        Reply(raw=b"", dribble=0.05),
        Reply(raw=b"HTTP/1.1 200 OK\r\nX: ", dribble=0.05),
    ],
    ids=["silent", "a status line without end", "a header without end"],
)
def test_the_whole_exchange_has_one_time_out(reply):
    with Receiver(otherwise=reply) as receiver:
        assert failure_of(receiver.url, timeout=SHORT) is DeliveryFailure.TIMEOUT


def test_a_handshake_without_end_is_cut_too():
    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=greet_for_ever, args=(server,), daemon=True).start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}/"
        assert failure_of(url, timeout=SHORT) is DeliveryFailure.TIMEOUT


def greet_for_ever(server):
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        connection.sendall(b"\x16\x03\x03\x40\x00")  # a record of 16 KiB begins
        while True:
            connection.sendall(b"\x00")
            time.sleep(0.05)


def test_nothing_of_a_body_is_read():
    reply = Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000, dribble=0.05)
    with Receiver(otherwise=reply) as receiver:
        assert post(receiver.url).status == 200


@pytest.mark.parametrize("raw", [b"hello\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 200])
def test_what_is_no_answer_is_told(raw):
    with Receiver(otherwise=Reply(raw=raw)) as receiver:
        assert failure_of(receiver.url) is DeliveryFailure.INVALID_ANSWER


def test_who_hangs_up_or_does_not_listen_is_unreachable():
    with Receiver(otherwise=Reply(raw=b"")) as receiver:
        assert failure_of(receiver.url) is DeliveryFailure.UNREACHABLE
    assert failure_of(receiver.url) is DeliveryFailure.UNREACHABLE


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433", "0.0.0.0"],
)
def test_a_forbidden_address_is_never_dialled(host):
    with Receiver() as canary:
        url = f"http://{host}:{canary.port}/"
        assert failure_of(url, SourceOptions()) is DeliveryFailure.FORBIDDEN_ADDRESS
        # The default ports pass the first look, so that it is the address that is judged.
        for port in ("", ":80"):
            url = f"http://{host}{port}/"
            assert failure_of(url, SourceOptions()) is DeliveryFailure.FORBIDDEN_ADDRESS
    assert canary.connections == 0


def test_a_name_is_judged_by_all_of_its_addresses(monkeypatch):
    def resolve(host, port, **options):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("93.184.216.34", "10.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = "https://receiver.example/"
    assert failure_of(url, SourceOptions()) is DeliveryFailure.FORBIDDEN_ADDRESS


@pytest.fixture(scope="module")
def proxy():
    with running() as egress:
        yield egress.url


def through(proxy: str) -> SourceOptions:
    return SourceOptions(allowed_networks=(OUTSIDE,), proxy=proxy)


@pytest.mark.parametrize("tls", [False, True])
def test_a_report_goes_through_the_proxy_where_there_is_one(proxy, certificate, monkeypatch, tls):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Receiver(host="127.0.0.2", tls=certificate if tls else None) as receiver:
        assert post(receiver.url, through(proxy)).status == 200
        assert len(receiver.received) == receiver.connections == 1
    assert failure_of(receiver.url, through(proxy)) is DeliveryFailure.UNREACHABLE


def test_what_the_proxy_forbids_is_not_reached_another_way(proxy):
    with Receiver() as canary:
        url = f"http://inside.test:{canary.port}/"
        assert failure_of(url, through(proxy)) is DeliveryFailure.FORBIDDEN_ADDRESS
        without = through("http://127.0.0.1:1")
        assert failure_of(url, without) is DeliveryFailure.UNREACHABLE
    assert canary.connections == 0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate for two addresses that nobody has signed but itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    now = datetime.datetime.now(datetime.UTC)
    addresses = [
        x509.IPAddress(ipaddress.IPv4Address(address)) for address in ("127.0.0.1", "127.0.0.2")
    ]
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        signed.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate):
    with Receiver(tls=certificate) as receiver:
        assert failure_of(receiver.url) is DeliveryFailure.TLS
    assert not receiver.received


def test_a_certificate_must_name_the_host(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Receiver(tls=certificate) as receiver:
        assert post(receiver.url).status == 200
        named = receiver.url.replace("127.0.0.1", "localhost")
        source = SourceOptions(allowed_networks=("127.0.0.0/8", "::1/128"))
        assert failure_of(named, source) is DeliveryFailure.TLS
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("", 0), ("120", 120), ("-1", 0), ("soon", 0), ("1" * 50, 111_111_111), ("٣", 0)],
)
def test_retry_after_in_seconds(header, seconds):
    assert seconds_of(header) == seconds


def test_retry_after_as_a_date():
    later = formatdate(time.time() + 100, usegmt=True)
    assert 90 < seconds_of(later) <= 100
    assert seconds_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert seconds_of(f"Wed, 21 Oct {'9' * 20} 07:28:00 GMT") == 0


def test_a_deadline_while_it_is_dialled_breaks_nothing(monkeypatch):
    """A resolver may take longer than the whole exchange."""
    broken = []
    monkeypatch.setattr("threading.excepthook", broken.append)

    def slow(*arguments, **options):
        time.sleep(2 * SHORT)
        return [(0, 0, 0, "", ("127.0.0.1", 9))]

    monkeypatch.setattr("socket.getaddrinfo", slow)
    assert failure_of("http://slow.test/", timeout=SHORT) is DeliveryFailure.TIMEOUT
    assert broken == []
