"""Prometheus metrics of one service; docs/service.md lists them, a test holds it to that."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

if TYPE_CHECKING:
    from query_service.admission import Admission
    from query_service.queries import QueryRecord
    from query_service.release_store import LoadedRelease, ReleaseStore
    from query_service.result_cache import ResultCache

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """What ``/metrics`` shows; gauges are set when they are asked for."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._sizes: dict[str, int] = {}
        self._hits_told = self._misses_told = 0
        r = self._registry
        ProcessCollector(registry=r)
        self._queries = Counter(
            "lavra_queries", "Queries that ended, by outcome: finished, or the error's code.",
            ["outcome", "format"], registry=r,
        )  # fmt: skip
        self._seconds = Histogram(
            "lavra_query_seconds", "Time from request to end of answer.", ["format"],
            buckets=_SECONDS, registry=r,
        )  # fmt: skip
        self._stage = Histogram(
            "lavra_query_stage_seconds", "Time in each stage: load, wait, execute, send.",
            ["stage"], buckets=_SECONDS, registry=r,
        )  # fmt: skip
        self._rows = Counter("lavra_rows_out", "Rows answered.", registry=r)
        self._bytes = Counter("lavra_bytes_out", "Bytes answered, uncompressed.", registry=r)
        self._running = Gauge("lavra_queries_running", "Queries that run now.", registry=r)
        self._waiting = Gauge("lavra_queries_waiting", "Queries that wait now.", registry=r)
        self._hits = Counter("lavra_result_cache_hits", "Answers from the cache.", registry=r)
        self._misses = Counter("lavra_result_cache_misses", "Answers not in the cache.", registry=r)
        self._ratio = Gauge(
            "lavra_result_cache_hit_ratio", "Hits by hits and misses, since the start.", registry=r
        )
        self._held = Gauge("lavra_result_cache_bytes", "Bytes of kept answers.", registry=r)
        self._table = Gauge(
            "lavra_table_bytes", "Bytes of a table's segments.", ["environment", "table"],
            registry=r,
        )  # fmt: skip
        self._segments = Gauge(
            "lavra_cache_bytes",
            "Bytes of all segments of all loaded releases, each counted once.",
            registry=r,
        )
        self._releases = Gauge("lavra_releases_loaded", "Releases that are loaded.", registry=r)
        self._refresh = Histogram(
            "lavra_refresh_seconds", "Time to load a release.", buckets=_SECONDS, registry=r
        )
        self._read = Counter("lavra_refresh_bytes_read", "Bytes of data files read.", registry=r)
        self._snapshot_age = Gauge(
            "lavra_snapshot_age_seconds", "Age of the release served.", ["environment"], registry=r
        )
        self._data_age = Gauge(
            "lavra_data_age_seconds", "Age of the release's oldest data.", ["environment"],
            registry=r,
        )  # fmt: skip

    def query_ended(self, record: QueryRecord) -> None:
        """Count a query that ended."""
        self._queries.labels(record.error or record.state, record.encoding).inc()
        self._seconds.labels(record.encoding).observe(record.elapsed_s or 0)
        for stage in record.stage_times():
            self._stage.labels(stage.name).observe(stage.ended - stage.began)
        self._rows.inc(record.row_count or 0)
        self._bytes.inc(record.bytes_out)

    def release_loaded(self, loaded: LoadedRelease) -> None:
        """Count a release that was loaded."""
        self._refresh.observe(loaded.seconds)
        self._read.inc(loaded.report.bytes_read)

    def render(self, store: ReleaseStore, admission: Admission, cache: ResultCache) -> bytes:
        """Return the text of ``/metrics``."""
        self._running.set(admission.running)
        self._waiting.set(admission.waiting)
        self._show_result_cache(cache)
        now = time.time()
        for gauge in (self._table, self._snapshot_age, self._data_age):
            gauge.clear()
        for environment, loaded in store.all_current().items():
            self._snapshot_age.labels(environment).set(now - loaded.release.created_at.timestamp())
            through = loaded.data_through()
            if through:
                self._data_age.labels(environment).set(now - through.timestamp())
            for table in loaded.report.cached:
                self._table.labels(environment, table.name).set(table.bytes)
        self._releases.set(len(store.all_loaded()))
        self._segments.set(self._segment_bytes(store.all_loaded()))
        return generate_latest(self._registry)

    def _show_result_cache(self, cache: ResultCache) -> None:
        self._hits.inc(cache.hits - self._hits_told)
        self._misses.inc(cache.misses - self._misses_told)
        self._hits_told, self._misses_told = cache.hits, cache.misses
        asked = cache.hits + cache.misses
        self._ratio.set(cache.hits / asked if asked else 0)
        self._held.set(cache.bytes)

    def _segment_bytes(self, releases: list[LoadedRelease]) -> int:
        """Return the size of the releases' segments; a file is looked at once: none changes."""
        paths = frozenset().union(*(loaded.segments for loaded in releases))
        self._sizes = {path: size for path, size in self._sizes.items() if path in paths}
        for path in paths - self._sizes.keys():
            with contextlib.suppress(FileNotFoundError):
                self._sizes[path] = Path(path).stat().st_size
        return sum(self._sizes.values())
