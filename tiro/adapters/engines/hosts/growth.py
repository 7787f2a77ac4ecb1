"""Does a host keep more and more memory? Judged against what it had after its first batches, and after its largest."""

from __future__ import annotations


class Growth:
    """One host's memory, batch by batch. A larger batch than any before may take more; the same again may not."""

    def __init__(self, ratio: float, bytes_: int, settled_batches: int) -> None:
        self._ratio = ratio
        self._bytes = bytes_
        self._to_settle = settled_batches
        self._largest = (0, 0)
        self._now_bytes = 0
        self.usual_bytes = 0

    def after(self, samples: int, windows: int, rss_bytes: int) -> None:
        """A batch of so much audio is done."""
        largest = (max(samples, self._largest[0]), max(windows, self._largest[1]))
        if self._to_settle > 0 or largest != self._largest:
            self.usual_bytes = max(self.usual_bytes, rss_bytes)
        self._largest = largest
        self._to_settle -= 1
        self._now_bytes = rss_bytes

    @property
    def too_large(self) -> bool:
        """More than the ratio, and than so many bytes more."""
        return self._now_bytes > max(self._ratio * self.usual_bytes, self.usual_bytes + self._bytes)

    def accept(self) -> None:
        """What it has now is usual: there was no other way."""
        self.usual_bytes = self._now_bytes

    def __str__(self) -> str:
        return f"{self.usual_bytes >> 20} to {self._now_bytes >> 20} MiB"
