"""`lavra dashboards`: lint, import, export, drift, check, preview."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lavra.cli.console import out, print_json, print_table
from lavra.errors import DashboardError

group = typer.Typer(help="Dashboards as code: the YAML in superset/assets.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print a list of objects.")]


def register(app: typer.Typer) -> None:
    """Add the group to the command line."""
    app.add_typer(group, name="dashboards")


@group.command()
def lint(*, as_json: AsJson = False) -> None:
    """Check the dashboards against the Gold models and their metrics; no server is needed."""
    from lavra.dashboards import lint as linter  # noqa: PLC0415
    from lavra.dashboards.gold import gold_of_models  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    assets, _, problems = linter.lint(
        settings.project, gold_of_models(settings), settings.domains_left_out
    )
    if as_json:
        print_json([{"problem": problem} for problem in problems])
    else:
        for problem in problems:
            out.print(problem, soft_wrap=True, markup=False)
        if not problems:
            out.print(f"{len(assets.charts)} charts, {len(assets.dashboards)} dashboards: no fault")
    if problems:
        raise typer.Exit(1)


@group.command("import")
def import_() -> None:
    """Bring the dashboards to Superset, over whatever its editor changed; prune what is gone."""
    from lavra.dashboards import superset  # noqa: PLC0415
    from lavra.local.run_file import as_running  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    settings = as_running(load_settings())
    outcome = superset.bootstrap(settings, force_import=True, report=out.print)
    for name in outcome.pruned:
        out.print(f"removed {name}", markup=False)
    steps = ", ".join(f"{name} {seconds} s" for name, seconds in outcome.timings_s.items())
    out.print(f"imported ({steps})")


@group.command()
def serve() -> None:
    """Serve Superset, until Ctrl-C; `lavra dashboards import` prepares what it shows."""
    import os  # noqa: PLC0415

    from lavra.dashboards import superset  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    command, variables = superset.server_command(load_settings())
    # It becomes Superset's process, so signals and its exit status are Superset's own.
    os.execve(command[0], command, os.environ | variables)  # noqa: S606 - no shell, on purpose


@group.command()
def check(*, as_json: AsJson = False) -> None:
    """Ask every chart of every dashboard for its data; name each that fails or is empty."""
    from lavra.dashboards import superset  # noqa: PLC0415
    from lavra.dashboards.client import SupersetClient  # noqa: PLC0415
    from lavra.dashboards.form import in_language, load_assets  # noqa: PLC0415
    from lavra.local.run_file import as_running  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    settings = as_running(load_settings())
    assets, _ = load_assets(settings.project)
    may_be_empty = frozenset(
        in_language(chart.title, settings.locale)
        for chart in assets.charts.values()
        if chart.may_be_empty
    )
    url = f"http://{settings.superset_host}:{settings.superset_port}"
    with SupersetClient(url, superset.admin_credentials(settings)) as client:
        found = client.check(may_be_empty=may_be_empty)
    if as_json:
        print_json([asdict(item) for item in found])
    else:
        rows = [(c.dashboard, c.chart, c.rows, c.error) for c in found]
        print_table(["dashboard", "chart", "rows", "error"], rows, "There is no dashboard.")
    bad = [item for item in found if not item.is_good]
    if bad:
        raise DashboardError(f"{len(bad)} of {len(found)} charts failed or are empty.")


@group.command()
def drift(*, as_json: AsJson = False) -> None:
    """Name each thing that was edited in Superset since the last import; exits with 1 if any."""
    from lavra.dashboards import drift as drifting  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    found = drifting.changes(drifting.read_state(load_settings()))
    if as_json:
        print_json([asdict(change) for change in found])
    else:
        rows = [(c.kind, c.title, c.field, c.imported, c.now) for c in found]
        columns = ["kind", "title", "field", "imported", "now"]
        print_table(columns, rows, "Nothing was edited since the last import.")
    if found:
        raise typer.Exit(1)


@group.command()
def export() -> None:
    """Write what was edited in Superset back to the files, and only to those that changed."""
    from lavra.dashboards import drift as drifting  # noqa: PLC0415
    from lavra.dashboards import export as exporting  # noqa: PLC0415
    from lavra.dashboards.gold import gold_of_models  # noqa: PLC0415
    from lavra.dashboards.lint import lint as check_files  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    assets, gold, problems = check_files(
        settings.project, gold_of_models(settings), settings.domains_left_out
    )
    if problems:
        raise DashboardError(
            "The files have faults, so nothing is written over them:\n  " + "\n  ".join(problems)
        )
    done = exporting.export(
        drifting.read_state(settings), assets, gold, settings.locale, settings.time_zone
    )
    for path, text in done.files.items():
        (settings.project / path).parent.mkdir(parents=True, exist_ok=True)
        (settings.project / path).write_text(text, "utf-8")
        out.print(f"wrote {path}", markup=False)
    for note in done.notes:
        out.print(note, soft_wrap=True, markup=False)
    if not done.files and not done.notes:
        out.print("Nothing was edited since the last import.")


@group.command()
def preview(
    environment: Annotated[str, typer.Argument(help="A SQLMesh environment, such as dev.")],
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the preview again.")] = False,
) -> None:
    """Show the dashboards over a SQLMesh environment, in Superset beside production's."""
    from lavra.dashboards import preview as previewing  # noqa: PLC0415
    from lavra.local.run_file import as_running  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    settings = as_running(load_settings())
    if remove:
        outcome = previewing.remove(settings, environment)
        out.print(f"removed {len(outcome.pruned)} objects of {environment}", markup=False)
        return
    outcome, addresses = previewing.show(settings, environment, report=out.print)
    for name in outcome.pruned:
        out.print(f"removed {name}", markup=False)
    url = f"http://{settings.superset_host}:{settings.superset_port}"
    for address in addresses:
        out.print(f"{url}{address}", soft_wrap=True, markup=False)
