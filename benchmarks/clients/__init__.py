"""Clients that cost little, so that a benchmark measures servers."""
