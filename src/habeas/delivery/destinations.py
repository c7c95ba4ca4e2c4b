"""The storage types there are. Knows what each is called, not how it works."""

from pathlib import Path

from habeas.delivery.local import local_storage
from habeas.delivery.onetrust import FindQueue, onetrust_storage
from habeas.delivery.onetrust_api import Client
from habeas.delivery.s3 import s3_storage
from habeas.domain.ports import StorageType


def storage_types(default_folder: Path, client: Client, find_queue: FindQueue) -> tuple[StorageType, ...]:
    """Every storage type; `local` without a path puts packages into `default_folder`."""
    return local_storage(default_folder), s3_storage(client.check), onetrust_storage(client, find_queue)
