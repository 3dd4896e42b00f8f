"""The files of a new project, as texts: a plan written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from lavra.landing import schema as connections
from lavra.scaffold import naming
from lavra.scaffold.dashboard import dashboard_files
from lavra.scaffold.layers import models_of
from lavra.scaffold.models import Model
from lavra.scaffold.plan import TablePlan, plan_tables
from lavra.scaffold.sources import sources_of
from lavra.scaffold.templating import render
from lavra.scaffold.unit_tests import unit_tests
from lavra.streams import schema as streams


@dataclass(frozen=True)
class Project:
    """What is to be written.

    Attributes:
        texts: The text of each file, by its path in the project.
        copies: The file to be copied, by its path in the project.
        plans: What was made of each CSV file.
    """

    texts: dict[str, str]
    copies: dict[str, Path]
    plans: tuple[TablePlan, ...]


def sample_csv() -> Path:
    """Return the small file that a project without one of its own starts from."""
    return Path(str(files("lavra.scaffold") / "sample" / "sales.csv"))


def plan_project(
    csv: Sequence[Path], *, name: str, time_zone: str = "UTC", in_place: bool = False
) -> Project:
    """Read the CSV files and return the project for them.

    Args:
        csv: The files; none stands for the sample.
        name: The lake's name, and the domain of its models.
        time_zone: The business time zone.
        in_place: Whether small files, too, are read where they are.

    Raises:
        SourceError: a file is missing, empty or malformed.
        ConfigurationError: two files would make tables of the same name.
    """
    plans = plan_tables([path.expanduser() for path in csv] or [sample_csv()])
    sources = sources_of(plans, in_place=in_place and bool(csv))
    by_name = {plan.name: plan for plan in plans}
    models = [
        model
        for source in sources
        for plan in source.plans
        for model in models_of(plan, by_name, source.name, name)
    ]
    texts = {
        "lavra.toml": render("lavra.toml", name=name, time_zone=time_zone),
        ".gitignore": render("gitignore"),
        "README.md": render(
            "README.md",
            title=naming.title(name),
            name=name,
            plans=plans,
            copied={plan.name for source in sources if source.is_copied for plan in source.plans},
            gold={plan.name: _gold_of(plan, models) for plan in plans},
        ),
        "access/policy.yaml": render("access.yaml", title=naming.title(name)),
        **{source.path: source.yaml() for source in sources},
        str(connections.FILE): connections.as_text(connections.connection_schema()),
        str(streams.FILE): connections.as_text(streams.stream_schema()),
        "sqlmesh_project/config.py": render("config.py"),
        **{model.path: model.sql() for model in models},
        **{
            f"sqlmesh_project/tests/test_{plan.name}.yaml": unit_tests(plan, by_name, name)
            for plan in plans
        },
    }
    texts |= dashboard_files(plans, name, naming.title(name))
    copies = {
        f"{source.root}/{plan.profile.path.name}": plan.profile.path
        for source in sources
        if source.is_copied
        for plan in source.plans
    }
    return Project(texts, copies, tuple(plans))


def _gold_of(plan: TablePlan, models: Sequence[Model]) -> list[Model]:
    return [model for model in models if model.source is plan and model.layer == "gold"]
