"""Runs one job at a time: plan, execute, encode. The same code in every kind of engine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from datafusion import RuntimeEnvBuilder, SessionContext

from query_service.engine.errors import translate
from query_service.engine.jobs import Chunk, Event, Failed, Finished, Job, Started
from query_service.engine.parameters import bind
from query_service.engine.session import Bucket, ReleaseSession
from query_service.engine.statements import rewrite
from query_service.formats import encoder_for


@dataclass(frozen=True)
class ExecutorOptions:
    """What one engine may use.

    Attributes:
        memory_bytes: Of its memory pool.
        spill_folder: Where queries spill.
        target_partitions: Threads of one query.
        bucket: Of the lake on Cloud Storage, for tables that are scanned there; else empty.
        bucket_credentials: A Google credentials file; empty for the machine's own identity.
    """

    memory_bytes: int
    spill_folder: str
    target_partitions: int
    bucket: str = ""
    bucket_credentials: str = ""


class Executor:
    """One engine: sessions by release, one query at a time."""

    def __init__(self, options: ExecutorOptions) -> None:
        Path(options.spill_folder).mkdir(parents=True, exist_ok=True)
        self._options = options
        self._runtime = (
            RuntimeEnvBuilder()
            .with_disk_manager_specified(options.spill_folder)
            .with_fair_spill_pool(options.memory_bytes)
        )
        self._sessions: dict[str, ReleaseSession] = {}
        self._bucket = Bucket(options.bucket, options.bucket_credentials)

    def run(self, job: Job) -> Iterator[Event]:
        """Run a job; the last event is Finished or Failed. Closing the iterator ends the query."""
        try:
            yield from self._run(job)
        except (GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of DataFusion is no Exception
            known = translate(error)
            yield Failed(known.code, known.message, known.remedy)

    def warm_up(self) -> None:
        """Start DataFusion's threads, so that the first query does not wait for them."""
        SessionContext().sql("select 1").collect()

    def keep_only(self, release_files: set[str]) -> None:
        """Forget every release but these, and so unmap their tables."""
        for name in set(self._sessions) - release_files:
            del self._sessions[name]

    def prepare(self, release_file: str) -> ReleaseSession:
        """Open a release before the first query asks for it."""
        if release_file not in self._sessions:
            self._sessions[release_file] = ReleaseSession(
                Path(release_file), self._runtime, self._options.target_partitions, self._bucket
            )
        return self._sessions[release_file]

    def _run(self, job: Job) -> Iterator[Event]:
        session = self.prepare(job.release_file)
        sql, extra = rewrite(job.sql)
        plan = session.plan(sql, bind(job.parameters) | bind(extra))
        encoder = encoder_for(job.encoding, plan.schema, string_views=job.string_views)
        stream = plan.frame.execute_stream()
        row_count, truncated, started = 0, False, False
        try:
            for item in stream:
                batch: pa.RecordBatch = item.to_pyarrow()
                if job.row_limit is not None and row_count + batch.num_rows > job.row_limit:
                    batch = batch.slice(0, job.row_limit - row_count)
                    truncated = True
                row_count += batch.num_rows
                if not started:
                    started = True
                    yield Started(plan.tables, plan.columns)
                    yield Chunk(encoder.begin())
                if batch.num_rows:
                    for part in encoder.encode(batch):
                        yield Chunk(part)
                if truncated:
                    break
        finally:
            del stream  # ends the query's tasks at once, when it was cut short
        if not started:
            yield Started(plan.tables, plan.columns)
            yield Chunk(encoder.begin())
        yield Chunk(encoder.end(row_count, truncated=truncated))
        yield Finished(row_count, truncated)
