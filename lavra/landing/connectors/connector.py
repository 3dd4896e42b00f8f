"""A connection's connector: its program, its configuration, what it says of itself."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lavra.errors import ConfigurationError, SourceError
from lavra.landing.connections import Connection
from lavra.landing.connectors.environment import connector_environment, program
from lavra.landing.connectors.process import ConnectorLog, ConnectorProcess, Mask
from lavra.landing.references import resolve, secrets_of, unset
from lavra.landing.yaml_file import load_yaml

if TYPE_CHECKING:
    from lavra.settings import Settings

CDK_VERSION = "7.39.1"
"""Of the airbyte-cdk that runs a manifest whose connection names no version."""

_MANIFEST_KEY = "__injected_declarative_manifest"


@dataclass(frozen=True)
class Connector:
    """A connector that is ready to run.

    Attributes:
        name: The connection's name.
        command: The program, without its verb.
        config: What it is configured with, references resolved.
        identity: A digest of the program; of its version, that is, or of its files.
        log: Where it logs.
        cwd: Where it runs; an empty folder of its own, when None.
    """

    name: str
    command: tuple[str, ...]
    config: dict[str, Any]
    identity: str
    log: ConnectorLog
    silence_s: float
    cwd: Path | None = None

    def start(self, verb: str, files: dict[str, Any] | None = None) -> ConnectorProcess:
        """Start it, with its configuration and further files by option."""
        contents = {} if verb == "spec" else {"--config": self.config}
        contents |= files or {}
        return ConnectorProcess(
            [*self.command, verb],
            {option: json.dumps(content).encode() for option, content in contents.items()},
            log=self.log,
            silence_s=self.silence_s,
            cwd=self.cwd,
        )


def open_connector(settings: Settings, connection: Connection) -> Connector:
    """Return a connection's connector, installed if need be.

    Raises:
        ConfigurationError: a reference is not set, or the connector cannot be installed as
            declared.
        ProcessError: its installation failed.
        SourceError: it does not say what it can be configured with.
    """
    source = connection.source
    if missing := unset(source.config):
        raise ConfigurationError(
            f"Connection {connection.name} refers to {', '.join(missing)}, not set here.",
            remedy="Set it in the environment, or give it a default: ${NAME:-default}.",
        )
    config = resolve(source.config)
    path = settings.state / "logs" / "connectors" / f"{connection.name}.log"
    log = ConnectorLog(path, Mask(secrets_of(source.config)))
    try:
        return _opened(settings, connection, config, log)
    except BaseException:
        log.close()
        raise


def _opened(
    settings: Settings, connection: Connection, config: dict[str, Any], log: ConnectorLog
) -> Connector:
    source, cwd, manifest = connection.source, None, None
    if source.command:
        command, cwd = tuple(source.command), settings.project
        identity = _digest([*source.command, *_contents(settings.project, source.command)])
    else:
        package = "airbyte-cdk" if source.manifest else source.package
        version = source.version or CDK_VERSION
        environment = connector_environment(settings, package, version)
        command = (str(program(environment, package)),)
        identity = _digest([environment.folder.name])
    if source.manifest:
        manifest = _manifest(settings.project / "airbyte" / source.manifest)
        identity = _digest([identity, json.dumps(manifest, sort_keys=True, default=str)])
        config = config | {_MANIFEST_KEY: json.loads(json.dumps(manifest, default=str))}
    connector = Connector(
        connection.name, command, config, identity, log, settings.connector_silence_s, cwd
    )
    # What is secret only the connector's own specification says for sure.
    specification = _specification(connector, manifest, settings.state / "connectors")
    log.mask = Mask([*secrets_of(source.config), *_declared_secrets(specification, config)])
    return connector


def discover(
    settings: Settings, connection: Connection, connector: Connector, *, afresh: bool = False
) -> list[dict[str, Any]]:
    """Return the streams that a connector has, as its catalog describes them.

    The answer is kept, since a connector takes seconds to give it.

    Raises:
        SourceError: it cannot reach its source, or does not answer.
    """
    # By the references, not by what they stand for: secrets leave no trace, not even a digest.
    key = _digest([connector.identity, json.dumps(connection.source.config, sort_keys=True)])
    kept = settings.state / "connectors" / f"{connection.name}.catalog.{key}.json"
    hours = settings.connector_discover_hours
    if not afresh and kept.exists() and time.time() - kept.stat().st_mtime < hours * 3600:
        return list(json.loads(kept.read_text("utf-8")))
    catalog = _answer(connector, "discover", "CATALOG")
    streams = [stream for stream in catalog.get("streams", ()) if "name" in stream]
    for old in kept.parent.glob(f"{connection.name}.catalog.*.json"):
        old.unlink(missing_ok=True)
    _keep(kept, streams)
    return streams


def messages(line: bytes) -> dict[str, Any] | None:
    """Return a line as a message of the protocol; None if it is something else."""
    if not line.lstrip().startswith(b"{"):
        return None
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and isinstance(message.get("type"), str) else None


def _specification(
    connector: Connector, manifest: dict[str, Any] | None, cache: Path
) -> dict[str, Any]:
    if manifest is not None:
        return dict((manifest.get("spec") or {}).get("connection_specification") or {})
    kept = cache / f"spec.{connector.identity}.json"
    if kept.exists():
        return dict(json.loads(kept.read_text("utf-8")))
    specification = _answer(connector, "spec", "SPEC").get("connectionSpecification") or {}
    _keep(kept, specification)
    return dict(specification)


def _answer(connector: Connector, verb: str, kind: str) -> dict[str, Any]:
    """Run a verb that answers with one message, and return that message's body."""
    answer: dict[str, Any] | None = None
    failure = ""
    with connector.start(verb) as process:
        for line in (line for lines in process.lines() for line in lines):
            message = messages(line)
            if message is None:
                connector.log.write(line.decode("utf-8", "replace"))
            elif message["type"] == kind:
                answer = message.get(kind.lower())
            elif message["type"] == "LOG":
                connector.log.write(str((message.get("log") or {}).get("message")))
            elif (message.get("trace") or {}).get("type") == "ERROR":
                failure = str((message["trace"].get("error") or {}).get("message"))
        code = process.wait()
    if not isinstance(answer, dict):
        said = failure or " | ".join(connector.log.last) or "nothing"
        raise SourceError(
            f"The connector of {connector.name} did not answer {verb} (it ended with {code}). "
            f"It said: {connector.log.mask(said)[:1000]}",
            remedy=f"Check the connection's `config`; its log is {connector.log.path}.",
        )
    return answer


def _declared_secrets(specification: Any, config: Any) -> Iterator[str]:
    """Yield the values of a configuration that its specification calls secret."""
    if not isinstance(specification, dict):
        return
    if specification.get("airbyte_secret") and isinstance(config, str | int):
        yield str(config)
    for branch in ("oneOf", "anyOf", "allOf"):
        for inner in specification.get(branch) or ():
            yield from _declared_secrets(inner, config)
    if isinstance(config, dict):
        for name, inner in (specification.get("properties") or {}).items():
            if name in config:
                yield from _declared_secrets(inner, config[name])
    if isinstance(config, list):
        for value in config:
            yield from _declared_secrets(specification.get("items"), value)


def _manifest(path: Path) -> dict[str, Any]:
    content = load_yaml(path).content
    if not isinstance(content, dict) or not content.get("streams"):
        raise ConfigurationError(
            f"{path} is no low-code manifest: it has no `streams`.",
            remedy="Airbyte's connector builder exports one.",
        )
    return content


def _contents(project: Path, command: tuple[str, ...]) -> Iterator[str]:
    for part in command:
        path = project / part
        if path.is_file() and path.stat().st_size < 1024 * 1024:
            yield hashlib.sha256(path.read_bytes()).hexdigest()


def _keep(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(content), "utf-8")
    draft.replace(path)


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
