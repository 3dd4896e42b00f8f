"""A lake with this repository's dashboards over made-up Gold tables, and a real Superset."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from lavra.dashboards import superset
from lavra.dashboards.client import SupersetClient
from lavra.dashboards.environment import SupersetEnvironment
from lavra.settings import Settings, load_settings
from tests.conftest import free_port
from tests.lavra.dashboards.superset_process import SupersetProcess
from tests.query_service.conftest import OPEN_POLICY, Lake, close_lake, make_lake, serving

REPOSITORY = Path(__file__).parents[3]

_DAYS = "date '2025-01-01' + (i % 365)::int"
GOLD = {
    "fct_orders": f"""
        select i as order_id, i % 97 as customer_id,
            (({_DAYS})::timestamp + to_seconds(i % 86400))::timestamp as ordered_at,
            ({_DAYS})::date as order_date, date_trunc('month', {_DAYS})::date as order_month,
            ['placed', 'paid', 'shipped', 'delivered', 'returned', 'cancelled'][1 + i % 6]
                as status,
            ['web', 'app', 'marketplace', 'store'][1 + i % 4] as channel,
            ['SP', 'RJ', 'MG', 'BA', 'PR', 'RS'][1 + i % 6] as state,
            ['credit_card', 'pix', 'boleto'][1 + i % 3] as payment_method,
            1 + i % 4 as item_count, (20 + i % 300)::decimal(18, 2) as gross_revenue,
            0::decimal(18, 2) as discount, 10::decimal(18, 2) as shipping,
            (20 + i % 300)::decimal(18, 2) as net_revenue,
            null::timestamp as paid_at, 2::int as days_to_pay, i % 9 = 0 as is_paid_late
        from range(3000) t(i)""",
    "daily_category_sales": f"""
        select ({_DAYS})::date as order_date,
            ['Beleza', 'Informática', 'Livros', 'Móveis', 'Pet'][1 + i % 5] as category,
            3::bigint as order_count, 4::bigint as quantity,
            (100 + i % 90)::decimal(18, 2) as revenue
        from range(1500) t(i)""",
    "daily_seller_sales": f"""
        select ({_DAYS})::date as order_date, 's' || i % 20 as seller_id,
            'Vendedor ' || i % 20 as seller_name, ['SP', 'RJ'][1 + i % 2] as seller_state,
            2::bigint as order_count, (50 + i % 70)::decimal(18, 2) as revenue
        from range(1500) t(i)""",
    "customer_retention": """
        select (date '2025-01-01' + to_months(c::int))::date as cohort_month,
            m::int as month_number,
            100::bigint as cohort_size, (60 - 4 * m)::bigint as active_customers,
            (0.6 - 0.04 * m)::decimal(6, 4) as retention_rate
        from range(11) a(c), range(11) b(m) where c + m < 12""",
    "customer_segments": """
        select i as customer_id, 5::int as recency_days, 3::bigint as frequency,
            100::decimal(18, 2) as monetary,
            ['champion', 'loyal', 'promising', 'new', 'at_risk', 'dormant'][1 + i % 6] as segment
        from range(600) t(i)""",
}

UI_TABLE = "readings"
"""``gold_test.readings``: a column of each type, for what Superset's UI can ask."""
READINGS = """
    select i::int as id, (i % 5)::tinyint as tiny, (i * 10000000000)::bigint as big,
        case when i % 11 > 0 then i * 0.25 end::double as ratio, (i % 8 / 4)::float as quarter,
        case when i % 13 > 0 then i % 50 + 0.05 end::decimal(18, 2) as amount,
        ['São Paulo', 'O''Brien', '100%', 'a_b', '', null, 'Recife', 'recife', 'x:y']
            [1 + i % 9] as place,
        ['low', 'mid', 'high'][1 + (i * 7) % 3] as level,
        case when i % 7 > 0 then i % 2 = 0 end as flag,
        ts::date as day, ts, (ts + interval 3 hours) at time zone 'UTC' as zoned,
        epoch(ts)::bigint as seconds, epoch_ms(ts)::bigint as millis,
        strftime(ts, '%Y-%m-%d') as day_text, current_date - (i % 400)::int as recent
    from (select i, case when i < 20 then timestamp '1968-02-20' else timestamp '2023-01-01' end
        + to_days((i % 729)::int) + to_seconds(i * 7919 % 86400) + to_milliseconds(i % 1000) as ts
        from range(1000) r(i))"""

AUDITORS = """
  auditor:
    given_to: {roles: ["superset:Admin", "superset:Auditor"]}
    grants: [{tables: [lavra.access_log]}]
"""
AUDITS = ("not_null", "unique_grain")
FAILED_AUDIT = "orders_are_recent"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give time to whichever test is the first and starts Superset, on a busy machine."""
    for item in items:
        if "running_superset" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.timeout(1200))


ORDERS_THROUGH = dt.datetime(2025, 12, 20, 12, tzinfo=dt.UTC)


def note_audits(lake: Lake, release: int) -> None:
    """Write down that the audits of a release's tables passed, and that one of orders failed.

    And that the orders go to a day in December, which is therefore no month to compare.
    """
    passed = [{"name": name, "passed": True, "blocking": True} for name in AUDITS]
    failed = [{"name": FAILED_AUDIT, "passed": False, "blocking": False}]
    with lake.catalog.connect() as connection:
        for condition, audits in (("<>", passed), ("=", passed + failed)):
            connection.execute(
                "update lavra.release_table set audits = %s where release_id = %s "
                f"and table_name {condition} 'fct_orders'",
                (json.dumps(audits), release),
            )
        connection.execute(
            "update lavra.release_table set data_through = '2025-12-20 12:00+00' "
            "where release_id = %s and table_name = 'fct_orders'",
            (release,),
        )


@dataclass(frozen=True)
class RunningSuperset:
    """A Superset that serves this repository's dashboards."""

    url: str
    settings: Settings
    environment: SupersetEnvironment
    lake: Lake
    first: superset.Outcome
    process: SupersetProcess

    @property
    def admin(self) -> tuple[str, str]:
        """The administrator's name and password."""
        credentials = superset.admin_credentials(self.settings)
        return credentials.username, credentials.password

    def client(self) -> SupersetClient:
        """A session as the administrator."""
        return SupersetClient(self.url, superset.admin_credentials(self.settings))

    def released(self) -> str:
        """The release that the service answers from."""
        url = f"{self.settings.service_url}/v1/snapshot"
        answer = httpx.get(url, timeout=60, trust_env=False)
        found: str = answer.json()["id"]
        return found

    def serves(self, environment: str) -> bool:
        """Whether the service has loaded a release of an environment."""
        url = f"{self.settings.service_url}/v1/snapshot"
        answer = httpx.get(url, params={"environment": environment}, timeout=60, trust_env=False)
        return answer.status_code == 200


def make_lake_with_dashboards(root: Path) -> Lake:
    """Make a lake without Gold tables, with this repository's models and dashboards."""
    lake = make_lake(root, OPEN_POLICY + AUDITORS, time_zone="America/Sao_Paulo")
    (root / "lavra.toml").write_text('name = "test"\ntime_zone = "America/Sao_Paulo"\n')
    for folder in ("superset", "sqlmesh_project"):
        shutil.copytree(
            REPOSITORY / folder, root / folder, ignore=shutil.ignore_patterns(".cache", "logs"),
            dirs_exist_ok=True,
        )  # fmt: skip
    return lake


@pytest.fixture(scope="session")
def dashboards_lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake with the commerce domain's Gold tables and this repository's dashboards."""
    lake = make_lake_with_dashboards(tmp_path_factory.mktemp("dashboards") / "lake")
    lake.duck.execute("create schema lake.gold_commerce")
    for name, select in GOLD.items():
        lake.duck.execute(f"create table lake.gold_commerce.{name} as {select}")
    lake.duck.execute(f"create table lake.gold_test.{UI_TABLE} as {READINGS}")
    note_audits(lake, lake.release())
    with lake.catalog.connect() as connection:
        connection.execute(
            "update lavra.release_table set time_column = 'order_date' "
            "where table_name = 'daily_seller_sales'"
        )
    yield lake
    close_lake(lake)


@pytest.fixture(scope="session")
def superset_environment(dashboards_lake: Lake) -> SupersetEnvironment:
    """Superset's environment, made when this machine has none yet."""
    return superset.ensure_environment(dashboards_lake.settings)


@pytest.fixture(scope="session")
def running_superset(
    dashboards_lake: Lake, superset_environment: SupersetEnvironment
) -> Iterator[RunningSuperset]:
    """The service, and Superset bootstrapped from empty metadata, both running."""
    with serving(dashboards_lake.settings) as service:
        settings = load_settings(
            dashboards_lake.settings.project,
            service_url=str(service.base_url).rstrip("/"),
            superset_port=free_port(),
        )
        process = SupersetProcess(settings, superset_environment)
        with process, process.replacing_programs():
            outcome = superset.bootstrap(settings, superset_environment, dashboards_lake.catalog)
            with serving_superset(settings, superset_environment) as url:
                yield RunningSuperset(
                    url, settings, superset_environment, dashboards_lake, outcome, process
                )


@contextmanager
def serving_superset(settings: Settings, environment: SupersetEnvironment) -> Iterator[str]:
    """Run Superset's server; the block has its address."""
    command, variables = superset.server_command(settings, environment)
    log = (settings.state / "superset" / f"server-{settings.superset_port}.log").open("wb")
    process = subprocess.Popen(
        command, env=variables, cwd=settings.state, stdout=log, stderr=log, start_new_session=True
    )
    url = f"http://127.0.0.1:{settings.superset_port}"
    try:
        _wait_for(f"{url}/health", process)
        yield url
    finally:
        process.send_signal(signal.SIGQUIT)  # gunicorn ends without waiting for idle browsers
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert process.poll() is None, "Superset ended"
        try:
            if httpx.get(url, timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.3)
    raise TimeoutError(url)
