"""`habeas messaging`: who delivers messages to people."""

from typing import Annotated

import typer

from habeas.cli.printing import print_columns, print_json
from habeas.cli.secret_input import SecretsFile, read_pairs, read_secrets
from habeas.cli.server_options import LOCAL, AsJson, Url, connect
from habeas.cli.settings_option import DataDir
from habeas.client import path_of

app = typer.Typer(help="Message providers: who delivers e-mails and text messages.", no_args_is_help=True)

ProviderType = Annotated[str, typer.Argument(metavar="TYPE", help="smtp, mailgun or twilio_text.")]


@app.command()
def add(
    context: typer.Context,
    service_type: ProviderType,
    details: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Its details, e.g. host=mail.example.com.")
    ] = None,
    secrets_file: SecretsFile = None,
    as_json: AsJson = False,
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Add the provider of a type; the first of its channel that can send is active."""
    secrets = read_secrets(secrets_file)
    draft = {"service_type": service_type, "details": read_pairs(details or ())}
    with connect(context, url, data_dir) as client:
        saved = client.call("POST", "/messaging/config", json=draft)
        if secrets_file is not None:
            saved = client.call("PUT", path_of("messaging", "config", saved["key"], "secret"), json=secrets)
    if as_json:
        print_json(saved)
        return
    typer.echo(f"{saved['key']} is saved" + (" and active" if saved["active"] else ""))


@app.command("list")
def list_all(context: typer.Context, as_json: AsJson = False, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """List message providers."""
    with connect(context, url, data_dir) as client:
        found = client.list_all("/messaging/config")
    if as_json:
        print_json(found)
        return
    said = {(True, True): "active", (True, False): "ready"}
    rows = ((one["key"], one["channel"], said.get((one["ready"], one["active"]), "lacks secrets")) for one in found)
    print_columns(("key", "channel", "state"), rows)


@app.command()
def activate(context: typer.Context, service_type: ProviderType, url: Url = LOCAL, data_dir: DataDir = None) -> None:
    """Let the messages of its channel go by this provider alone."""
    with connect(context, url, data_dir) as client:
        saved = client.call("PUT", "/messaging/default/active", json={"service_type": service_type})
    typer.echo(f"{saved['key']} is active")


@app.command()
def test(
    context: typer.Context,
    service_type: ProviderType,
    recipient: Annotated[str, typer.Argument(help="E-mail address, or phone number with +.")],
    url: Url = LOCAL,
    data_dir: DataDir = None,
) -> None:
    """Send a test message now."""
    identity = {"email" if "@" in recipient else "phone_number": recipient}
    with connect(context, url, data_dir) as client:
        done = client.call("POST", path_of("messaging", "test", service_type), json=identity)
    typer.echo(done["details"])
