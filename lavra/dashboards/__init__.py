"""Superset as code: its environment, configuration, bootstrap and assets."""
