"""`lavra access lint|test|explain|diff`: work on the policy, without a server."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lavra.cli.console import out, print_json
from lavra.errors import AccessError

if TYPE_CHECKING:
    from lavra.access.caller import Caller
    from lavra.access.policy import Policy
    from lavra.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Environment = Annotated[str, typer.Option("--environment", "-e", help="The SQLMesh environment.")]


def lint_command(*, as_json: AsJson = False) -> None:
    """Check access/*.yaml against itself and the Gold models; every message names file and line."""
    from lavra.access.lint import lint  # noqa: PLC0415
    from lavra.dashboards.gold import gold_of_models  # noqa: PLC0415

    settings, policy = _policy()
    problems = lint(policy, gold_of_models(settings))
    if as_json:
        print_json([asdict(problem) for problem in problems])
    else:
        for problem in problems:
            out.print(str(problem), soft_wrap=True, markup=False)
        if not problems:
            rules = len(policy.rows) + len(policy.masks)
            out.print(f"{len(policy.roles)} roles, {rules} rules: no fault")
    if problems:
        raise typer.Exit(1)


def run_tests_command(*, as_json: AsJson = False) -> None:
    """Run access/tests/*.yaml: each caller and query must give its rows or its error."""
    from lavra.access.cases import run_cases  # noqa: PLC0415
    from lavra.dashboards.gold import gold_of_models  # noqa: PLC0415

    settings, policy = _policy()
    outcomes = list(run_cases(settings.project, policy, gold_of_models(settings)))
    failed = [outcome for outcome in outcomes if outcome.problem]
    if as_json:
        print_json([asdict(outcome) for outcome in outcomes])
    else:
        for outcome in failed:
            text = f"{outcome.place}: {outcome.name}: {outcome.problem}"
            out.print(text, soft_wrap=True, markup=False)
        out.print(f"{len(outcomes) - len(failed)} passed, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)


def explain_command(
    user: Annotated[
        str, typer.Argument(help="Who: `kind:name`, kind being key, token or superset.")
    ],
    table: Annotated[str, typer.Argument(help="Which table: `schema.table`.")],
    *,
    role: Annotated[
        list[str] | None, typer.Option("--role", help="A role that the credential carries.")
    ] = None,
    claims: Annotated[str, typer.Option(help="The token's claims, as JSON.")] = "{}",
    environment: Environment = "prod",
    as_json: AsJson = False,
) -> None:
    """Say what somebody sees of a table, and by which lines of the policy."""
    from lavra.access.cases import shapes_of  # noqa: PLC0415
    from lavra.access.explain import explain  # noqa: PLC0415
    from lavra.dashboards.access_record import with_record  # noqa: PLC0415
    from lavra.dashboards.gold import gold_of_models  # noqa: PLC0415

    settings, policy = _policy()
    shapes = shapes_of(with_record(gold_of_models(settings)), {table})
    if not shapes:
        raise AccessError(f"There is no Gold model {table}.")
    found = explain(policy, _caller(user, role or [], claims), environment, shapes[0])
    if as_json:
        print_json(asdict(found))
        return
    attributes = ", ".join(f"{name} = {value}" for name, value in found.attributes.items())
    lines = [
        f"{found.caller} has the roles: {', '.join(found.roles) or 'none'}",
        f"  attributes: {attributes}",
        f"{table} in {environment}: "
        + ("visible" if found.visible else "does not exist for this caller"),
        *(f"  granted by {place}" for place in found.granted_by),
        *(f"  only rows with {rule}" for rule in found.filters),
        *(["  no row: an attribute that a filter names has no value"] if found.no_rows else []),
        *(f"  {name}: {shown}" for name, shown in found.columns.items()),
        *(f"  {name}: not there" for name in found.hidden),
        *(f"  {name} is masked by {p}" for name, places in found.masked_by.items() for p in places),
    ]
    for line in lines:
        out.print(line, soft_wrap=True, markup=False)


def diff_command(
    *,
    base: Annotated[str, typer.Option(help="The commit, branch or tag to compare with.")] = "HEAD",
    as_json: AsJson = False,
) -> None:
    """Say who gains and who loses what by the changes since a commit."""
    import tempfile  # noqa: PLC0415

    from lavra.access.cases import shapes_of  # noqa: PLC0415
    from lavra.access.explain import compare, policy_at  # noqa: PLC0415
    from lavra.dashboards.access_record import with_record  # noqa: PLC0415
    from lavra.dashboards.gold import gold_of_models  # noqa: PLC0415

    settings, policy = _policy()
    with tempfile.TemporaryDirectory(prefix="lavra-access-") as folder:
        before = policy_at(settings.project, base, Path(folder))
    changes = compare(before, policy, shapes_of(with_record(gold_of_models(settings))))
    if as_json:
        print_json([asdict(change) for change in changes])
        return
    for change in changes:
        where = "" if change.table == "*" else f" {change.table} ({change.environment}):"
        verb = "gains" if change.gains else "loses"
        text = f"{change.role} {verb}{where} {change.what}"
        out.print(text, soft_wrap=True, markup=False)
    if not changes:
        out.print(f"Nobody gains or loses anything since {base}.")


def schema_command() -> None:
    """Write the JSON schemas of the policy and of its tests beside their models."""
    from lavra.access.cases import CasesFile  # noqa: PLC0415
    from lavra.access.policy import policy_schema  # noqa: PLC0415

    folder = Path(__file__).parents[1] / "access" / "schema"
    folder.mkdir(exist_ok=True)
    schemas = {"policy": policy_schema(), "tests": CasesFile.model_json_schema()}
    for name, schema in schemas.items():
        path = folder / f"{name}.schema.json"
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", "utf-8")
        out.print(str(path), soft_wrap=True)


def _policy() -> tuple[Settings, Policy]:
    from lavra.access.policy import FOLDER, load_policy  # noqa: PLC0415
    from lavra.settings import load_settings  # noqa: PLC0415

    settings = load_settings()
    policy = load_policy(settings.project)
    if policy is None:
        raise AccessError(
            f"There is no policy: {settings.project / FOLDER} holds no YAML.",
            remedy="docs/access.md shows one to start from.",
        )
    return settings, policy


def _caller(user: str, roles: list[str], claims: str) -> Caller:
    from lavra.access.caller import Caller  # noqa: PLC0415

    kind, _, name = user.partition(":")
    if kind not in {"key", "token", "superset"} or not name:
        raise AccessError(
            f"{user!r} is nobody.", remedy="Write key:NAME, token:NAME or superset:NAME."
        )
    try:
        known = json.loads(claims)
    except ValueError as error:
        raise AccessError(f"The claims are no JSON: {error}.") from error
    return Caller(name, kind, frozenset(roles), known)  # type: ignore[arg-type]
