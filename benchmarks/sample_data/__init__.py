"""The bundled sample data: seeded generators, so that the bytes are the same each time.

`python -m benchmarks.sample_data` writes the files; include/data/SOURCES.md says what they imitate.
"""

from collections.abc import Callable
from pathlib import Path

from benchmarks.sample_data.book import make_book
from benchmarks.sample_data.friends import make_friends
from benchmarks.sample_data.movies import make_movies
from benchmarks.sample_data.orders import make_orders
from benchmarks.sample_data.ratings import make_ratings
from benchmarks.sample_data.temperatures import make_temperatures

FILES: dict[str, Callable[[], bytes]] = {
    "ratings/u.data": make_ratings,
    "movies/u.item": make_movies,
    "friends/fakefriends.csv": make_friends,
    "temperatures/1800.csv": make_temperatures,
    "texts/book.txt": make_book,
    "orders/customer-orders.csv": make_orders,
}


def write(folder: Path) -> None:
    """Write every file below `folder`, over what is there."""
    for name, make in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(make())
