"""What applications ask YARN for; an analysis names its own."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """What an application asks YARN for: heaps in MB, executors, cores of each, and the queue.

    The default is enough for all that is bundled, and two of them fit beside the daemons of a
    machine of 12 GB. Without a queue, that of Airflow's connection is taken.
    """

    driver_mb: int = 1024
    executor_mb: int = 1024
    executors: int = 1
    cores: int = 1
    queue: str | None = None

    @property
    def total_mb(self) -> int:
        """The memory of all its containers."""
        return _container_mb(self.driver_mb) + self.executors * _container_mb(self.executor_mb)


def _container_mb(heap_mb: int) -> int:
    """What Spark asks for: a tenth more, at least 384 MB, for all that is no heap, Python too."""
    return heap_mb + max(384, heap_mb // 10)


SMALL = Size()
# A million messages of 64 partitions: 105 s with two cores and 176 s with one, on two cores that
# others used as well.
COUNT = Size(cores=2)
