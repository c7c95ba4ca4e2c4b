"""The local destination: whole files or none, private, and clear errors."""

import errno
import io
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from habeas.delivery.encryption import EncryptingWriter, decrypt
from habeas.delivery.local import LocalFolder, local_storage
from habeas.domain.errors import InputError, NotFound, SystemUnavailable

NAME = "pri_1.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "packages"


def put(folder: Path, content: bytes, name: str = NAME) -> None:
    with LocalFolder(folder).write(name) as file:
        file.write(content)


def names(folder: Path) -> list[str]:
    """Every file below the folder."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_package_is_written_read_and_found(folder: Path) -> None:
    put(folder, b"{}")
    with LocalFolder(folder).read(NAME) as file:
        assert file.read() == b"{}"
    assert Path(LocalFolder(folder).location(NAME)).read_bytes() == b"{}"
    assert names(folder) == [NAME]


def test_only_the_servers_user_can_read_it(folder: Path) -> None:
    put(folder, b"{}")
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_second_package_of_the_same_name_replaces_the_first(folder: Path) -> None:
    put(folder, b"first and longer")
    put(folder, b"second")
    assert (folder / NAME).read_bytes() == b"second"


def test_nothing_is_there_before_the_end_nor_after_a_failure(folder: Path) -> None:
    def fail() -> None:
        with LocalFolder(folder).write(NAME) as file:
            file.write(b"half")
            assert not (folder / NAME).exists()
            raise ValueError("the rows went wrong")

    with pytest.raises(ValueError, match="the rows went wrong"):
        fail()
    assert names(folder) == []


def test_a_failure_keeps_the_older_package(folder: Path) -> None:
    put(folder, b"older")
    with pytest.raises(ValueError, match="wrong"), LocalFolder(folder).write(NAME):
        raise ValueError("wrong")
    assert (folder / NAME).read_bytes() == b"older"


def test_what_a_killed_process_left_of_this_package_is_cleared_away(folder: Path) -> None:
    put(folder, b"{}", "pri_12.json")
    parts = folder / ".parts"
    (parts / f"{NAME}.0123456789abcdef").write_bytes(b"half")
    (parts / "pri_12.json.0123456789abcdef").write_bytes(b"another one's")
    put(folder, b"{}")
    assert names(folder) == [NAME, "pri_12.json", "pri_12.json.0123456789abcdef"]


@pytest.mark.parametrize(
    "name", ["../pri_1.json", "a/b.json", "a\\b.json", "/etc/x", "..", ".", "", ".x", "a\x00", "a*"]
)
def test_a_name_with_path_parts_is_refused(folder: Path, name: str) -> None:  # Y20
    for use in (LocalFolder(folder).write, LocalFolder(folder).read, LocalFolder(folder).location):
        with pytest.raises(InputError, match="path parts"):
            use(name)


def test_a_package_that_is_gone_is_not_found(folder: Path) -> None:
    with pytest.raises(NotFound, match=r"pri_1\.json is gone"):
        LocalFolder(folder).read(NAME)


class FullDisk(io.BytesIO):
    def write(self, data: object, /) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")


def test_a_full_disk_is_named_with_its_mend_and_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_on_full_disk(descriptor: int, mode: str) -> FullDisk:
        os.close(descriptor)
        return FullDisk()

    destination = LocalFolder(folder)
    monkeypatch.setattr(os, "fdopen", open_on_full_disk)
    with pytest.raises(SystemUnavailable, match="the disk is full") as caught, destination.write(NAME) as file:
        file.write(b"x")
    assert str(folder) in str(caught.value)
    assert "free some space" in str(caught.value)
    assert names(folder) == []


def test_a_folder_that_cannot_be_made_is_named_with_its_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    destination = LocalFolder(tmp_path / "file" / "packages")
    with pytest.raises(SystemUnavailable, match=r"Not a directory.*details\.path"):
        destination.check()
    with pytest.raises(SystemUnavailable, match="Not a directory"), destination.write(NAME):
        pass


def test_a_healthy_folder_passes_its_check_and_stays_empty(folder: Path) -> None:
    LocalFolder(folder).check()
    assert names(folder) == []


def test_a_lost_connection_of_the_writer_is_not_blamed_on_the_disk(folder: Path) -> None:
    with pytest.raises(ConnectionResetError), LocalFolder(folder).write(NAME):
        raise ConnectionResetError


def test_an_encrypted_package_goes_through_in_one_pass(folder: Path) -> None:
    def write_encrypted(file: BinaryIO) -> None:
        writer = EncryptingWriter(file, b"test--encryption")
        writer.write(b"Ann lives in Oslo")
        writer.close()

    with LocalFolder(folder).write(NAME) as file:
        write_encrypted(file)
    text = (folder / NAME).read_text()
    assert "Ann" not in text
    assert decrypt(text, b"test--encryption") == b"Ann lives in Oslo"


def test_the_local_type_uses_the_default_folder_or_its_path(tmp_path: Path) -> None:
    local = local_storage(tmp_path / "default")
    assert (local.name, local.formats) == ("local", ("json", "csv"))
    assert local.connect({"naming": "request_id"}, {}).location(NAME) == str(tmp_path / "default" / NAME)
    assert local.connect({"path": str(tmp_path / "own")}, {}).location(NAME) == str(tmp_path / "own" / NAME)


def test_no_link_opens_a_package_on_a_disk(folder: Path) -> None:
    put(folder, b"{}")
    assert LocalFolder(folder).link(NAME, 60) is None


@pytest.mark.parametrize("details", [{"naming": "random"}, {"path": "relative"}, {"path": 5}, {"bucket": "x"}])
def test_wrong_details_are_refused(tmp_path: Path, details: dict[str, object]) -> None:
    with pytest.raises(InputError):
        local_storage(tmp_path).connect(details, {})


OLD, YOUNG = "pri_2.json", "pri_3.json"


def leave_part(folder: Path, name: str, written_at: datetime) -> None:
    """What a killed process leaves of a package."""
    parts = folder / ".parts"
    parts.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = parts / f"{name}.0123456789abcdef"
    part.write_bytes(b"half")
    os.utime(part, (written_at.timestamp(), written_at.timestamp()))


def test_parts_of_killed_uploads_are_removed_when_they_are_old_and_nobody_writes_the_package(folder: Path) -> None:
    now = datetime.now(UTC)
    put(folder, b"whole", OLD)
    for name, age in ((OLD, 25), (NAME, 25), (YOUNG, 23)):
        leave_part(folder, name, now - timedelta(hours=age))
    before = now - timedelta(days=1)
    assert LocalFolder(folder).discard_unfinished(before, lambda name: name != NAME) == 1
    assert names(folder) == [f"{NAME}.0123456789abcdef", OLD, f"{YOUNG}.0123456789abcdef"]
    assert LocalFolder(folder).discard_unfinished(before, lambda name: name != NAME) == 0


def test_there_is_nothing_to_remove_where_nothing_was_written(folder: Path) -> None:
    assert LocalFolder(folder).discard_unfinished(datetime.now(UTC), lambda name: True) == 0
    assert not folder.exists()
