"""SQLMesh's own commands on a lake: stale plans, releases by hand, maintenance, a fresh machine."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from lavra.cli.main import build_app
from lavra.errors import LavraError, StalePlanError
from lavra.releases.write_lock import holder, write_lock
from tests.lake_project import LakeProject, write_files


def test_a_plan_computed_before_somebody_else_wrote_is_not_applied(lake: LakeProject) -> None:
    lake.edit("models/gold/totals.sql", "SUM(amount)", "(2 * SUM(amount))")
    with lake.context() as context:
        plan = context.plan_builder("prod", skip_tests=True).build()
        with write_lock(lake.catalog, "somebody else"):
            pass
        with pytest.raises(StalePlanError, match="Plan again"):
            context.apply(plan)
        assert len(lake.releases()) == 1
        # The command itself plans again, and asks again.
        asked = []

        def answer(builder, *_: object, **__: object) -> None:
            asked.append(builder)
            if len(asked) == 1:
                with write_lock(lake.catalog, "somebody else"):
                    pass
            builder.apply()

        context.console.plan = answer
        context.plan("prod", skip_tests=True)
    assert len(asked) == 2
    assert len(lake.releases()) == 2


def test_a_rollback_stays_until_something_changes(
    lake: LakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lake.root)
    lake.land([(3, 1, 30)])
    lake.run()
    first = lake.releases()[-1].id
    CliRunner().invoke(build_app(), ["release", "rollback", str(first)], catch_exceptions=False)
    assert len(lake.served("gold_shop.orders")) == 2
    assert "Nothing to run" in lake.run()
    made = CliRunner().invoke(build_app(), ["release", "make", "--json"], catch_exceptions=False)
    assert json.loads(made.stdout[made.stdout.index("{") :]) == {"release": None, "blocked": []}
    assert lake.released().cause == "rollback"
    lake.land([(4, 1, 40)])
    lake.run()
    assert [row[0] for row in lake.served("gold_shop.orders")] == [1, 2, 3, 4]


def test_making_a_release_by_hand_says_what_blocks_it(
    lake: LakeProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lake.root)
    lake.write(f"delete from {lake.physical('gold_shop.totals')}")
    with pytest.raises(LavraError, match=r"gold_shop\.totals: its rows were changed"):
        CliRunner().invoke(build_app(), ["release", "make"], catch_exceptions=False)
    with pytest.raises(LavraError, match="'nowhere' was not found"):
        CliRunner().invoke(
            build_app(), ["release", "make", "-e", "nowhere"], catch_exceptions=False
        )


def test_maintenance_leaves_releases_readable(lake: LakeProject) -> None:
    lake.edit("models/gold/totals.sql", "SUM(amount)", "(2 * SUM(amount))")
    lake.plan("dev")
    with lake.context() as context:
        context.invalidate_environment("dev", sync=True)
        context.run_janitor(ignore_ttl=False)
        context.migrate()
    assert len(lake.served("gold_shop.totals")) == 2
    lake.land([(3, 1, 30)])
    assert "Released: prod" in lake.run()


def test_the_holder_of_the_lock_is_named(lake: LakeProject) -> None:
    assert holder(lake.catalog) is None
    with write_lock(lake.catalog, "sqlmesh run"):
        assert str(holder(lake.catalog)).startswith("sqlmesh run (process ")
    assert holder(lake.catalog) is None


def test_plain_sqlmesh_on_a_fresh_machine_releases_and_leaves_no_process(tmp_path: Path) -> None:
    root = tmp_path / "elsewhere"
    write_files(root)
    (root / "sqlmesh_project/models/gold/ranks.py").unlink()
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "sqlmesh"), "-p", "sqlmesh_project",
            "plan", "--auto-apply", "--no-prompts",
        ],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Released: prod is at release 1" in done.stdout
    users = [p.pid for p in psutil.process_iter(["cmdline"]) if str(root) in str(p.info["cmdline"])]
    assert users == []
