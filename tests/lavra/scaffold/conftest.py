"""Files and projects to try `lavra init` on."""

from __future__ import annotations

from pathlib import Path

import pytest
from csv_files import Init, WriteCsv

from lavra.scaffold.project import plan_project
from lavra.scaffold.writing import write_project


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCsv:
    """A function that writes a CSV file beside the project."""

    def write(name: str, text: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / "given" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.fixture
def init(tmp_path: Path) -> Init:
    """A function that writes a project and returns its folder."""

    def run(*csv: Path, name: str = "shop", time_zone: str = "UTC", in_place: bool = False) -> Path:
        folder = tmp_path / name
        project = plan_project(csv, name=name, time_zone=time_zone, in_place=in_place)
        write_project(project, folder)
        return folder

    return run
