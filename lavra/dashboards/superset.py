"""Superset beside the lake: its secrets, its bootstrap, the command of its server."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlencode, urlsplit

import psycopg

from lavra.access.signing import ISSUER, audience, signing_secret
from lavra.catalog import open_catalog
from lavra.catalog.catalog import SUPERSET_DATABASE
from lavra.catalog.locks import advisory_lock
from lavra.dashboards.bundle import BundleCompiler
from lavra.dashboards.environment import SupersetEnvironment, ensure_environment
from lavra.dashboards.gold import Gold, gold_of_models, gold_of_release
from lavra.dashboards.identity import database_uuid
from lavra.dashboards.lint import lint
from lavra.dashboards.roles import load_roles, single_sign_on
from lavra.environments import Report
from lavra.errors import CatalogError, ConfigurationError, DashboardError, ProcessError
from lavra.local.private_files import kept_secret, write_private
from lavra.releases.store import PRODUCTION, current_release

if TYPE_CHECKING:
    from lavra.catalog import Catalog
    from lavra.settings import Settings

__all__ = [
    "Credentials",
    "Outcome",
    "admin_credentials",
    "bootstrap",
    "compile_bundle",
    "ensure_environment",
    "server_command",
]

ADMIN = "admin"
THREADS = 8
BOOTSTRAP_TIMEOUT_S = 600
BOOTSTRAP_LOCK = 0x1A57A_0400
"""Key of the advisory lock under which Superset's metadata is changed."""


@dataclass(frozen=True)
class Outcome:
    """What a bootstrap did: seconds by step that was due, and what it pruned."""

    timings_s: dict[str, float] = field(default_factory=dict)
    pruned: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Credentials:
    """The administrator's login; the password was made for this lake and is shown to its owner."""

    username: str
    password: str = field(repr=False)

    def __iter__(self) -> Any:
        return iter((self.username, self.password))


def admin_credentials(settings: Settings) -> Credentials:
    """Return the administrator's login: the setting's, or one made at the first call and kept."""
    given = settings.superset_admin_password.get_secret_value()
    return Credentials(ADMIN, given or kept_secret(superset_home(settings) / "admin_password", 15))


def server_command(
    settings: Settings, environment: SupersetEnvironment | None = None
) -> tuple[list[str], dict[str, str]]:
    """Return the command that serves Superset, and the environment variables it needs.

    One worker process with threads: 290 MB. It answers ``/health`` when it is up.
    """
    environment = environment or ensure_environment(settings)
    command = [
        str(environment.python), "-m", "gunicorn",
        "--workers", "1", "--worker-class", "gthread", "--threads", str(THREADS),
        "--no-control-socket", "--timeout", "180",
        "--bind", f"{settings.superset_host}:{settings.superset_port}",
        "superset.app:create_app()",
    ]  # fmt: skip
    return command, _variables(settings, environment)


def compile_bundle(
    settings: Settings, gold: Gold, environment: str = PRODUCTION
) -> tuple[dict[str, str], dict[str, list[str]], dict[str, list[str]]]:
    """Return the project's dashboards as Superset imports them, and the uuids that they own.

    The third is the roles that may open each dashboard, by its uuid.

    Raises:
        DashboardError: something in them is wrong; the message names file and field of each.
    """
    assets, gold, problems = lint(settings.project, gold, settings.domains_left_out)
    if problems:
        raise DashboardError(
            "The dashboards are wrong:\n  " + "\n  ".join(problems),
            remedy="`lavra dashboards lint` checks them again, without a server.",
        )
    compiler = BundleCompiler(
        assets, gold, uri=_service_uri(settings, environment), locale=settings.locale,
        time_zone=settings.time_zone, environment=environment,
    )  # fmt: skip
    return compiler.files(), compiler.owned(), compiler.restricted()


def read_gold(settings: Settings, catalog: Catalog | None = None) -> Gold:
    """Return the Gold tables: as the models declare them, else as the last release has them."""
    if (settings.project / "sqlmesh_project").is_dir():
        try:
            return gold_of_models(settings)
        except ConfigurationError:  # SQLMesh is not installed here, the release knows too
            pass
    catalog = catalog or open_catalog(settings)
    with catalog.connect() as connection:
        release = current_release(connection)
    return gold_of_release(release) if release else Gold(())


def bootstrap(
    settings: Settings,
    environment: SupersetEnvironment | None = None,
    catalog: Catalog | None = None,
    *,
    force_import: bool = False,
    gold: Gold | None = None,
    shown: str = PRODUCTION,
    report: Report | None = None,
) -> Outcome:
    """Bring Superset's metadata to what the lake declares: schema, roles, admin, dashboards.

    What has not changed since the last time is skipped; when nothing has, nothing is started.

    Retry: safe at any time. Crash: the next call goes on. Concurrency: calls wait for each other
    by a lock in the metadata database's server.

    Args:
        settings: The lake.
        environment: Where Superset is installed; made when not given.
        catalog: Whose server holds the metadata database; opened when not given.
        force_import: Import the dashboards even if they did not change, over what the UI changed.
        gold: The Gold tables; read from the models or the last release when not given.
        shown: The SQLMesh environment that the dashboards show; each has objects of its own.
        report: Told what is going on.

    Raises:
        DashboardError: the dashboards are wrong, or Superset refused them.
        ProcessError: Superset's process failed; the message ends with its last lines.
    """
    catalog = catalog or open_catalog(settings)
    environment = environment or ensure_environment(settings, report)
    bundle, owned, opened_by = compile_bundle(settings, gold or read_gold(settings, catalog), shown)
    catalog.ensure_database(SUPERSET_DATABASE)
    task = base_task(settings, environment, shown)
    task |= {"files": bundle, "owned": owned, "opened_by": opened_by}
    installed = environment.folder.name
    assets = f"assets{task['suffix']}"
    task["digests"][assets] = _digest(installed, json.dumps([bundle, opened_by], sort_keys=True))
    if shown == PRODUCTION:
        task["roles"] = load_roles(settings.project).own
        task["digests"]["grants"] = _digest(installed, json.dumps([task["roles"], opened_by]))
    with advisory_lock(catalog, BOOTSTRAP_LOCK, timeout_s=BOOTSTRAP_TIMEOUT_S):
        if force_import:
            task["force"] = [assets]
        elif _is_current(catalog, task["digests"]):
            return Outcome()
        return run_task(settings, environment, "bootstrap.py", task, catalog=catalog)


def remove_dashboards(
    settings: Settings,
    shown: str,
    environment: SupersetEnvironment | None = None,
    catalog: Catalog | None = None,
) -> Outcome:
    """Remove what was imported for an environment other than production, and nothing else.

    Raises:
        ProcessError: Superset's process failed; the message ends with its last lines.
    """
    catalog = catalog or open_catalog(settings)
    environment = environment or ensure_environment(settings)
    catalog.ensure_database(SUPERSET_DATABASE)
    task = base_task(settings, environment, shown)
    with advisory_lock(catalog, BOOTSTRAP_LOCK, timeout_s=BOOTSTRAP_TIMEOUT_S):
        return run_task(settings, environment, "bootstrap.py", task, catalog=catalog)


def base_task(settings: Settings, environment: SupersetEnvironment, shown: str) -> dict[str, Any]:
    """Return what each task of the bootstrap holds; as it is, it removes an environment's."""
    credentials = admin_credentials(settings)
    config = (files("lavra.dashboards") / "superset_side" / "superset_config.py").read_text("utf-8")
    installed = environment.folder.name
    return {
        "admin": {
            "username": credentials.username,
            "password": credentials.password,
            "email": f"{ADMIN}@{settings.name}.lavra.invalid",
        },
        "digests": {
            "migrate": installed,
            "roles": _digest(installed, config),
            "admin": _digest(credentials.username, credentials.password),
        },
        "force": [],
        "files": None,
        "owned": {"dashboards": [], "charts": [], "datasets": []},
        "database": database_uuid(shown),
        # Short, whatever the environment's name is: it is part of a key.
        "suffix": "" if shown == PRODUCTION else f" {_digest(shown)[:16]}",
        "roles": None,
        "opened_by": {},
    }


def run_task(
    settings: Settings,
    environment: SupersetEnvironment,
    program: str,
    task: dict[str, Any],
    *,
    catalog: Catalog,
) -> Outcome:
    """Run a program that changes Superset's metadata.

    Raises:
        DashboardError: the program says what is wrong with the dashboards.
        ProcessError: it failed otherwise.
    """
    outcome = run_program(settings, environment, program, task, catalog=catalog)
    if problems := outcome.get("problems"):
        raise DashboardError(
            "Superset refuses the dashboards:\n  " + "\n  ".join(problems),
            remedy=f"The whole log is {superset_home(settings) / 'bootstrap.log'}.",
        )
    return Outcome(outcome["timings_s"], outcome["pruned"])


def run_program(
    settings: Settings,
    environment: SupersetEnvironment,
    program: str,
    task: dict[str, Any],
    *,
    catalog: Catalog,
) -> dict[str, Any]:
    """Run one of ``superset_side``'s programs in Superset's Python and return its outcome.

    Raises:
        ProcessError: it ended without one; the message ends with its last lines.
    """
    script = Path(str(files("lavra.dashboards") / "superset_side" / program))
    log_file = superset_home(settings) / f"{script.stem}.log"
    with tempfile.TemporaryDirectory(prefix="lavra-superset-") as folder:
        outcome_file = Path(folder) / "outcome.json"
        task_file = Path(folder) / "task.json"
        write_private(task_file, json.dumps(task | {"outcome_file": str(outcome_file)}))
        with log_file.open("wb") as log:
            status = _run(
                [str(environment.python), str(script), str(task_file)],
                os.environ | _variables(settings, environment, catalog) | _HASTE,
                folder,
                log,
            )
        if not outcome_file.exists():
            tail = log_file.read_text("utf-8", errors="replace")[-2000:]
            raise ProcessError(
                f"Superset's {script.stem} ended with status {status}:\n{tail}",
                remedy=f"The whole log is {log_file}.",
            )
        outcome: dict[str, Any] = json.loads(outcome_file.read_text("utf-8"))
    return outcome


def _run(command: list[str], variables: dict[str, str], folder: str, log: BinaryIO) -> int:
    """Run a program to its end, in a folder, its output in a log; return its exit status."""
    return subprocess.run(
        command, env=variables, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        timeout=BOOTSTRAP_TIMEOUT_S, check=False,
    ).returncode  # fmt: skip


_HASTE = {"PGOPTIONS": "-c synchronous_commit=off"}
"""Of a thousand small commits none waits for the disk. A crash of the database loses the last of
them, in order, and so a step's note before its work: the next run does that step again."""


def superset_home(settings: Settings) -> Path:
    """Return the folder of Superset's secrets and logs, private to its owner."""
    folder = settings.state / "superset"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _variables(
    settings: Settings, environment: SupersetEnvironment, catalog: Catalog | None = None
) -> dict[str, str]:
    """Write the one file that Superset's configuration reads, and say where it is."""
    catalog = catalog or open_catalog(settings)
    home = superset_home(settings)
    override = settings.project / "superset" / "superset_config.py"
    runtime = {
        "secret_key": settings.superset_secret_key.get_secret_value()
        or kept_secret(home / "secret_key", 42),
        "signing": {
            "issuer": ISSUER,
            "audience": audience(settings),
            "secret": signing_secret(settings, make=True),
        },
        "metadata_uri": catalog.to_sqlalchemy(SUPERSET_DATABASE),
        "title": settings.name,
        "locale": settings.locale,
        "log_level": "warning" if settings.log_level == "info" else settings.log_level,
        "project_config": str(override) if override.is_file() else None,
        "single_sign_on": single_sign_on(settings, ADMIN),
    }
    write_private(home / "runtime.json", json.dumps(runtime))
    own = Path(str(files("lavra.dashboards") / "superset_side" / "superset_config.py"))
    return {
        **environment.variables(),
        "SUPERSET_CONFIG_PATH": str(own),
        "SUPERSET_HOME": str(home),
        "LAVRA_SUPERSET_RUNTIME": str(home / "runtime.json"),
        "FLASK_APP": "superset.app:create_app()",
    }


def _service_uri(settings: Settings, environment: str) -> str:
    url = urlsplit(settings.resolved_service_url)
    tls = url.scheme == "https"
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    port = url.port or (443 if tls else 80)
    options = {"https": "true" if tls else "", "auth": settings.superset_service_auth}
    query = urlencode({name: value for name, value in options.items() if value})
    return f"lavra://{host}:{port}/{environment}{'?' if query else ''}{query}"


def _is_current(catalog: Catalog, digests: dict[str, str]) -> bool:
    """Whether the metadata database notes exactly these digests: then there is nothing to do."""
    try:
        with psycopg.connect(catalog.to_libpq(), dbname=SUPERSET_DATABASE) as connection:
            rows = connection.execute("select step, digest from public.lavra_bootstrap").fetchall()
    except psycopg.errors.UndefinedTable:  # nothing was ever done
        return False
    except psycopg.Error as error:
        raise CatalogError(f"Superset's metadata database cannot be read: {error}") from error
    return digests.items() <= dict(rows).items()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
