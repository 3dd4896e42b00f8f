"""The SQLMesh project of this lake; what it runs on is decided by lavra.toml and the settings."""

from pathlib import Path

from lavra.modeling import project_config

config = project_config(Path(__file__).parent)
