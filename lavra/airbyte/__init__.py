"""A real Airbyte, driven as code: plan, apply, import, destroy."""
