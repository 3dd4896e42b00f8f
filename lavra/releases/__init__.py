"""Releases: which snapshot of the lake readers see, and the rule that decides when it moves."""
