"""From a configured storage to the destination it names, with its secrets opened."""

from habeas.domain.ports import Destination
from habeas.execution.context import Context
from habeas.store import configurations
from habeas.store.configurations import Record


def connect_storage(context: Context, storage: Record) -> Destination:
    """The destination of a storage's record. Raises InputError when its details are wrong."""
    place = configurations.storage_place(storage.key)
    secrets = configurations.open_json(context.ledger.sealer, storage.sealed_secrets, place)
    return context.storage_types[storage.type].connect(storage.details, secrets)
