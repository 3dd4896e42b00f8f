"""SQLAlchemy's own test plugin, with our dialect and the lake behind it."""

from sqlalchemy.dialects import registry

registry.register("lavra.lake", "lake_dialect", "LakeDialect")

from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403 - SQLAlchemy's own way
