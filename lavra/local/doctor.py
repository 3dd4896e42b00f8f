"""`lavra doctor`: what this machine lacks for this project, and what to do about it."""

from __future__ import annotations

import difflib
import importlib.util
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING, Literal
from zoneinfo import available_timezones

from lavra.environments import own_program
from lavra.errors import LavraError, ProcessError
from lavra.local.postgres_servers import server_pid
from lavra.local.processes import check_port_free, marked_processes
from lavra.local.run_file import RunFile
from lavra.settings import PROJECT_FILE, Settings, load_settings

if TYPE_CHECKING:
    from pathlib import Path

Level = Literal["ok", "warn", "fail"]

PYTHONS = ((3, 11), (3, 14))
"""First version that works, first that does not."""

LEAST_DISK_BYTES, GOOD_DISK_BYTES = 1 << 30, 5 << 30

_NO_SETTINGS = {"LAVRA_PROJECT"}
_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+).*?(?:extra == ['\"]([\w-]+)['\"])?$")


@dataclass(frozen=True)
class Check:
    """One line of the report; ``remedy`` says what to do when ``level`` is not ``ok``."""

    name: str
    level: Level
    detail: str
    remedy: str = ""


def run_checks(project: Path | None = None) -> Iterator[Check]:
    """Check the machine, then the project at ``project`` (default: found from here).

    Nothing is left behind: a catalog of our own that does not run is started and stopped again,
    a probe file is deleted.
    """
    yield _python()
    yield from _packages()
    yield _time_zones()
    yield from _variables(dict(os.environ))
    try:
        settings = load_settings(project)
    except LavraError as error:
        yield Check("settings", "fail", error.message, error.remedy or "")
        return
    yield Check("settings", "ok", f"{settings.project / PROJECT_FILE}")
    yield from _layout(settings)
    for name, check in (
        ("disk space", _disk), ("storage", _storage), ("duckdb", _duckdb), ("catalog", _catalog),
    ):  # fmt: skip
        yield _guarded(name, lambda check=check: check(settings))  # type: ignore[misc]
    yield from _ports(settings)
    yield _leftovers(settings)
    yield _superset(settings)


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except LavraError as error:
        return Check(name, "fail", error.message, error.remedy or "")
    except Exception as error:  # noqa: BLE001 - a doctor reports what it meets, and goes on
        return Check(name, "fail", f"{type(error).__name__}: {error}")


def _python() -> Check:
    first, stop = PYTHONS
    shown = f"{sys.version.split()[0]} at {sys.executable}"
    if first <= sys.version_info[:2] < stop:
        return Check("python", "ok", shown)
    wanted = f"Use Python {first[0]}.{first[1]} up to, but not including, {stop[0]}.{stop[1]}."
    return Check("python", "fail", shown, wanted)


def _packages() -> Iterator[Check]:
    missing: dict[str, list[str]] = {}
    groups: set[str] = set()
    for requirement in requires("lavra") or []:
        found = _REQUIREMENT.match(requirement.strip())
        if found is None or found[1] == "lavra":
            continue
        group = found[2] or "core"
        if group in {"all", "bigquery"}:
            continue  # the other groups together; what its own gateway asks for
        groups.add(group)
        try:
            version(found[1])
        except PackageNotFoundError:
            missing.setdefault(group, []).append(found[1])
    for group in sorted(groups, key=lambda name: (name != "core", name)):
        name = "packages" if group == "core" else f"packages of lavra[{group}]"
        if group not in missing:
            yield Check(name, "ok", "all installed")
            continue
        level: Level = "warn" if group == "ingestion" else "fail"
        names = ", ".join(missing[group])
        yield Check(name, level, f"missing: {names}", "Install them: pip install 'lavra[all]'.")
    if importlib.util.find_spec("sqlmesh"):
        try:
            own_program("sqlmesh")
        except ProcessError:
            yield Check("sqlmesh", "fail", "its command is not found", "Reinstall sqlmesh.")


def _time_zones() -> Check:
    count = len(available_timezones())
    if count:
        return Check("time zones", "ok", f"{count} known")
    return Check("time zones", "fail", "none known", "Install tzdata: pip install tzdata.")


def _variables(environment: dict[str, str]) -> Iterator[Check]:
    known = {f"LAVRA_{name.upper()}" for name in Settings.model_fields} | _NO_SETTINGS
    unknown = sorted(n for n in environment if n.startswith("LAVRA_") and n not in known)
    for name in unknown:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        hint = f"Did you mean {close[0]}? " if close else ""
        yield Check(
            "environment", "warn", f"{name} is no setting and has no effect",
            f"{hint}docs/settings.md lists them all.",
        )  # fmt: skip
    if not unknown:
        yield Check("environment", "ok", "every LAVRA_ variable is a setting")


def _layout(settings: Settings) -> Iterator[Check]:
    root = settings.project
    if not list((root / "airbyte" / "connections").glob("*.y*ml")):
        yield Check(
            "sources", "warn", "no airbyte/connections/*.yaml",
            "Add a connection; docs/landing.md has examples.",
        )  # fmt: skip
    if not (root / "sqlmesh_project" / "config.py").is_file():
        yield Check(
            "models", "fail", "no sqlmesh_project/config.py", "`lavra init DIR` writes a project."
        )
    if not (root / "superset" / "assets").is_dir():
        yield Check(
            "dashboards", "warn", "no superset/assets",
            "Without dashboards, start with `lavra up --no-superset`.",
        )  # fmt: skip
    for name in ("airbyte", "superset"):
        if (root / name / "__init__.py").exists():
            yield Check(
                "layout", "fail", f"{name}/__init__.py hides the installed package {name}",
                "Delete that file.",
            )  # fmt: skip


def _disk(settings: Settings) -> Check:
    folder = settings.state
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    shown = f"{free / (1 << 30):.1f} GiB free at {folder}"
    if free >= GOOD_DISK_BYTES:
        return Check("disk space", "ok", shown)
    level: Level = "warn" if free >= LEAST_DISK_BYTES else "fail"
    remedy = "Superset's environment takes 0.8 GiB. Make room, or set LAVRA_STATE_DIR elsewhere."
    return Check("disk space", level, shown, remedy)


def _storage(settings: Settings) -> Check:
    from lavra.storage import open_storage  # noqa: PLC0415

    storage = open_storage(settings)
    path = f"_doctor/{uuid.uuid4().hex}"
    content = path.encode()
    with storage.publish(path) as stream:
        stream.write(content)
    try:
        with storage.open_input(path) as stream:
            if stream.read() != content:
                return Check("storage", "fail", f"{storage.url} gives back other bytes")
    finally:
        storage.delete([path])
    return Check("storage", "ok", f"{storage.url} can be written and read")


def _duckdb(settings: Settings) -> Check:
    from lavra.ducklake import connect_duckdb  # noqa: PLC0415
    from lavra.storage import open_storage  # noqa: PLC0415

    connection = connect_duckdb(open_storage(settings))
    try:
        loaded = connection.execute(
            "select extension_name from duckdb_extensions() where loaded order by 1"
        ).fetchall()
    finally:
        connection.close()
    names = [name for (name,) in loaded]
    missing = {"ducklake", "postgres_scanner", "httpfs"} - set(names)
    if missing:
        return Check(
            "duckdb", "fail", f"extensions not loaded: {', '.join(sorted(missing))}",
            "Reinstall duckdb and its duckdb-extension-* packages at one version.",
        )  # fmt: skip
    return Check("duckdb", "ok", f"{version('duckdb')} with ducklake, postgres_scanner, httpfs")


def _catalog(settings: Settings) -> Check:
    from lavra.catalog import open_catalog  # noqa: PLC0415

    embedded = settings.catalog_is_embedded
    ran = embedded and server_pid(settings.state / "postgres") is not None
    catalog = open_catalog(settings)
    try:
        with catalog.connect() as connection:
            row = connection.execute(
                "select max(number), current_setting('server_version') from lavra.schema_migration"
            ).fetchone()
    finally:
        if catalog.server:
            catalog.server.leave()
    number, server = row or (None, "")
    where = "our own Postgres" if embedded else "Postgres"
    how = "" if ran or not embedded else ", started and stopped for this check"
    return Check("catalog", "ok", f"{where} {server}, tables at version {number}{how}")


def _ports(settings: Settings) -> Iterator[Check]:
    running = RunFile(settings.state).running()
    held = {running.service_url, running.superset_url} if running else set()
    ports = (
        ("service port", "the query service", settings.service_host, settings.service_port,
         "--service-port"),
        ("superset port", "Superset", settings.superset_host, settings.superset_port,
         "--superset-port"),
    )  # fmt: skip
    for name, what, host, port, option in ports:
        if f"http://{host}:{port}" in held:
            yield Check(name, "ok", f"{port} is used by the running `lavra up`")
            continue
        try:
            check_port_free(host, port, what, option)
        except ProcessError as error:
            yield Check(name, "fail", error.message, error.remedy or "")
        else:
            yield Check(name, "ok", f"{port} is free")


def _leftovers(settings: Settings) -> Check:
    if RunFile(settings.state).is_held():
        return Check("processes", "ok", "`lavra up` runs")
    left = marked_processes(settings.state)
    if not left:
        return Check("processes", "ok", "nothing runs")
    pids = ", ".join(str(process.pid) for process in left)
    return Check(
        "processes", "warn", f"left by a killed `lavra up`: {pids}", "`lavra down` ends them."
    )


def _superset(settings: Settings) -> Check:
    from lavra.dashboards.environment import locked_environment  # noqa: PLC0415

    environment = locked_environment(settings)
    if environment.is_complete:
        return Check("superset", "ok", f"installed in {environment.folder}")
    if environment.folder.exists():
        return Check("superset", "ok", "half installed; `lavra up` makes it anew")
    return Check("superset", "ok", "not installed yet; `lavra up` does it")
