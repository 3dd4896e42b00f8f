"""Runs a connector and lands what it reads; starts it again when it fails for a passing reason."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lavra.errors import ConfigurationError, IngestError, LavraError, SourceError
from lavra.landing.connections import Connection, Stream
from lavra.landing.connectors.columns import configured, find_stream
from lavra.landing.connectors.connector import Connector, discover, messages, open_connector
from lavra.landing.connectors.process import ConnectorHung
from lavra.landing.connectors.states import is_shared, kept_form, told_form
from lavra.landing.connectors.stream import Pipeline, Place, StreamLanding, complete
from lavra.landing.run import Progress, StreamResult

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.settings import Settings
    from lavra.storage import LakeStorage

_DATA = b'"data":'


def land_connector(
    settings: Settings,
    catalog: Catalog,
    storage: LakeStorage,
    connection: Connection,
    chosen: Sequence[Stream],
    *,
    full_refresh: bool,
    progress: Progress,
) -> list[StreamResult]:
    """Land streams of a connection that a connector reads; call it under the connection's lock.

    Raises:
        ConfigurationError: the connection is wrong, or its connector cannot be installed.
        SourceError: the connector does not say which streams it has.
    """
    connector = open_connector(settings, connection)
    with ExitStack() as stack:
        stack.callback(connector.log.close)
        place = Place(
            catalog, storage, connection, stack.enter_context(Pipeline()), progress,
            settings.connector_checkpoint_s, full_refresh,
        )  # fmt: skip
        discovered = discover(settings, connection, connector)
        if any(find_stream(stream, discovered) is None for stream in chosen):
            discovered = discover(settings, connection, connector, afresh=True)
        results: dict[str, StreamResult] = {}
        landings: list[StreamLanding] = []
        for stream in chosen:
            try:
                landing = _landing(place, stream, discovered)
            except (IngestError, ConfigurationError) as error:
                results[stream.name] = failed_result(connection, stream, error)
                progress.done(results[stream.name])
                continue
            landings.append(landing)
            stack.callback(landing.close)
        _read_all(settings, connector, landings)
        for landing in landings:
            results[landing.name] = landing.result()
            progress.done(results[landing.name])
    return [results[stream.name] for stream in chosen]


def failed_result(connection: Connection, stream: Stream, error: LavraError) -> StreamResult:
    """Return the result of a stream that could not even begin."""
    return StreamResult(
        connection.name, connection.bronze_namespace, stream.name, stream.sync_mode,
        error=error.message, remedy=error.remedy,
    )  # fmt: skip


def _landing(place: Place, stream: Stream, discovered: list[dict[str, Any]]) -> StreamLanding:
    found = find_stream(stream, discovered)
    if found is None:
        known = ", ".join(sorted(one["name"] for one in discovered)) or "none"
        raise ConfigurationError(
            f"The connector has no stream {stream.name}.", remedy=f"It has {known}."
        )
    configured(stream, found)
    return StreamLanding(place, stream, found)


def _read_all(settings: Settings, connector: Connector, landings: list[StreamLanding]) -> None:
    """Run the connector until every stream is done, or has failed for good."""
    attempt, wait_s = 1, settings.connector_retry_s
    while any(landing.is_open for landing in landings):
        # Those that share a state are read together, even if some of them were complete.
        asked = [one for one in landings if one.is_open or (one.shared and not one.error)]
        before = [landing.commits for landing in asked]
        reading = _Reading(connector, asked)
        try:
            reading.run()
        except BaseException:
            for landing in asked:
                if landing.is_open:
                    landing.give_up(SourceError("The run was broken off."))
            raise
        if [landing.commits for landing in asked] != before:
            attempt, wait_s = 0, settings.connector_retry_s  # it got further
        again = False
        for landing in [landing for landing in asked if landing.is_open]:
            error, may_pass = reading.failure(landing)
            if may_pass and attempt < settings.connector_attempts:
                landing.give_up(error)
                again = True
            else:
                landing.fail(error)
        if not again:
            return
        connector.log.write(f"Starting it again in {wait_s:.0f} s")
        time.sleep(wait_s)
        attempt, wait_s = attempt + 1, wait_s * 2


@dataclass
class _Failure:
    message: str
    kind: str
    stream: str | None


@dataclass
class _Reading:
    """One process of the connector, from its start to its end."""

    connector: Connector
    landings: list[StreamLanding]
    failures: list[_Failure] = field(default_factory=list)
    statuses: dict[str, str] = field(default_factory=dict)
    code: int | None = None
    broken: SourceError | None = None

    def run(self) -> None:
        """Read until the connector ends; what is complete then has landed."""
        self._by_name = {self._key(landing.found): landing for landing in self.landings}
        self._heads: dict[bytes, StreamLanding] = {}
        catalog = {"streams": [
            configured(landing.stream, landing.found) for landing in self.landings
        ]}  # fmt: skip
        states = told_form(self.landings)
        files = {"--catalog": catalog} | ({"--state": states} if states else {})
        try:
            with self.connector.start("read", files) as process:
                for lines in process.lines():
                    self._take(lines)
                self.code = process.wait()
        except SourceError as error:
            self.broken = error
            return
        if self.code == 0 and not any(failure.stream is None for failure in self.failures):
            read = [one for one in self.landings if one.is_open and self._is_read(one)]
            complete([one for one in read if one.shared])
            for landing in read:
                landing.complete()
        for landing in self.landings:
            landing.settle()

    def failure(self, landing: StreamLanding) -> tuple[SourceError, bool]:
        """Return why a stream is not complete, and whether it may be when tried again."""
        mask, log = self.connector.log.mask, self.connector.log
        name = landing.found["name"]
        if self.broken is not None:
            return self.broken, isinstance(self.broken, ConnectorHung)
        said = [failure for failure in self.failures if failure.stream in {None, name}]
        if said:
            text = mask("; ".join(dict.fromkeys(failure.message for failure in said)))
            may_pass = all(failure.kind == "transient_error" for failure in said)
            remedy = f"Its log is {log.path}."
            if any(failure.kind == "config_error" for failure in said):
                remedy = f"Correct the connection's `config`. {remedy}"
            return SourceError(f"The connector failed: {text[:1500]}", remedy=remedy), may_pass
        if self.code == 0:
            status = self.statuses.get(name, "never begun")
            return SourceError(
                f"The connector ended, but {name} is {status.lower()}.",
                remedy=f"Its log is {log.path}.",
            ), False
        last = " | ".join(log.last) or "nothing"
        return SourceError(
            f"The connector ended with status {self.code}. It said: {last[-1000:]}",
            remedy=f"Its log is {log.path}.",
        ), True

    def _is_read(self, landing: StreamLanding) -> bool:
        status = self.statuses.get(landing.found["name"])
        # Older connectors tell no status at all: their exit is their word.
        return status == "COMPLETE" or (status is None and not self.statuses)

    def _take(self, lines: list[bytes]) -> None:
        heads = self._heads
        for line in lines:
            landing = heads.get(line[: line.find(_DATA) + 7])
            if landing is not None:
                landing.add(line)
            elif line:
                self._other(line)

    def _other(self, line: bytes) -> None:
        message = messages(line)
        kind = message["type"] if message else None
        if message is None:
            self.connector.log.write(line[:100_000].decode("utf-8", "replace"))
        elif kind == "RECORD":
            self._record(line, message)
        elif kind == "STATE":
            self._state(message.get("state") or {})
        elif kind == "TRACE":
            self._trace(message.get("trace") or {})
        elif kind == "LOG":
            log = message.get("log") or {}
            self.connector.log.write(f"{log.get('level', '')} {log.get('message', '')}")

    def _record(self, line: bytes, message: dict[str, Any]) -> None:
        record = message.get("record") or {}
        landing = self._by_name.get((record.get("namespace"), record.get("stream")))
        if landing is None:
            landing = self._by_name.get((None, record.get("stream")))
        if landing is None:
            return  # of a stream that nobody asked for
        if not isinstance(record.get("data"), dict):
            landing.fail(SourceError(f"The connector wrote a record without data: {line[:200]!r}."))
            return
        landing.add(line)
        # Where all that stands before the data is the stream's name, it is known by that head.
        head = line[: line.find(_DATA) + 7]
        names = {key: record[key] for key in ("namespace", "stream") if key in record}
        try:
            if json.loads(head + b"null}}") == {"type": "RECORD", "record": names | {"data": None}}:
                self._heads[head] = landing
        except ValueError:
            return

    def _state(self, state: dict[str, Any]) -> None:
        kept = kept_form(state)
        if not is_shared(kept):
            named = (state.get("stream") or {}).get("stream_descriptor") or {}
            landing = self._by_name.get(self._key(named))
            if landing is not None:
                landing.on_state(kept)
            return
        sharing = [landing for landing in self.landings if landing.stream.is_incremental]
        for landing in sharing:
            landing.shared = sharing
            landing.on_state(dict(kept))
        if standing := [landing for landing in sharing if landing.error is None]:
            standing[0].checkpoint_if_due()

    def _trace(self, trace: dict[str, Any]) -> None:
        if trace.get("type") == "ERROR":
            error = trace.get("error") or {}
            failure = _Failure(
                str(error.get("message") or error.get("internal_message") or "no reason given"),
                str(error.get("failure_type") or "system_error"),
                (error.get("stream_descriptor") or {}).get("name"),
            )
            self.failures.append(failure)
            detail = error.get("internal_message") or ""
            self.connector.log.write(f"ERROR ({failure.kind}) {failure.message} {detail}")
            self.connector.log.write(str(error.get("stack_trace") or ""))
        elif trace.get("type") == "STREAM_STATUS":
            told = trace.get("stream_status") or {}
            name = told.get("stream_descriptor") or {}
            self.statuses[str(name.get("name"))] = str(told.get("status"))
            landing = self._by_name.get(self._key(name))
            # Where a state is shared, the records of all streams before it land together.
            if landing is not None and told.get("status") == "COMPLETE" and not landing.shared:
                landing.complete()

    @staticmethod
    def _key(named: dict[str, Any]) -> tuple[str | None, str | None]:
        return named.get("namespace"), named.get("name")
