"""Writes docs/reference.md from the code: settings, categories, strategies, connections, errors, routes, commands.

`tests/docs/test_reference.py` fails when the page differs; run `python scripts/write_reference.py` then.
"""

import inspect
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from habeas import bootstrap
from habeas.cli.main import EXIT_CODES
from habeas.cli.main import app as commands
from habeas.cli.server_options import CLIENT, LOCAL
from habeas.connectors import asking, manual, sql
from habeas.connectors.https import https_type
from habeas.delivery.destinations import storage_types
from habeas.domain.audit import AuditAction
from habeas.domain.category import DEFAULT_CATEGORIES
from habeas.domain.errors import Fault, HabeasError, LeaseLost, TooSoon, Unreachable
from habeas.domain.request import TRANSITIONS, LogStatus
from habeas.domain.scopes import SCOPES
from habeas.masking.registry import strategies
from habeas.outgoing import OutgoingClient
from habeas.settings import OLD_NAMES, OVERRIDABLE, Settings
from habeas.web.app import create_app
from habeas.web.errors import answer_error

PAGE = Path(__file__).parents[1] / "docs" / "reference.md"
_EVERYWHERE = ("as_json", "url", "data_dir")
"""Options that most commands have, explained once."""
_METHODS = ("get", "post", "put", "patch", "delete")


def render() -> str:
    """The whole page."""
    sections = (
        ("Settings", _settings()),
        ("Data categories", _categories()),
        ("Masking strategies", _strategies()),
        ("Connection types and their secrets", _connections()),
        ("Storage types", _storages()),
        ("Statuses", _statuses()),
        ("Errors", _errors()),
        ("Routes", _routes()),
        ("Scopes", [", ".join(f"`{scope}`" for scope in SCOPES)]),
        ("Commands", _commands()),
    )
    head = "# Reference\n\nWritten by `scripts/write_reference.py` from the code; a test compares the two.\n"
    return head + "".join(f"\n## {title}\n\n" + "\n".join(lines) + "\n" for title, lines in sections)


def _table(headings: Sequence[str], rows: Iterator[Sequence[str]]) -> list[str]:
    cells = [headings, ["---"] * len(headings), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return [f"| {' | '.join(row)} |" for row in cells]


def _settings() -> list[str]:
    def rows(model: type[BaseModel], prefix: str) -> Iterator[Sequence[str]]:
        for name, field in model.model_fields.items():
            if isinstance(field.default, BaseModel):
                yield from rows(type(field.default), f"{prefix}{name}.")
            else:
                yield f"`{prefix}{name}`", f"`{field.default}`" if field.default != "" else "", field.description or ""

    return [
        "From `habeas.toml` in the working folder (or the file that `--config` names) and, before it, from the",
        "environment: `HABEAS__` and the name in capitals with `__` for the dot, e.g. `HABEAS__EXECUTION__THREADS`.",
        "`--data-dir` wins over both. A name or value that is wrong, or of a later version, refuses to start.",
        "",
        *_table(("Setting", "Default", "Meaning"), rows(Settings, "")),
        "",
        "Some are changed while servers run, by `habeas config set` or `PATCH /api/v1/config`; a change wins over",
        "file and environment, at once and in every process:",
        *(f"* `{section}.{name}`" for section, names in OVERRIDABLE.items() for name in names),
        "",
        "Old names are read from `FIDES__…`, `FIDESOPS__…` and the file that `FIDES__CONFIG_PATH` names; a process",
        "says at its start which it found:",
        *(f"* `{'.'.join(old)}`{_for(old, new)}" for old, new in OLD_NAMES.items()),
    ]


def _for(old: tuple[str, str], new: tuple[str, str]) -> str:
    return "" if old == new else f" for `{'.'.join(new)}`"


def _categories() -> list[str]:
    return [
        "A target covers its category and all below it, at the dot: `user.device` covers `user.device.cookie_id`,",
        "`user.device.cookie` does not.",
        "",
        *(f"{'  ' * category.count('.')}* `{category}`" for category in sorted(DEFAULT_CATEGORIES)),
    ]


def _strategies() -> list[str]:
    lines = []
    for name, kind in strategies().items():
        secrets = f" Secrets of each request: {', '.join(kind.secret_kinds)}." if kind.secret_kinds else ""
        text = " Writes text; in a column of another type it writes null." if kind.text_only else ""
        lines += [f"**`{name}`**. {kind.description}{text}{secrets}", ""]
        for item in kind.configuration:
            lines.append(f"* `{item.name}`{' (required)' if item.required else ''}: {item.description}")
        lines += [""] if kind.configuration else []
    return lines[:-1]


def _connections() -> list[str]:
    def rows() -> Iterator[Sequence[str]]:
        people = (*asking.connection_types(), *manual.connection_types())
        for kind in (*sql.connection_types(), *people, https_type(lambda url: None)):
            needed = [f"`{name}`" for name, required in kind.secrets.items() if required]
            choices = [" ".join(f"`{name}`" for name in sorted(choice)) for choice in kind.alternatives]
            rest = {*kind.secrets} - {name for choice in kind.alternatives for name in choice}
            optional = sorted(f"`{name}`" for name in rest if not kind.secrets[name])
            yield f"`{kind.name}`", " ".join(needed) or ", or ".join(choices), " ".join(optional)

    return _table(("Type", "Needed", "Optional"), rows())


def _storages() -> list[str]:
    def rows() -> Iterator[Sequence[str]]:
        for kind in storage_types(Path("packages"), OutgoingClient(()), lambda _: None):
            details = (f"`{name}`{' (required)' if required else ''}" for name, required in kind.details.items())
            listed = (", ".join(f"`{name}`" for name in names) or "–" for names in (kind.formats, kind.secrets))
            formats, secrets = listed
            yield f"`{kind.name}`", formats, ", ".join(details), secrets

    return _table(("Type", "Formats", "Details", "Secrets"), rows())


def _statuses() -> list[str]:
    moves = ((f"`{now}`", ", ".join(f"`{to}`" for to in sorted(then)) or "–") for now, then in TRANSITIONS.items())
    return [
        *_table(("Status of a request", "May become"), moves),
        "",
        f"The execution log says {', '.join(f'`{status}`' for status in LogStatus)}; "
        f"the audit log {', '.join(f'`{action}`' for action in AuditAction)}.",
    ]


def _errors() -> list[str]:
    return [
        'An answer that is no success has `{"detail": …}`: a sentence with its hint, or for 422 a list of',
        "`{loc, msg, type}`. A fault is answered with a reference to the server's log. No error repeats a value.",
        "",
        *_table(("Code", "HTTP", "Meaning"), _branch(HabeasError, -1)),
    ]


def _branch(kind: type[HabeasError], depth: int) -> Iterator[Sequence[str]]:
    """An error and those below it, as the error tree is drawn."""
    if depth >= 0:
        said = inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]
        yield f"{'– ' * depth}`{kind.code}`", str(_status_of(kind)), said
    for below in kind.__subclasses__():
        if below is not LeaseLost and below.__module__ == HabeasError.__module__:
            yield from _branch(below, depth + 1)


def _status_of(kind: type[HabeasError]) -> int:
    if issubclass(kind, Fault):
        return 500
    if kind is TooSoon:
        return answer_error(TooSoon("", 1)).status_code
    return answer_error(Unreachable("", []) if kind is Unreachable else kind("")).status_code


def _routes() -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        application = bootstrap.build(Settings(data_dir=Path(folder)))
        schema: dict[str, Any] = create_app(application.context).openapi()
        bootstrap.close(application)

    def rows() -> Iterator[Sequence[str]]:
        for path, operations in schema["paths"].items():
            for method in _METHODS:
                if operation := operations.get(method):
                    scopes = [scope for need in operation.get("security", ()) for scope in need.get("client", ())]
                    yield f"`{method.upper()} {path}`", ", ".join(f"`{s}`" for s in scopes), operation["summary"]

    return [
        "Below `/dsr/policy` the routes of `/policy` are served again, and `/logs` beside `/log`. A route without a",
        "scope is open or needs none in particular; the description of everything is at `/openapi.json`.",
        "",
        *_table(("Route", "Scope", "What it does"), rows()),
    ]


def _commands() -> list[str]:
    root: Any = typer.main.get_command(commands)
    lines = [
        "`habeas --config FILE` names the settings file for any command; `--version` prints the version.",
        "`habeas --install-completion` teaches your shell to complete commands and options with the tab key; open a",
        "new shell afterwards. `--show-completion` prints what it would install.",
        "",
        "Commands with `--url` ask a running server: at this address, else at `HABEAS_URL`, else at",
        f"`{LOCAL}`. They ask as the client of `{CLIENT[0]}` and",
        f"`{CLIENT[1]}`, else as the root client of the settings, else as that of `--data-dir`, the folder of a",
        "server on this machine. No secret is taken from a command line, where others on the machine could read it.",
        "",
        "Results are on standard output, advice, progress and errors on standard error. `--json` prints JSON alone,",
        "for scripts.",
        "",
        *_table(("Exit code", "Meaning"), iter(EXIT_CODES)),
        "",
    ]
    for name in sorted(root.list_commands(None)):
        lines += _describe(f"habeas {name}", root.get_command(None, name))
    return lines[:-1]


def _describe(name: str, command: Any) -> Iterator[str]:
    if hasattr(command, "commands"):
        for below, inner in command.commands.items():
            yield from _describe(f"{name} {below}", inner)
        return
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    arguments = "".join(f" {_name(p)}" for p in shown if p.param_type_name == "argument")
    yield f"**`{name}{arguments}`**. {command.help.splitlines()[0]}"
    yield ""
    for parameter in shown:
        if parameter.param_type_name == "argument":
            yield f"* `{_name(parameter)}`: {parameter.help}"
        elif parameter.name not in _EVERYWHERE:
            names = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
            default = parameter.default
            said = f" Default: `{default}`." if isinstance(default, str | int) and not isinstance(default, bool) else ""
            yield f"* {names}: {parameter.help}{said}"
    if everywhere := [f"`{p.opts[0]}`" for p in shown if p.name in _EVERYWHERE]:
        yield f"* {', '.join(everywhere)}"
    yield ""


def _name(argument: Any) -> str:
    name = str(argument.metavar or argument.name.upper())
    return f"{name} …" if argument.nargs == -1 else name


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
