"""Macros of this lake's models."""
