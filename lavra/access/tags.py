"""Tags of columns: words such as ``#pii`` in a model's column comments.

A comment is the one place where SQLMesh lets every kind of model describe a column, and a change
of it rebuilds no data. ``email::TEXT AS email, /* Where to write to #pii */`` tags ``email``.
"""

from __future__ import annotations

import re

_TAG = re.compile(r"(?:^|(?<=\s))#([a-z][a-z0-9_]*)(?=$|[\s.,;])")


def split_tags(comment: str) -> tuple[str, list[str]]:
    """Return a comment without its tags, and the tags, sorted."""
    tags = sorted(set(_TAG.findall(comment)))
    if not tags:
        return comment, []
    words = " ".join(_TAG.sub("", comment).split())
    return re.sub(r" (?=[.,;])", "", words), tags
