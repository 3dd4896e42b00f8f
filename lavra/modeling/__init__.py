"""What SQLMesh needs of Lavra: configuration, macros, scheduling, house rules."""

from lavra.modeling.config import project_config

__all__ = ["project_config"]
