"""Releases: which one snapshot of the lake an environment's readers see."""
