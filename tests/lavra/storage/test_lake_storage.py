"""One contract, held by local storage and by a bucket."""

import pytest

from lavra.errors import ConfigurationError, StorageError
from lavra.settings import load_settings
from lavra.storage import LakeStorage, open_storage


def test_a_published_file_is_listed_and_read_back(storage: LakeStorage) -> None:
    with storage.publish("bronze/shop/orders/a.parquet") as stream:
        stream.write(b"abc")
    files = storage.list_files("bronze")
    assert [(f.path, f.size) for f in files] == [("bronze/shop/orders/a.parquet", 3)]
    with storage.open_input("bronze/shop/orders/a.parquet") as stream:
        assert stream.read() == b"abc"


def test_nothing_appears_when_writing_fails(storage: LakeStorage) -> None:
    with pytest.raises(ZeroDivisionError), storage.publish("bronze/a") as stream:
        stream.write(b"half")
        1 / 0  # noqa: B018
    assert storage.list_files() == []
    assert not storage.exists("bronze/a")


def test_publishing_again_replaces_the_file(storage: LakeStorage) -> None:
    for content in (b"first", b"second"):
        with storage.publish("a") as stream:
            stream.write(content)
    with storage.open_input("a") as stream:
        assert stream.read() == b"second"


def test_a_file_larger_than_one_upload_chunk_is_whole(storage: LakeStorage) -> None:
    content = bytes(range(256)) * 80_000  # 20 MB
    with storage.publish("big") as stream:
        stream.write(content)
    with storage.open_input("big") as stream:
        assert stream.read() == content


def test_listing_a_prefix_that_does_not_exist_gives_nothing(storage: LakeStorage) -> None:
    assert storage.list_files("nowhere") == []


def test_reading_a_missing_file_says_which(storage: LakeStorage) -> None:
    with pytest.raises(StorageError, match="nowhere/x"), storage.open_input("nowhere/x"):
        pass


def test_deleting_twice_is_no_error(storage: LakeStorage) -> None:
    with storage.publish("a") as stream:
        stream.write(b"1")
    storage.delete(["a"])
    storage.delete(["a"])
    assert not storage.exists("a")


def test_pyarrow_and_fsspec_see_the_same_file(storage: LakeStorage) -> None:
    with storage.publish("x/y") as stream:
        stream.write(b"12345")
    assert storage.to_pyarrow().get_file_info(storage.full_path("x/y")).size == 5
    assert storage.to_fsspec().size(storage.full_path("x/y")) == 5


@pytest.mark.parametrize("url", ["gs:///prefix", "file://relative/path", "s3://bucket"])
def test_a_url_that_names_no_place_is_refused(project, monkeypatch, url: str) -> None:
    monkeypatch.setenv("LAVRA_LAKE_URL", url)
    with pytest.raises(ConfigurationError):
        open_storage(load_settings(project))


def test_a_file_is_copied_and_one_that_is_missing_is_named(storage: LakeStorage) -> None:
    with storage.publish("a/one.bin") as stream:
        stream.write(b"1" * 1000)
    storage.copy("a/one.bin", "b/two.bin")
    with storage.open_input("b/two.bin") as stream:
        assert stream.read() == b"1" * 1000
    storage.delete(["a/one.bin"])
    assert storage.exists("b/two.bin")
    with pytest.raises(StorageError, match=r"a/one\.bin"):
        storage.copy("a/one.bin", "b/three.bin")
    assert not storage.exists("b/three.bin")
