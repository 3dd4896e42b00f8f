"""The lake's object storage: one URL, and a view of it for each library."""

from lavra.storage.lake_storage import LakeStorage, open_storage

__all__ = ["LakeStorage", "open_storage"]
