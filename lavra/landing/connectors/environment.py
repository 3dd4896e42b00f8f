"""A connector's own Python environment, and the lock that it is made from.

The lock is the project's: ``airbyte/connectors/<package>-<version>.txt``, made by the first run
and kept in git, so that every machine runs the same connector.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lavra.environments import (
    PYTHON_VERSION,
    LockedEnvironment,
    exclusive,
    find_uv,
    folder_of,
    run_uv,
)
from lavra.errors import ConfigurationError

if TYPE_CHECKING:
    from lavra.settings import Settings

LOCKS = Path("airbyte") / "connectors"
EXTRA = "ingestion"


def connector_environment(settings: Settings, package: str, version: str) -> LockedEnvironment:
    """Return a connector's environment, made when it is missing: ten seconds or so.

    Raises:
        ConfigurationError: there is no lock and none can be written, no uv, or no Python.
        ProcessError: there is no such version, or the installation failed.
    """
    lock = settings.project / LOCKS / f"{package}-{version}.txt"
    if not lock.exists():
        _make_lock(lock, package, version)
    folder = folder_of(package, lock, settings.connector_environments_dir)
    environment = LockedEnvironment(package, lock, folder, EXTRA)
    environment.ensure()
    return environment


def program(environment: LockedEnvironment, package: str) -> Path:
    """Return a connector's program: ``source-faker`` of ``airbyte-source-faker``.

    Raises:
        ConfigurationError: the package has none.
    """
    found = environment.folder / "bin" / package.removeprefix("airbyte-")
    if package == "airbyte-cdk":
        found = found.with_name("source-declarative-manifest")
    if not found.exists():
        raise ConfigurationError(
            f"{package} has no program {found.name}.",
            remedy="Is it one of Airbyte's Python connectors?",
        )
    return found


def _make_lock(lock: Path, package: str, version: str) -> None:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(lock.with_name(f".{lock.name}.lock")):
            if lock.exists():
                return
            draft = lock.with_name(f".{lock.name}.draft")
            run_uv(
                package,
                [
                    find_uv(package, EXTRA), "pip", "compile", "--quiet", "--no-header",
                    "--universal", "--generate-hashes", "--no-annotate",
                    "--python-version", ".".join(map(str, PYTHON_VERSION)),
                    "--output-file", draft, "-",
                ],
                given=f"{package}=={version}\n",
            )  # fmt: skip
            said = f"# What {package} {version} runs with, locked by `lavra ingest run`. In git.\n"
            draft.write_text(said + draft.read_text("utf-8"), "utf-8")
            draft.replace(lock)
    except OSError as error:
        raise ConfigurationError(
            f"{package} {version} has no lock, and {lock} cannot be written: {error.strerror}.",
            remedy="Run it once where the project can be written, and commit the file.",
        ) from error
    finally:
        lock.with_name(f".{lock.name}.lock").unlink(missing_ok=True)
