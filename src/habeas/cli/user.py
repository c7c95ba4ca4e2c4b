"""`habeas user`: people who work with Habeas, and what they may do."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from habeas.cli.printing import print_columns, print_json
from habeas.cli.private_file import read_text
from habeas.cli.server_options import LOCAL, AsJson, Url, connect
from habeas.cli.settings_option import DataDir
from habeas.client import ApiFailure, Client, Json, path_of
from habeas.domain.errors import InputError
from habeas.domain.scopes import Role

app = typer.Typer(help="Users: people who work with Habeas, and what they may do.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the user.")]
Roles = Annotated[list[Role] | None, typer.Option("--role", help="A role; may be given several times.")]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", help="File that holds the password; - is standard input.")
]


@app.command()
def create(
    context: typer.Context,
    username: Name,
    email: Annotated[str | None, typer.Option(help="E-mail address.")] = None,
    first_name: Annotated[str | None, typer.Option(help="First name.")] = None,
    last_name: Annotated[str | None, typer.Option(help="Last name.")] = None,
    role: Roles = None,
    invite: Annotated[bool, typer.Option("--invite", help="Mail an invitation; the user chooses a password.")] = False,
    password_file: PasswordFile = None,
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Make a user, a viewer unless other roles are given; the password is typed unseen, or read from a file."""
    if invite and password_file is not None:
        raise InputError("who is invited chooses a password", hint="give --invite or --password-file")
    draft: dict[str, Json] = {
        "username": username,
        "email_address": email,
        "first_name": first_name,
        "last_name": last_name,
        "password": None if invite else _read_password(password_file),
    }
    with connect(context, url, data_dir) as client:
        made = client.call("POST", "/user", json=draft)
        if role:
            _permit(client, made["id"], role)
            made = client.call("GET", path_of("user", made["id"]))
    if as_json:
        print_json(made)
        return
    typer.echo(f"{made['username']}: {', '.join(made['roles']) or 'no role'}{' (invited)' if invite else ''}")


@app.command("list")
def list_all(context: typer.Context, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """List users by name."""
    with connect(context, url, data_dir) as client:
        found = client.list_all("/user")
    if as_json:
        print_json(found)
        return
    rows = ((one["username"], _tell_state(one), ", ".join(one["roles"] + one["scopes"])) for one in found)
    print_columns(("name", "state", "may do"), rows)


@app.command()
def disable(context: typer.Context, username: Name, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """Let a user in no more; its tokens and sessions end at once."""
    with connect(context, url, data_dir) as client:
        client.call("PUT", path_of("user", _find(client, username)["id"]), json={"disabled": True})
    typer.echo(f"{username} is disabled")


@app.command()
def enable(context: typer.Context, username: Name, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """Let a user in again."""
    with connect(context, url, data_dir) as client:
        client.call("PUT", path_of("user", _find(client, username)["id"]), json={"disabled": False})
    typer.echo(f"{username} is enabled")


@app.command()
def roles(
    context: typer.Context,
    username: Name,
    wanted: Annotated[list[Role], typer.Argument(metavar="ROLE...", help="All roles that the user shall have.")],
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Replace a user's roles."""
    with connect(context, url, data_dir) as client:
        permission = _permit(client, _find(client, username)["id"], wanted)
    typer.echo(f"{username}: {', '.join(permission['roles'])}")


@app.command()
def password(
    context: typer.Context,
    username: Name,
    password_file: PasswordFile = None,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Give a user a new password, typed unseen or read from a file; its tokens and sessions end, and so does a lock."""
    wanted = {"new_password": _read_password(password_file)}
    with connect(context, url, data_dir) as client:
        client.call("POST", path_of("user", _find(client, username)["id"], "force-reset-password"), json=wanted)
    typer.echo(f"{username} has a new password")


@app.command()
def delete(context: typer.Context, username: Name, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """Delete a user; its tokens and sessions end at once."""
    with connect(context, url, data_dir) as client:
        client.call("DELETE", path_of("user", _find(client, username)["id"]))
    typer.echo(f"{username} is deleted")


def _find(client: Client, username: str) -> Json:
    """The user of this name. Raises ApiFailure."""
    wanted = username.strip().lower()
    found = [one for one in client.list_all("/user", username=wanted) if one["username"] == wanted]
    if not found:
        raise ApiFailure("there is no user of this name", hint="`habeas user list` shows who there is")
    return found[0]


def _permit(client: Client, user_id: str, wanted: list[Role]) -> Json:
    return client.call("PUT", path_of("user", user_id, "permission"), json={"roles": wanted})


def _read_password(file: Path | None) -> str:
    """The password of a file without its last line end, or typed twice. Raises InputError."""
    if file is not None:
        return read_text(file).removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise InputError("a password is needed", hint="give --password-file FILE (- is standard input)")
    return str(typer.prompt("password", hide_input=True, confirmation_prompt=True, err=True))


def _tell_state(user: Json) -> str:
    if user["disabled"]:
        return "disabled"
    return "active" if user["has_password"] else "invited"
