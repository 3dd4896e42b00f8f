"""Streams: a source's changes, landed in Bronze within seconds and exactly once."""
