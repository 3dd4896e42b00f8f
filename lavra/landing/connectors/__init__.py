"""Airbyte's connectors as processes of this machine, without an Airbyte."""
