"""One frozen object of settings: built-in default < TOML file < environment (`HABEAS__SECTION__KEY`).

Also read: the old names of design §9 from `FIDES__…`/`FIDESOPS__…` and from a `fides.toml` if one is named.
A setting whose feature this version lacks refuses to start rather than being ignored.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from habeas.domain.errors import InputError
from habeas.domain.rate import Rate
from habeas.domain.user import find_weaknesses, normalise_username, read_password
from habeas.outgoing import parse_allowed

_PREFIX = "HABEAS__"
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(Section):
    url: str = Field("", description="The ledger: sqlite:///file or postgresql://…; empty: SQLite in the data folder.")


class SecuritySettings(Section):
    oauth_root_client_id: str = Field("", description="Id of the client that holds every scope.")
    oauth_root_client_secret: str = Field("", description="Its secret; made on first start when not set.")
    oauth_access_token_expire_minutes: int = Field(11520, ge=1, description="Life of an access token.")
    root_username: str = Field("", description="Name of a user who holds every scope and is not stored; empty: none.")
    root_password: str = Field("", description="That user's password; one that is too weak refuses to start.")
    session_minutes: int = Field(480, ge=1, description="Life of a session that began with a login on a page.")
    session_cookie_secure: bool = Field(
        False, description="Mark the session's cookie as Secure though calls arrive by http, e.g. behind a proxy."
    )
    password_reset_token_ttl_minutes: int = Field(
        30, ge=15, le=60, description="Life of a code that resets a password."
    )
    encryption_keys: str = Field("", description="Key ring `id:base64,…` (`habeas key new`); made when not set.")
    subject_request_download_link_ttl_seconds: int = Field(
        432000, ge=1, le=604800, description="How long links to packages in remote storages open them; at most 7 days."
    )
    identity_verification_code_ttl_seconds: int = Field(600, ge=1, description="Life of a code.")
    identity_verification_attempt_limit: int = Field(3, ge=1, description="Tries with one code.")
    identity_verification_code_limit: int = Field(5, ge=1, description="Codes sent for one request, at most.")
    identity_verification_resend_pause_seconds: int = Field(60, ge=0, description="Least time between two codes.")
    require_auth_to_create: bool = Field(False, description="Creating a request needs `privacy-request:create`.")
    outgoing_allow_list: tuple[str, ...] = Field(
        (),
        description="Hosts and networks that webhooks and the like may reach though they are not public, or by http.",
    )

    cors_origins: tuple[str, ...] = Field(
        (), description="Origins whose pages may call the API, e.g. `https://privacy.example.com`; none by default."
    )

    request_rate_limit: str = Field(
        "2000/minute", description="Calls from one address, e.g. `5/second`, `60/minute`, `600/hour`; empty: no limit."
    )
    create_rate_limit: str = Field("60/minute", description="The same for calls that create requests.")
    verify_rate_limit: str = Field("30/minute", description="The same for calls that try a code or ask for one.")
    token_rate_limit: str = Field("60/minute", description="The same for calls that get or end a token.")
    login_rate_limit: str = Field("10/minute", description="The same for logins of users, and forgotten passwords.")

    @field_validator(*(f"{kind}_rate_limit" for kind in ("request", "create", "verify", "token", "login")))
    @classmethod
    def _check_rates(cls, rate: str) -> str:
        if rate:
            Rate.parse(rate)
        return rate

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_ORIGIN.fullmatch(origin) for origin in origins):
            raise ValueError("an origin is scheme://host or scheme://host:port, in small letters, and nothing else")
        return origins

    @model_validator(mode="after")
    def _check_root_user(self) -> "SecuritySettings":
        if bool(self.root_username) != bool(self.root_password):
            raise ValueError("root_username and root_password belong together: set both, or none")
        if self.root_username and normalise_username(self.root_username) is None:
            raise ValueError("root_username has other characters than letters, digits, . _ - (64 at most)")
        weaknesses = find_weaknesses(read_password(self.root_password)) if self.root_password else []
        if weaknesses:
            raise ValueError(f"root_password {', '.join(weaknesses)}")
        return self

    @field_validator("outgoing_allow_list")
    @classmethod
    def _check_entries(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            parse_allowed(entry)
        return entries


class ExecutionSettings(Section):
    run_size: int = Field(500, ge=1, le=1000, description="Most requests carried out together.")
    threads: int = Field(4, ge=1, description="Runs carried out at once by the embedded executor.")
    visits: int = Field(4, ge=1, description="Collections of one run visited at once.")
    batch_rows: int = Field(2000, ge=1, description="Rows read or erased at once.")
    scheduler_address: str = Field("", description="Dask scheduler, e.g. tcp://host:8786; empty: embedded threads.")
    lease_seconds: float = Field(30.0, ge=1, description="How long a worker holds a run without a sign of life.")
    poll_seconds: float = Field(0.5, gt=0, description="How often the ledger is asked for due work.")
    task_retry_count: int = Field(3, ge=0, description="Further tries after a temporary failure.")
    task_retry_delay: float = Field(1.0, ge=0, description="Seconds before the first further try.")
    task_retry_backoff: float = Field(2.0, ge=1, description="Factor of the delay from try to try.")
    temporary_ttl_seconds: int = Field(604800, ge=1, description="Life of rows kept for an unfinished request.")
    answer_ttl_seconds: int = Field(
        604800,
        ge=1,
        description="How long a request waits for a form, for rows that people look up, or for a person's code.",
    )
    privacy_request_delay_timeout: int = Field(
        3600,
        ge=1,
        description="How long a request that a webhook has halted waits, and its token resumes it.",
    )
    grace_seconds: int = Field(3600, ge=0, description="How long rows stay after a request is complete.")
    subject_identity_verification_required: bool = Field(
        False, description="A request counts only after the person has proved by a code who they are."
    )
    require_manual_request_approval: bool = Field(False, description="A request waits until somebody approves it.")


class StorageSettings(Section):
    default_key: str = Field("", description="Storage of access rules that name none.")
    package_ttl_seconds: int | None = Field(
        None, ge=1, description="How long packages stay in their storage; not set: until you remove them."
    )


class DeadlineSettings(Section):
    regulations: Path | None = Field(
        None, description="Folder of `KEY.toml` files with regulations of your own; they win over those shipped."
    )


class DuplicateSettings(Section):
    enabled: bool = Field(False, description="Say of a new request which earlier one of the same person it repeats.")
    window_days: int = Field(365, ge=1, le=3650, description="How far back earlier requests count.")
    identity_kinds: tuple[str, ...] = Field(
        ("email",), min_length=1, max_length=10, description="What makes two people the same: a value of every kind is."
    )
    hold: bool = Field(False, description="The later request waits for a reviewer.")


class ReportSettings(Section):
    max_csv_rows: int = Field(100_000, ge=1, description="Most requests in one CSV file.")


class NotificationSettings(Section):
    send_request_receipt_notification: bool | None = Field(
        None, description="Tell people that their request has come in; not set: when a provider is active."
    )
    send_request_review_notification: bool | None = Field(
        None, description="Tell people that it was approved or denied; not set: when a provider is active."
    )
    send_request_completion_notification: bool | None = Field(
        None, description="Tell people that it is complete; not set: when a provider is active."
    )
    give_up_seconds: int = Field(
        172800, ge=0, description="How long a message that its provider does not take is tried again and again."
    )
    organization_name: str = Field("", max_length=500, description="Who writes, in messages; empty: nobody is named.")


class LoggingSettings(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    format: Literal["console", "json"] = Field("console", description="Lines for people, or a JSON object on each.")


class Settings(BaseSettings):
    """All settings. Times in seconds unless named otherwise."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    data_dir: Path = Field(Path("habeas-data"), description="Folder of the embedded ledger, packages and first keys.")
    database: DatabaseSettings = DatabaseSettings()
    security: SecuritySettings = SecuritySettings()
    execution: ExecutionSettings = ExecutionSettings()
    storage: StorageSettings = StorageSettings()
    deadlines: DeadlineSettings = DeadlineSettings()
    duplicates: DuplicateSettings = DuplicateSettings()
    reports: ReportSettings = ReportSettings()
    notifications: NotificationSettings = NotificationSettings()
    logging: LoggingSettings = LoggingSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings  # the environment wins over the file, which comes by init


OVERRIDABLE: Mapping[str, tuple[str, ...]] = {
    "execution": ("subject_identity_verification_required", "require_manual_request_approval"),
    "notifications": (
        "send_request_receipt_notification",
        "send_request_review_notification",
        "send_request_completion_notification",
        "organization_name",
    ),
    "storage": ("default_key",),
    "duplicates": ("enabled", "window_days", "identity_kinds", "hold"),
    "security": ("cors_origins",),
}
"""Section → names of the settings that can be changed through the API."""


def override(settings: Settings, values: Mapping[tuple[str, str], object]) -> Settings:
    """The settings under these values, by section and name; the same object when there are none.

    Names that are not OVERRIDABLE (here, in this version) are passed over. Raises ValidationError for a wrong value.
    """
    changes: dict[str, dict[str, object]] = {}
    for (section, name), value in values.items():
        if name in OVERRIDABLE.get(section, ()):
            changes.setdefault(section, {})[name] = value
    if not changes:
        return settings
    sections = {name: getattr(settings, name) for name in changes}
    return settings.model_copy(
        update={name: type(kept).model_validate(dict(kept) | changes[name]) for name, kept in sections.items()}
    )


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: which one was probably meant; empty if none is near."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


_LINK_LIFE = ("security", "subject_request_download_link_ttl_seconds")
OLD_NAMES = {
    ("execution", "task_retry_count"): ("execution", "task_retry_count"),
    ("execution", "subject_identity_verification_required"): ("execution", "subject_identity_verification_required"),
    ("execution", "require_manual_request_approval"): ("execution", "require_manual_request_approval"),
    ("execution", "privacy_request_delay_timeout"): ("execution", "privacy_request_delay_timeout"),
    _LINK_LIFE: _LINK_LIFE,
    ("security", "identity_verification_attempt_limit"): ("security", "identity_verification_attempt_limit"),
    ("security", "root_username"): ("security", "root_username"),
    ("security", "root_password"): ("security", "root_password"),
    ("security", "password_reset_token_ttl_minutes"): ("security", "password_reset_token_ttl_minutes"),
    ("redis", "identity_verification_code_ttl_seconds"): ("security", "identity_verification_code_ttl_seconds"),
    ("redis", "default_ttl_seconds"): ("execution", "temporary_ttl_seconds"),
    **{
        ("notifications", name): ("notifications", name)
        for name in (f"send_request_{occasion}_notification" for occasion in ("receipt", "review", "completion"))
    },
}
"""Section and name in Fides and fidesops → ours."""


def load_settings(
    file: Path | None = None, *, data_dir: Path | None = None, environment: Mapping[str, str] = os.environ
) -> Settings:
    """Read the settings; `file` defaults to `habeas.toml` in the working folder when there is one.

    `data_dir` given here wins over all. Raises InputError naming every setting that is wrong, never its value.
    """
    path = file or Path("habeas.toml")
    _check_variables(environment)
    values: dict[str, Any] = {}
    for _, (section, name), value in _read_old(environment):
        values.setdefault(section, {}).setdefault(name, value)
    if file or path.exists():
        values = _merge(values, _read_toml(path))
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise _refuse([_name_problem(item) for item in error.errors()]) from None
    return settings if data_dir is None else settings.model_copy(update={"data_dir": data_dir})


def find_old_names(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Old names of settings that are in use → those that have taken their place."""
    return {said: f"{_PREFIX}{section}__{name}".upper() for said, (section, name), _ in _read_old(environment)}


def _known_names() -> list[str]:
    """Every setting, as `section.name`, and those that are in no section."""
    names = []
    for name, field in Settings.model_fields.items():
        section = type(field.default)
        names += [f"{name}.{inner}" for inner in section.model_fields] if issubclass(section, Section) else [name]
    return names


def _check_variables(environment: Mapping[str, str]) -> None:
    """Refuse variables that are no setting: the settings' own reader passes over some of them."""
    known = _known_names()
    readable = {*known, *Settings.model_fields}  # a whole section can be given as JSON
    ours = [variable for variable in sorted(environment) if variable.upper().startswith(_PREFIX)]
    names = {variable: variable[len(_PREFIX) :].lower().replace("__", ".") for variable in ours}
    unknown = {variable: name for variable, name in names.items() if name not in readable}
    if unknown:
        raise _refuse([f"{variable}: no such setting{suggest(name, known)}" for variable, name in unknown.items()])


def _name_problem(item: Mapping[str, Any]) -> str:
    """What is wrong with one setting, without its value."""
    name = ".".join(map(str, item["loc"]))
    if item["type"] != "extra_forbidden":
        return f"{name}: {item['msg']}"
    return f"{name}: no such setting{suggest(name, _known_names() if '.' in name else Settings.model_fields)}"


def _refuse(problems: Iterable[str]) -> InputError:
    return InputError(f"settings are wrong: {'; '.join(problems)}", hint="see docs/reference.md")


def _read_old(environment: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, str], Any]]:
    """What is set by an old name: that name, the new section and name, and the value; what counts more comes first."""
    path = environment.get("FIDES__CONFIG_PATH")
    file = _read_toml(Path(path)) if path else {}
    sections = {section for section, _ in OLD_NAMES}
    if wrong := sorted(section for section in sections if not isinstance(file.get(section, {}), dict)):
        raise _refuse([f"{section} in the file of FIDES__CONFIG_PATH is no section" for section in wrong])
    for (section, name), new in OLD_NAMES.items():
        for variable in (f"{prefix}__{section}__{name}".upper() for prefix in ("FIDES", "FIDESOPS")):
            if variable in environment:
                yield variable, new, environment[variable]
        if (kept := file.get(section, {}).get(name)) is not None:
            yield f"{section}.{name} in the file of FIDES__CONFIG_PATH", new, kept


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"settings file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"settings file {path} is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"settings file {path} is not TOML: {error}") from None


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        merged[name] = {**merged.get(name, {}), **value} if isinstance(value, dict) else value
    return merged
