"""Posting with the ledger included beside a bare loop of requests, and with a million pending.

    python -m benchmarks.post [REQUESTS] [ROUNDS] [PENDING] [MINUTES]

It starts a PostgreSQL and a reference service of its own, which answers after 20 ms. Then, in
turns, 32 threads post REQUESTS counts by a loop over `requests` that writes nothing down, and a
poster posts as many from the ledger. It prints requests per second of each, what a request costs
this process, and the median of the rounds' ratios. Then PENDING customers are added, and a poster
works at them for some MINUTES while its resident memory is measured.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests
import sqlalchemy as sa

from millpond.catalog.interactions import Contract
from millpond.catalog.settings import Settings
from millpond.interactions.ledger import Ledger
from millpond.interactions.post import Poster
from millpond.interactions.service import CustomerService, Endpoint
from tests.ledger.postgresql import server
from tests.waiting import until

CONNECTIONS = 32
LATENCY_SECONDS = 0.02
PORT = "29981"
URL = f"http://127.0.0.1:{PORT}"


@contextmanager
def a_service(home: Path) -> Iterator[None]:
    """The reference service, slowed down."""
    command = [sys.executable, "-m", "millpond.reference_service", PORT, home / "requests.jsonl"]
    service = subprocess.Popen(list(map(str, command)))
    fault = [{"path": "/data", "times": 0, "seconds": LATENCY_SECONDS}]
    try:
        until(lambda: slowed_down(fault))
        yield
    finally:
        service.terminate()
        service.wait()


def slowed_down(fault: list[dict[str, object]]) -> bool:
    """Whether the service is up, and told."""
    try:
        return requests.put(f"{URL}/faults", json=fault, timeout=5).ok
    except requests.ConnectionError:
        return False


def post_plainly(count: int) -> None:
    """The bare loop: a session for each thread, and no questions asked."""
    local = threading.local()

    def one(n: int) -> None:
        if not hasattr(local, "session"):
            local.session = requests.Session()
            local.session.trust_env = False
        body = json.dumps({"customerId": n, "intercationNumber": n})
        local.session.post(f"{URL}/data", data=body, timeout=(3, 15)).raise_for_status()

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in pool.map(one, range(count)):
            pass


def add_pending(ledger: Ledger, count: int) -> None:
    """Change the total of that many customers."""
    with ledger.transaction() as database:
        database.execute(
            sa.text(
                "INSERT INTO customer (customer_id, total, version) "
                "SELECT n, 1, 1 FROM generate_series(1, :n) AS n ON CONFLICT (customer_id) "
                "DO UPDATE SET total = customer.total + 1, version = customer.version + 1"
            ),
            {"n": count},
        )


def a_poster(here: Settings, seconds: float) -> Poster:
    """A poster as the task makes it."""
    contract = Contract.parse(here.service_paths, here.service_keys)
    service = CustomerService(lambda: Endpoint(URL), contract)
    return Poster(Ledger(here.ledger_url), service, seconds)


def post_from_ledger(here: Settings, count: int) -> None:
    """All of the poster: claims, requests, outcomes."""
    summary = a_poster(here, 600).run()
    assert summary["ack"] == count, summary


def per_second(what: str, count: int, act: Callable[[], None]) -> float:
    """Requests per second, printed."""
    began, used = time.monotonic(), time.process_time()
    act()
    rate = count / (time.monotonic() - began)
    cost = (time.process_time() - used) / count * 1000
    print(f"{what}: {rate:.0f} a second, {cost:.2f} ms of processor each")
    return rate


def side_by_side(here: Settings, count: int, rounds: int) -> None:
    """The two in turns."""
    ratios = []
    for _ in range(rounds):
        bare = per_second("a bare loop", count, lambda: post_plainly(count))
        add_pending(Ledger(here.ledger_url), count)
        ours = per_second("the poster", count, lambda: post_from_ledger(here, count))
        ratios.append(ours / bare)
    shown = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"ratios {shown}; median {statistics.median(ratios):.2f}")


def with_many_pending(here: Settings, pending: int, minutes: float) -> None:
    """Resident memory while a poster works at them."""
    add_pending(Ledger(here.ledger_url), pending)
    sizes: list[int] = []
    ended = threading.Event()

    def measure() -> None:
        while not ended.wait(1):
            sizes.append(psutil.Process().memory_info().rss // 2**20)

    watch = threading.Thread(target=measure)
    watch.start()
    began = time.monotonic()
    summary = a_poster(here, minutes * 60).run()
    rate = summary["ack"] / (time.monotonic() - began)
    ended.set()
    watch.join()
    print(f"{pending} pending: {summary['ack']} posted, {rate:.0f} a second, {dict(summary)}")
    at = sizes[5], sizes[len(sizes) // 2], sizes[-1]
    print("resident MB after 5 s, in the middle, at the end:", *at)


def main(
    count: int = 10_000, rounds: int = 5, pending: int = 1_000_000, minutes: float = 3
) -> None:
    """Measure, and print."""
    with server() as running, a_service(running.settings.home):
        side_by_side(running.settings, count, rounds)
        with_many_pending(running.settings, pending, minutes)
    print(f"the load of the machine was {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
