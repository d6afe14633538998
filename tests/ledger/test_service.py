"""The client of the customer service against the reference service, and against worse ones."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from millpond.errors import BadInputError
from millpond.interactions.fence import clock
from millpond.interactions.service import (
    LARGEST_ANSWER,
    Answer,
    CustomerService,
    Endpoint,
    Outcome,
    seconds_to_wait,
)
from tests.ledger.reference import CONTRACT, Reference
from tests.ledger.servers import RawServer, certificate_of, tls
from tests.waiting import until

FOREVER = float("inf")


def post(service: CustomerService, customer: str = "12", count: int = 3) -> Answer:
    return service.post_count(customer, count, "k", FOREVER)


Serve = Callable[..., RawServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[RawServer] = []

    def start(answer: bytes, context: ssl.SSLContext | None = None) -> RawServer:
        servers.append(RawServer(answer, context))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def at(server: RawServer, scheme: str = "http", **more: str) -> CustomerService:
    return CustomerService(
        lambda: Endpoint(f"{scheme}://127.0.0.1:{server.port}", **more), CONTRACT, (3, 10)
    )


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.mark.parametrize(
    ("customer", "body"),
    [
        ("12", b'{"customerId": 12, "intercationNumber": 3}'),
        ('"12"', b'{"customerId": "12", "intercationNumber": 3}'),
        ('"\\"é"', '{"customerId": "\\"é", "intercationNumber": 3}'.encode()),
    ],
)
def test_a_count_is_posted_in_these_bytes(serve: Serve, customer: str, body: bytes) -> None:
    server = serve(OK)
    assert post(at(server), customer).outcome == Outcome.ACK
    head, _, sent = server.asked[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert (lines[0], sent) == (b"POST /data HTTP/1.1", body)
    assert b"Content-Type: application/json" in lines
    assert b"Idempotency-Key: k" in lines


def test_a_customer_is_asked_for_in_these_bytes(serve: Serve) -> None:
    server = serve(OK)
    at(server).get_customer("Zoé", 'O"Neill')
    head, _, sent = server.asked[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /getcustomer HTTP/1.1\r\n")
    assert sent == '{"firstname": "Zoé", "lastname": "O\\"Neill"}'.encode()


def test_a_customer_is_found_by_name_or_not(reference: Reference) -> None:
    service = reference.service()
    found = service.get_customer("Zoé", "Martin")
    assert found.content == {"customerId": "s-0", "firstname": "Zoé", "lastname": "Martin"}
    # The fifth of the first names, with the first of the last names.
    assert service.get_customer("Ingrid", "Martin").status == 404


@pytest.mark.parametrize(
    ("fault", "outcome", "status"),
    [
        ({}, Outcome.ACK, 200),
        ({"answer": "status", "status": 201}, Outcome.ACK, 201),
        ({"answer": "status", "status": 408}, Outcome.RETRY, 408),
        ({"answer": "status", "status": 425}, Outcome.RETRY, 425),
        ({"answer": "status", "status": 429}, Outcome.RETRY, 429),
        ({"answer": "status", "status": 500}, Outcome.RETRY, 500),
        ({"answer": "status", "status": 503}, Outcome.RETRY, 503),
        ({"answer": "html", "status": 503}, Outcome.RETRY, 503),
        ({"answer": "html"}, Outcome.AMBIGUOUS, 200),
        ({"answer": "half"}, Outcome.AMBIGUOUS, None),
        ({"answer": "reset", "applied": False}, Outcome.AMBIGUOUS, None),
        ({"answer": "reset"}, Outcome.AMBIGUOUS, None),
        ({"seconds": 2}, Outcome.AMBIGUOUS, None),
        ({"answer": "status", "status": 404}, Outcome.REJECT, 404),
        ({"answer": "status", "status": 422}, Outcome.REJECT, 422),
        ({"answer": "status", "status": 403}, Outcome.STOP, 403),
        ({"answer": "status", "status": 302}, Outcome.STOP, 302),
    ],
)
def test_what_an_answer_means(
    reference: Reference, fault: dict[str, Any], outcome: Outcome, status: int | None
) -> None:
    reference.faults(fault)
    patience = 1.0 if "seconds" in fault else 10.0
    answer = post(reference.service(timeout=(3, patience)))
    assert (answer.outcome, answer.status) == (outcome, status)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", Outcome.ACK),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Outcome.ACK),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (LARGEST_ANSWER + 1), Outcome.AMBIGUOUS),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 60_000, Outcome.AMBIGUOUS),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n{}", Outcome.AMBIGUOUS),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{", Outcome.AMBIGUOUS),
        (b"", Outcome.AMBIGUOUS),
        (b"not HTTP at all\r\n\r\n", Outcome.AMBIGUOUS),
    ],
)
def test_what_odd_bytes_mean(serve: Serve, answer: bytes, outcome: Outcome) -> None:
    assert post(at(serve(answer))).outcome == outcome


def test_nobody_there_is_tried_again(serve: Serve) -> None:
    with socket.socket() as deaf:  # it has a port, so that nobody else has, and does not listen
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        service = CustomerService(lambda: Endpoint(f"http://127.0.0.1:{port}"), CONTRACT)
        assert post(service).outcome == Outcome.RETRY


def test_a_redirect_is_not_followed(serve: Serve) -> None:
    other = serve(OK)
    to = f"HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:{other.port}/data\r\n\r\n"
    assert post(at(serve(to.encode()))).outcome == Outcome.STOP
    assert other.asked == []


def test_proxies_of_the_environment_are_not_used(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert post(reference.service()).outcome == Outcome.ACK


def test_nothing_is_sent_after_its_time(reference: Reference) -> None:
    service = reference.service()
    assert service.post_count("12", 3, "k", clock() - 0.001).outcome == Outcome.UNSENT
    assert reference.requests == []
    assert service.post_count("12", 3, "k", clock() + 60).outcome == Outcome.ACK


def test_the_clock_is_looked_at_again_whenever_the_service_takes_more_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "clock_gettime", lambda _: now[0])
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        port = listening.getsockname()[1]
        service = CustomerService(lambda: Endpoint(f"http://127.0.0.1:{port}"), CONTRACT, (3, 60))
        more_than_buffers_hold = "9" * (64 << 20)
        posting = pool.submit(service.post_count, more_than_buffers_hold, 1, "k", 1.0)
        taken, _ = listening.accept()
        with taken:
            until(lambda: b"999" in taken.recv(4096))
            now[0] = 2.0
            while taken.recv(1 << 20):
                pass
        assert posting.result().outcome == Outcome.UNSENT


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        (None, 0),
        ("7", 7),
        (" 7 ", 7),
        ("-7", 0),
        ("soon", 0),
        ("9" * 30, 24 * 3600),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),  # long over
        ("Sun, 99 Nov 1994 08:49:37 GMT", 0),
    ],
)
def test_how_long_retry_after_asks_for(asked: str | None, wait: float) -> None:
    assert seconds_to_wait(asked) == wait


def test_retry_after_may_be_a_date(reference: Reference) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    reference.faults({"answer": "status", "status": 503, "retry_after": then})
    # The date has whole seconds, and the request took some time.
    assert 90 < post(reference.service()).wait <= 100


@pytest.mark.parametrize(
    ("user", "password", "header"),
    [
        ("", "t0ken", "Bearer t0ken"),
        ("miller", "pond", "Basic bWlsbGVyOnBvbmQ="),  # base64 of miller:pond
    ],
)
def test_who_asks_is_said(reference: Reference, user: str, password: str, header: str) -> None:
    reference.ask_for(header)
    assert post(reference.service(user=user, password=password)).outcome == Outcome.ACK


def test_an_expired_token_is_read_once_more_and_then_it_stops(reference: Reference) -> None:
    tokens = iter(["old", "new", "newer"])
    service = CustomerService(lambda: Endpoint(reference.url, "", next(tokens)), CONTRACT)
    reference.ask_for("Bearer new")
    assert [post(service).outcome for _ in range(2)] == [Outcome.RETRY, Outcome.ACK]
    # Later it expires again, and then for good.
    reference.ask_for("Bearer newest")
    assert [post(service).outcome for _ in range(2)] == [Outcome.RETRY, Outcome.STOP]
    assert list(tokens) == []


def test_threads_that_are_refused_together_read_a_token_once(reference: Reference) -> None:
    reads = []

    def read() -> Endpoint:
        reads.append(time.monotonic())
        return Endpoint(reference.url, "", "new" if len(reads) > 1 else "old")

    service = CustomerService(read, CONTRACT)
    reference.ask_for("Bearer new")
    with ThreadPoolExecutor(8) as pool:
        with reference.held_back(8) as wait:
            answers = [pool.submit(post, service) for _ in range(8)]
            wait()
        assert [answer.result().outcome for answer in answers] == [Outcome.RETRY] * 8
    assert len(reads) == 2
    assert post(service).outcome == Outcome.ACK


def test_a_certificate_that_nobody_vouches_for_stops(serve: Serve, tmp_path: Path) -> None:
    certificate = certificate_of("IP:127.0.0.1", tmp_path)
    server = serve(OK, tls(certificate))
    answer = post(at(server, "https"))
    assert answer.outcome == Outcome.STOP
    assert "its certificate is not trusted" in answer.why
    assert server.asked == []
    trusting = at(server, "https", ca_file=str(certificate))
    assert post(trusting).outcome == Outcome.ACK


@pytest.mark.parametrize(
    "url", ["http://example.com", "http://10.0.0.7/x", "ftp://127.0.0.1", "https://", "nowhere"]
)
def test_without_tls_only_this_machine_is_spoken_to(url: str) -> None:
    with pytest.raises(BadInputError, match="give an https address"):
        Endpoint(url, "", "s3cret")


@pytest.mark.parametrize("endpoint", [{"password": "s3cret\n"}, {"user": "s3c\ret"}])
def test_a_secret_that_cannot_be_sent_is_refused_and_not_repeated(endpoint: dict[str, str]) -> None:
    with pytest.raises(BadInputError, match="has a line break or another") as raised:
        Endpoint("https://example.com", **endpoint)
    assert "s3c" not in str(raised.value)


def test_a_missing_file_of_certificates_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no.pem, and there is no such file"):
        Endpoint("https://example.com", ca_file=str(tmp_path / "no.pem"))


def test_an_address_that_is_none_stops() -> None:
    service = CustomerService(lambda: Endpoint("https://*.example"), CONTRACT)
    answer = post(service)
    assert (answer.outcome, answer.why) == (
        Outcome.STOP,
        "the address in the connection customer_service is none",
    )


def test_a_secret_is_in_no_representation() -> None:
    endpoint = Endpoint("https://a-user:pass@example.com/v1", "me", "s3cret")
    assert str(endpoint) == repr(endpoint) == "Endpoint(example.com)"
