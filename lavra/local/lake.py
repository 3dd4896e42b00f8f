"""The steps of `lavra up`: which there are, what each needs, and what each runs.

A first start, and one after the sources or models changed, serves when the plan has succeeded. A
later start serves the current release at once, then lands what is new and runs the models; the
person is told that this goes on, and how it ended.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from lavra.catalog import Catalog, open_catalog
from lavra.catalog.local_postgres import leave_all
from lavra.environments import own_program
from lavra.errors import ConfigurationError, ProcessError, ReleaseError
from lavra.local.fingerprint import fingerprint, is_applied, mark_applied
from lavra.local.steps import Step, StepRunner
from lavra.local.supervisor import Server, Supervisor
from lavra.releases.rule import list_blocked
from lavra.releases.store import PRODUCTION, current_release

if TYPE_CHECKING:
    from lavra.releases.store import Release
    from lavra.settings import Settings

SERVICE_TIMEOUT_S = 120.0
SUPERSET_TIMEOUT_S = 240.0
RELEASE_TIMEOUT_S = 120.0
"""How long a start waits for the service to serve what the models released."""

_WORKER = [sys.executable, "-m", "lavra", "worker"]


@dataclass(frozen=True)
class UpOptions:
    """What a person chose at `lavra up`.

    Attributes:
        superset: Whether Superset runs.
        domains: The shipped workloads whose sources run.
        realtime: Whether streams are followed.
        generators: Of these, the workloads whose generator runs.
        rate: Events a second that each generator records.
    """

    superset: bool = True
    domains: tuple[str, ...] = ()
    realtime: bool = False
    generators: tuple[str, ...] = ()
    rate: float = 0.0


class Lake:
    """All of one lake's steps, on one supervisor.

    Args:
        settings: Of the project, ports already decided.
        options: What a person chose.
        supervisor: Runs and keeps the programs.
        runner: Runs the steps.
    """

    def __init__(
        self, settings: Settings, options: UpOptions, supervisor: Supervisor, runner: StepRunner
    ) -> None:
        self.settings, self.options = settings, options
        self.supervisor, self.runner = supervisor, runner
        self._digest = fingerprint(settings, options.domains)
        self._catalog: Catalog | None = None
        self._has_release = False
        self.service = self._service()
        self.superset: Server | None = None
        self.refreshes = False
        """Whether the lake serves first and refreshes afterwards; known once the catalog runs."""

    def add_first_steps(self) -> None:
        """Add what depends on nothing."""
        steps = [self._step("catalog", "Start the catalog", self._start_catalog, logged=False)]
        for domain in self.options.domains:
            run = self._source_of(domain)
            title = f"Start the source database of {domain}"
            steps.append(self._step(f"source-{domain}", title, run, logged=False))
        if self.options.superset:
            title = "Install Superset's environment"
            run = self._task("superset-environment")
            steps.append(self._step("superset-environment", title, run))
        self.runner.add(*steps)

    def add_other_steps(self) -> None:
        """Add the rest, whose order depends on what the catalog holds; it runs by now."""
        self.refreshes = self._has_release and is_applied(self.settings, self._digest)
        sources = tuple(f"source-{domain}" for domain in self.options.domains)
        self.runner.add(
            self._step("service-start", "Start the query service", self._launch_service, "catalog")
        )
        if self.options.superset:
            self.runner.add(*self._superset_steps())
        if self.options.realtime:
            self.runner.add(*self._stream_steps("catalog", *sources))
            sources = (*sources, "streams")
        if self.refreshes:
            self.runner.add(self._serving_step("service-start"))
            first = ("superset",) if self.options.superset else ("service",)
            self.runner.add(*self._data_steps(*sources, "service", *first))
        else:
            self.runner.add(*self._data_steps("catalog", *sources))
            self.runner.add(self._serving_step("service-start", "models"))
        if self.options.realtime:
            title = "Keep landing, and running the models"
            run = self._launch("recurring", [*_WORKER, "--only", "ingest", "--only", "models"])
            self.runner.add(self._step("recurring", title, run, "models"))

    def steps_until_ready(self) -> tuple[str, ...]:
        """Return the names of the steps after which a person can start working."""
        superset = ("superset",) if self.options.superset else ()
        streams = ("worker", *map(_generator, self.options.generators))
        return ("service", *superset, *(streams if self.options.realtime else ()))

    def keep_catalog_running(self) -> None:
        """Start our own catalog again if it was killed."""
        server = self._catalog.server if self._catalog else None
        if server is not None and not server.is_running:
            self.supervisor.notice("The catalog had stopped; it is started again.")
            server.leave()
            server.start()

    def close(self) -> None:
        """Give up the catalog and the sources; servers that nobody else uses stop."""
        leave_all()

    def describe(self) -> dict[str, Any]:
        """Return what to show when all is ready: URLs, login, a query that works, the release.

        ``awaits`` is the newest release, if the service is still loading it.
        """
        awaits = self.awaited_release()
        answer = self._get("/v1/snapshot").json()
        tables = self._get("/v1/tables").json()["tables"]
        ready = {
            "type": "ready",
            "service_url": self.settings.resolved_service_url,
            "superset_url": self.supervisor.state.superset_url,
            "snapshot": answer,
            "tables": len(tables),
            "sample": None,
            "login": None,
            "refreshes": self.refreshes,
            "awaits": awaits,
        }
        if tables:
            table = min(tables, key=lambda t: (t["row_count"] == 0, t["schema"], t["name"]))
            ready["sample"] = f"select * from {table['schema']}.{table['name']} limit 3"  # noqa: S608 - shown only
        if self.options.superset:
            from lavra.dashboards.superset import admin_credentials  # noqa: PLC0415

            ready["login"] = list(admin_credentials(self.settings))
        return ready

    def awaited_release(self) -> int | None:
        """Return the newest release while the service serves an older one; None otherwise."""
        newest = self._release()
        served = str(self._get("/v1/snapshot").json()["id"])  # "<release>.<commit>" when it is live
        if newest is None or int(served.partition(".")[0]) >= newest.id:
            return None
        return newest.id

    def wait_for_release(self) -> bool:
        """Wait until the service serves the newest release; return whether it does."""

        def is_served() -> bool:
            try:
                return self.awaited_release() is None
            except ProcessError:  # it died, and is being started again
                return False

        return self.supervisor.wait_until(is_served, RELEASE_TIMEOUT_S)

    # What each step does. Each returns a remark for the person.

    def _start_catalog(self) -> str:
        self._catalog = open_catalog(self.settings)
        release = self._release()
        self._has_release = release is not None
        return f"release {release.id}" if release else "new"

    def _source_of(self, domain: str) -> Callable[[], str]:
        try:
            workload = importlib.import_module(f"lavra.workloads.{domain}.source")
        except ModuleNotFoundError as error:
            folder = Path(__file__).parent.parent / "workloads"
            shipped = ", ".join(sorted(path.parent.name for path in folder.glob("*/source.py")))
            raise ConfigurationError(
                f"There is no shipped domain {domain!r}.",
                remedy=f"Choose one of: {shipped}. `domains` in lavra.toml names what runs.",
            ) from error

        def start() -> str:
            workload.ensure_source(self.settings)
            return "its data is kept from start to start"

        return start

    def _land(self) -> str:
        if not any((self.settings.project / "airbyte" / "connections").glob("*.y*ml")):
            return "no connections"
        command = [sys.executable, "-m", "lavra", "ingest", "run", "--all"]
        self.supervisor.run_program("landing", command, self._environment())
        return ""

    def _transform(self) -> str:
        project = self.settings.project / "sqlmesh_project"
        if not project.is_dir():
            raise ConfigurationError(
                f"There is no {project}, so there is nothing to serve.",
                remedy="`lavra init DIR` writes a project with models.",
            )
        plan = ["plan", "--auto-apply", "--no-prompts"]
        action = ["run"] if self.refreshes else plan
        command = [own_program("sqlmesh"), "-p", str(project), *action]
        self.supervisor.run_program("models", command, self._environment())
        mark_applied(self.settings, self._digest)
        remark = self._released()
        if self.refreshes:  # the service runs by now
            self.wait_for_release()
        return remark

    def _catalog_open(self) -> Catalog:
        if self._catalog is None:
            msg = "the catalog is not open"
            raise RuntimeError(msg)
        return self._catalog

    def _release(self) -> Release | None:
        with self._catalog_open().connect() as connection:
            return current_release(connection, PRODUCTION)

    def _released(self) -> str:
        release = self._release()
        if release is None:
            log = self.supervisor.log_of("models")
            raise ReleaseError(
                f"The models ran, but nothing was released; {log} names what blocks.",
                remedy="Repair it and run `sqlmesh -p sqlmesh_project plan`.",
            )
        with self._catalog_open().connect() as connection:
            blocked = list_blocked(connection, PRODUCTION)
        stays = "; ".join(f"{entry['model']}: {entry['reason']}" for entry in blocked)
        return f"release {release.id}" + (f" stays: {stays}" if stays else "")

    def _launch_service(self) -> str:
        self.supervisor.launch(self.service)
        return ""

    def _serve(self) -> str:
        self.supervisor.wait_until_ready(self.service, SERVICE_TIMEOUT_S)
        # It has answered from the release before since it was launched.
        self.wait_for_release()
        return self.settings.resolved_service_url

    def _task(self, name: str) -> Callable[[], str]:
        def run() -> str:
            command = [sys.executable, "-m", "lavra.local.task", name]
            self.supervisor.run_program(name, command, self._environment())
            return ""

        return run

    def _start_superset(self) -> str:
        from lavra.dashboards.superset import server_command  # noqa: PLC0415

        url = f"http://{self.settings.superset_host}:{self.settings.superset_port}"
        command, environment = server_command(self.settings)
        self.superset = Server(
            "superset", "Superset", command, {**self._environment(), **environment},
            lambda: _answers(f"{url}/health"),
        )  # fmt: skip
        self.supervisor.launch(self.superset)
        self.supervisor.wait_until_ready(self.superset, SUPERSET_TIMEOUT_S)
        return url

    # How steps are put together.

    def _step(
        self, name: str, title: str, run: Callable[[], str], *needs: str, logged: bool = True
    ) -> Step:
        return Step(name, title, run, needs, self.supervisor.log_of(name) if logged else None)

    def _serving_step(self, *needs: str) -> Step:
        return self._step("service", "Load the release in the service", self._serve, *needs)

    def _data_steps(self, *needs: str) -> tuple[Step, ...]:
        title = "Run the models" if self.refreshes else "Plan and run the models"
        return (
            self._step("landing", "Land the sources", self._land, *needs),
            self._step("models", title, self._transform, "landing"),
        )

    def _stream_steps(self, *needs: str) -> tuple[Step, ...]:
        """Catch up with the sources first: the models of a first start need all of them."""
        streams = [*_WORKER, "--only", "streams"]

        def catch_up() -> str:
            self.supervisor.run_program("streams", [*streams, "--once"], self._environment())
            return ""

        steps = [
            self._step("streams", "Land what the streams' sources hold", catch_up, *needs),
            self._step("worker", "Follow the streams", self._launch("worker", streams), "streams"),
        ]
        for name in self.options.generators:
            command = [sys.executable, "-m", f"lavra.workloads.{name}"]
            title = f"Start the generator of {name}"
            run = self._launch(_generator(name), command)
            steps.append(self._step(_generator(name), title, run, "worker"))
        return tuple(steps)

    def _launch(self, name: str, command: list[str]) -> Callable[[], str]:
        def run() -> str:
            title = name.replace("-", " ").capitalize()
            more = {
                **self._environment(),
                "LAVRA_GENERATOR_RATE": str(self.options.rate),
                "LAVRA_WORKER_METRICS_PORT": "0",
            }
            self.supervisor.launch(Server(name, title, command, more, lambda: True))
            return ""

        return run

    def _superset_steps(self) -> tuple[Step, ...]:
        bootstrap = self._task("superset-bootstrap")
        return (
            self._step(
                "superset-bootstrap", "Prepare Superset and import the dashboards", bootstrap,
                "superset-environment", "catalog",
            ),
            self._step("superset", "Start Superset", self._start_superset, "superset-bootstrap"),
        )  # fmt: skip

    def _service(self) -> Server:
        url = self.settings.resolved_service_url
        return Server(
            "service", "The query service", [sys.executable, "-m", "lavra", "serve"],
            self._environment(), lambda: _answers(f"{url}/readyz"),
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        """The settings that were given as options, for the programs we start."""
        return {
            "LAVRA_PROJECT": str(self.settings.project),
            "LAVRA_STATE_DIR": str(self.settings.state),
            "LAVRA_SERVICE_PORT": str(self.settings.service_port),
            "LAVRA_SUPERSET_PORT": str(self.settings.superset_port),
            "LAVRA_DOMAINS": json.dumps(self.options.domains),
            # What runs under one's own name on one's own machine asks without a key.
            "LAVRA_SERVICE_ALLOW_LOOPBACK": "true",
        }

    def _get(self, path: str) -> httpx.Response:
        try:
            url = f"{self.settings.resolved_service_url}{path}"
            headers = self.settings.service_headers
            answer = httpx.get(url, timeout=60, trust_env=False, headers=headers)
            return answer.raise_for_status()
        except httpx.HTTPError as error:
            raise ProcessError(f"The query service does not answer {path}: {error}") from error


def _generator(workload: str) -> str:
    return f"generator-{workload}"


def _answers(url: str) -> bool:
    try:
        # No proxy from the environment: this is a program on this machine.
        return httpx.get(url, timeout=2, trust_env=False).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
