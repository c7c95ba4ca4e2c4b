"""Settings as the API shows and changes them (control-plane §1.17, §6.3). Secrets and addresses are not among them.

What is changed is kept in the ledger, wins over file and environment in every process, and holds at once
(`execution.overrides`).
"""

import re
from collections.abc import Mapping

import sqlalchemy as sa
from pydantic import ValidationError

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.execution.context import Context
from habeas.execution.overrides import present_settings
from habeas.services import audit
from habeas.services.fields import InvalidFields, Problem
from habeas.settings import OVERRIDABLE, Settings, override, suggest
from habeas.store import configurations, overrides
from habeas.store.ledger import take_turn
from habeas.store.overrides import Override
from habeas.store.tables import storages

SHOWN: Mapping[str, tuple[str, ...]] = {
    "security": (
        "cors_origins",
        "oauth_access_token_expire_minutes",
        "subject_request_download_link_ttl_seconds",
        "identity_verification_code_ttl_seconds",
        "identity_verification_attempt_limit",
        "identity_verification_code_limit",
        "identity_verification_resend_pause_seconds",
        "require_auth_to_create",
        "request_rate_limit",
        "create_rate_limit",
        "verify_rate_limit",
        "token_rate_limit",
        "login_rate_limit",
    ),
    "execution": (
        "task_retry_count",
        "task_retry_delay",
        "task_retry_backoff",
        "temporary_ttl_seconds",
        "answer_ttl_seconds",
        "privacy_request_delay_timeout",
        "grace_seconds",
        "subject_identity_verification_required",
        "require_manual_request_approval",
    ),
    "storage": ("default_key", "package_ttl_seconds"),
    "duplicates": ("enabled", "window_days", "identity_kinds", "hold"),
    "reports": ("max_csv_rows",),
    "notifications": (
        "send_request_receipt_notification",
        "send_request_review_notification",
        "send_request_completion_notification",
        "give_up_seconds",
        "organization_name",
    ),
    "logging": ("level", "format"),
}
"""Section → names of the settings that are shown."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Sections = dict[str, dict[str, object]]
"""Values as JSON has them, by section and name."""


def find_present(context: Context) -> Settings:
    """The settings as they are now."""
    with context.ledger.read() as connection:
        return present_settings(context, connection)


def find_origins(context: Context) -> tuple[str, ...]:
    """The origins whose pages may call the API now."""
    return find_present(context).security.cors_origins


def show(context: Context) -> Sections:
    """Those of them that are shown."""
    return _pick(find_present(context), SHOWN)


def show_overrides(context: Context) -> Sections:
    """Only what was changed through the API."""
    with context.ledger.read() as connection:
        return _nest(overrides.read_overrides(connection))


def change(context: Context, given: Mapping[str, Mapping[str, object]]) -> Sections:
    """Change these settings, and leave what was changed before; all that is changed now. Raises InvalidFields."""
    values = _read(context, given)
    with context.ledger.write() as connection:
        take_turn(connection)
        _put(context, connection, values)
        return _nest(overrides.read_overrides(connection))


def replace_all(context: Context, given: Mapping[str, Mapping[str, object]]) -> Sections:
    """Change these settings, and give up what else was changed before. Raises InvalidFields."""
    values = _read(context, given)
    with context.ledger.write() as connection:
        take_turn(connection)
        _drop(context, connection, [name for name in overrides.read_overrides(connection) if name not in values])
        _put(context, connection, values)
        return _nest(overrides.read_overrides(connection))


def reset(context: Context) -> Sections:
    """Give up all that was changed: file and environment hold again. Nothing is left."""
    return replace_all(context, {})


def _put(context: Context, connection: sa.Connection, values: Mapping[Override, object]) -> None:
    _check_storage(connection, values)
    overrides.put_overrides(connection, values, context.clock.now())
    audit.record(context, connection, AuditAction.SAVED, ObjectKind.CONFIGURATION, *map(".".join, values))


def _drop(context: Context, connection: sa.Connection, names: list[Override]) -> None:
    overrides.drop_overrides(connection, names)
    audit.record(context, connection, AuditAction.DELETED, ObjectKind.CONFIGURATION, *map(".".join, names))


def _check_storage(connection: sa.Connection, values: Mapping[Override, object]) -> None:
    key = values.get(("storage", "default_key"))
    if key and configurations.find(connection, storages, str(key)) is None:
        raise InvalidFields([Problem(("storage", "default_key"), "there is no storage of this key")])


def _read(context: Context, given: Mapping[str, Mapping[str, object]]) -> dict[Override, object]:
    """The values as they are to be stored. Raises InvalidFields for names that cannot be changed and wrong values."""
    values = {(section, name): value for section, named in given.items() for name, value in named.items()}
    unknown = [(section,) for section in given if section not in OVERRIDABLE] + [
        name for name in values if name[0] in OVERRIDABLE and name[1] not in OVERRIDABLE[name[0]]
    ]
    if unknown:
        raise InvalidFields([Problem(name, _refuse(context.settings, name)) for name in unknown])
    problems = [Problem(name, "holds a control character") for name, value in values.items() if _holds_control(value)]
    changed = context.settings
    try:
        changed = override(context.settings, values)
    except ValidationError:
        problems += [problem for name, value in values.items() for problem in _try(context.settings, name, value)]
    if problems:
        raise InvalidFields(problems)
    kept = _pick(changed, OVERRIDABLE)
    return {(section, name): kept[section][name] for section, name in values}


def _holds_control(value: object) -> bool:
    return any(_CONTROL.search(str(one)) for one in (value if isinstance(value, list) else [value]))


def _try(settings: Settings, name: Override, value: object) -> list[Problem]:
    """What is wrong with one value, in words that do not repeat it."""
    try:
        override(settings, {name: value})
    except ValidationError as error:
        return [Problem((*name, *item["loc"][1:]), item["msg"]) for item in error.errors()]
    return []


def _refuse(settings: Settings, name: tuple[str, ...]) -> str:
    """Why a section, or a name in one, cannot be changed, with the one that was probably meant."""
    holder = settings if len(name) == 1 else getattr(settings, name[0])
    if name[-1] in type(holder).model_fields:
        return "this is set by file or environment alone"
    known = list(OVERRIDABLE if len(name) == 1 else OVERRIDABLE[name[0]])
    return "there is no such setting" + (suggest(name[-1], known) or f"; known are {', '.join(known)}")


def _pick(settings: Settings, names: Mapping[str, tuple[str, ...]]) -> Sections:
    whole = settings.model_dump(mode="json", include={section: set(wanted) for section, wanted in names.items()})
    return {section: {name: whole[section][name] for name in wanted} for section, wanted in names.items()}


def _nest(values: Mapping[Override, object]) -> Sections:
    nested: Sections = {}
    for (section, name), value in values.items():
        nested.setdefault(section, {})[name] = value
    return nested
