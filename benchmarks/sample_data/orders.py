"""customer-orders.csv, in the shape of the well-known exercise file: customer, item, amount."""

from random import Random

from benchmarks.sample_data.draws import Strays, by_weight, happens, scattered, shuffled, whole

SEED = 3
ORDERS, CUSTOMERS = 20_000, 100
FIRST_ITEM, ITEMS = 1000, 1200
DEAREST_CENTS = 9999
REFUND_PERCENT = 2
# The best customer then buys about three times as much as the one in the middle.
EVENNESS = 25

BAD_LINES: Strays = {
    "44,1602": ("field_count",),
    "35,1368,65,89": ("field_count",),  # a decimal comma
    "47,1733,12.345": ("bad_money:amount",),
    "29,1919,1e2": ("bad_money:amount",),
    "91,2160,NaN": ("bad_money:amount",),
    "70,2032,free": ("bad_money:amount",),
    "14,1505,12345678901234567.00": ("bad_money:amount",),  # 17 digits
    "customer,1733,5.32": ("not_an_integer:customer_id",),
    "53,#1900,83.55": ("not_an_integer:item_id",),
    "-1,12.5,8.00": ("out_of_range:customer_id", "not_an_integer:item_id"),
}


def make_orders() -> bytes:
    """The file. Customers are numbered from 0, and the last line has no end, as happens.

    An item has one price; an order is for one piece, and a refund gives one back that was bought.
    """
    draw = Random(SEED)
    prices = [whole(draw, 1, DEAREST_CENTS) for _ in range(ITEMS)]
    ranked = shuffled(draw, range(CUSTOMERS))
    a_customer = by_weight(draw, ranked, (10**9 // (n + EVENNESS) for n in range(CUSTOMERS)))
    kept: list[tuple[int, int]] = []
    lines: list[str] = []
    for _ in range(ORDERS):
        if kept and happens(draw, REFUND_PERCENT):
            customer, item = kept.pop(whole(draw, 0, len(kept) - 1))
            sign = "-"
        else:
            customer, item = a_customer(), whole(draw, 0, ITEMS - 1)
            kept.append((customer, item))
            sign = ""
        lines.append(f"{customer},{FIRST_ITEM + item},{sign}{_money(prices[item])}")
    return "\n".join(scattered(lines, BAD_LINES)).encode()


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02}"
