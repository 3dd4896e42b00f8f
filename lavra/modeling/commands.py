"""What Lavra's own commands ask of SQLMesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmesh.core.context import Context
from sqlmesh.utils.errors import SQLMeshError

from lavra.errors import ConfigurationError, ReleaseError
from lavra.modeling.context import LakeContext

if TYPE_CHECKING:
    from lavra.releases.make import Outcome
    from lavra.settings import Settings


def release_environment(settings: Settings, environment: str) -> Outcome:
    """Release an environment as it stands in SQLMesh's state, if the rule allows it.

    Raises:
        ConfigurationError: the project has no SQLMesh project that uses ``project_config``, or
            its models run elsewhere than on the lake.
        ReleaseError: SQLMesh does not know the environment.
    """
    if settings.models_gateway != "lake":
        raise ConfigurationError(
            f"LAVRA_MODELS_GATEWAY is {settings.models_gateway}: only the lake has releases.",
            remedy="Unset it for this command.",
        )
    try:
        context = Context(paths=[str(settings.project / "sqlmesh_project")], load=False)
    except SQLMeshError as error:
        raise ConfigurationError(str(error)) from error
    try:
        if not isinstance(context, LakeContext):
            raise ConfigurationError(
                "sqlmesh_project/config.py does not use Lavra's configuration.",
                remedy="It needs: config = project_config(Path(__file__).parent).",
            )
        return context.release(environment)
    except SQLMeshError as error:
        raise ReleaseError(str(error)) from error
    finally:
        context.close()
