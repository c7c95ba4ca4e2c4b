"""The storage types there are. Knows what each is called, not how it works."""

from pathlib import Path

from habeas.delivery.local import local_storage
from habeas.delivery.s3 import s3_storage
from habeas.domain.ports import StorageType


def storage_types(default_folder: Path) -> tuple[StorageType, ...]:
    """Every storage type; `local` without a path puts packages into `default_folder`."""
    return local_storage(default_folder), s3_storage()
