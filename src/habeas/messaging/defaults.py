"""The templates that are shipped, and the variables of each event."""

from collections.abc import Mapping
from dataclasses import dataclass

from habeas.domain.message import Event

COMMON = ("organization", "request_id")

VARIABLES: Mapping[Event, tuple[str, ...]] = {
    Event.VERIFICATION: ("code", "minutes"),
    Event.RECEIPT: ("request_types",),
    Event.APPROVED: (),
    Event.DENIED: ("reason",),
    Event.ACCESS_COMPLETE: ("links", "days", "without_link"),
    Event.DELETION_COMPLETE: (),
    Event.ERRORS: ("count",),
    Event.ERASURE_INSTRUCTIONS: ("dataset", "collections"),
    Event.USER_INVITE: ("username", "code", "hours"),
    Event.PASSWORD_RESET: ("username", "code", "minutes"),
    Event.ADDRESS_CHANGED: ("username",),
    Event.TEST: (),
}


@dataclass(frozen=True, slots=True)
class Template:
    """Jinja2 texts: of an e-mail's subject, its HTML body, and the short message (none: that event sends none)."""

    label: str
    subject: str
    body: str
    sms: str = ""


_END = "<p>Request {{ request_id }}{% if organization %}<br>{{ organization }}{% endif %}</p>"
_BY = "{% if organization %}{{ organization }}: {% endif %}"
_LINK = (
    '<li><a href="{{ link.url }}">{% if links|length > 1 %}Package {{ loop.index }}{% else %}Your data{% endif %}</a>, '
    "until {{ link.expires_at }}</li>"
)
_LOCATORS = "{% for locator in collection.locators %}<li>{{ locator.field }}: {{ locator['values']|join(', ') }}</li>"
_WHAT = "{% if field.field == '*' %}whole rows{% else %}{{ field.field }} ({{ field.strategy }}){% endif %}"
_FIELDS = f"{{% for field in collection.fields %}}<li>{_WHAT}</li>{{% endfor %}}"

DEFAULTS: Mapping[Event, Template] = {
    Event.VERIFICATION: Template(
        "Identity verification",
        "Your one-time code",
        "<p>Your code is <strong>{{ code }}</strong>. It is valid for {{ minutes }} minutes.</p>"
        f"<p>If you asked for nothing, ignore this message.</p>{_END}",
        _BY + "your code is {{ code }}, valid for {{ minutes }} minutes.",
    ),
    Event.RECEIPT: Template(
        "Privacy request received",
        "Your request has been received",
        "<p>We have received your privacy request:</p>"
        f"<ul>{{% for one in request_types %}}<li>{{{{ one }}}}</li>{{% endfor %}}</ul>{_END}",
        _BY + "your privacy request has been received ({{ request_types|join(', ') }}).",
    ),
    Event.APPROVED: Template(
        "Privacy request approved",
        "Your request has been approved",
        f"<p>Your privacy request has been approved and is being carried out.</p>{_END}",
        _BY + "your privacy request has been approved.",
    ),
    Event.DENIED: Template(
        "Privacy request denied",
        "Your request has been denied",
        f"<p>Your privacy request has been denied{{% if reason %}}:</p><p>{{{{ reason }}}}{{% endif %}}</p>{_END}",
        _BY + "your privacy request has been denied{% if reason %}: {{ reason }}{% endif %}",
    ),
    Event.ACCESS_COMPLETE: Template(
        "Access complete",
        "Your data is ready",
        "{% if links %}<p>Your data is ready to be downloaded:</p>"
        f"<ul>{{% for link in links %}}{_LINK}{{% endfor %}}</ul>"
        "<p>Whoever has a link can open it: do not pass it on.</p>{% endif %}"
        "{% if without_link %}<p>Your data has been collected. Answer us, naming the request below, "
        f"and we hand it over.</p>{{% endif %}}{_END}",
        _BY + "your data is ready."
        "{% for link in links %} {{ link.url }} (until {{ link.expires_at }}){% endfor %}"
        "{% if without_link %} Ask us for it, naming {{ request_id }}.{% endif %}",
    ),
    Event.DELETION_COMPLETE: Template(
        "Deletion complete",
        "Your data has been deleted",
        f"<p>Your request for erasure has been carried out.</p>{_END}",
        _BY + "your request for erasure has been carried out.",
    ),
    Event.ERRORS: Template(
        "Requests in error",
        "{{ count }} privacy request{% if count != 1 %}s{% endif %} in error",
        "<p>{{ count }} privacy request{% if count != 1 %}s have{% else %} has{% endif %} ended in error "
        "since you were last told. Look at those of status <code>error</code>.</p>",
    ),
    Event.ERASURE_INSTRUCTIONS: Template(
        "Erasure instructions",
        "Data erasure request for {{ dataset }}",
        "<p>Please erase the personal data below in {{ dataset }}, and keep nothing that leads to it.</p>"
        "{% for collection in collections %}<h3>{{ collection.name }}</h3><p>Rows with any of:</p>"
        f"<ul>{_LOCATORS}{{% endfor %}}</ul>{{% if collection.fields %}}<p>Fields to erase:</p><ul>{_FIELDS}</ul>"
        "{% else %}<p>Nothing is to be erased here: rows of other collections are found through these.</p>{% endif %}"
        f"{{% endfor %}}{_END}",
    ),
    Event.USER_INVITE: Template(
        "Invitation of a user",
        "You are invited to work on privacy requests",
        "<p>{% if organization %}{{ organization }} invites you{% else %}You are invited{% endif %} to Habeas, where "
        "privacy requests are carried out. Your name there is <strong>{{ username }}</strong>.</p>"
        "<p>Choose a password with this code: <code>{{ code }}</code></p>"
        "<p>It can be used once, within {{ hours }} hours. Keep it to yourself.</p>",
    ),
    Event.PASSWORD_RESET: Template(
        "Password reset",
        "Choose a new password",
        "<p>Somebody, probably you, asked for a new password of {{ username }} at Habeas"
        "{% if organization %} ({{ organization }}){% endif %}.</p>"
        "<p>Choose one with this code: <code>{{ code }}</code></p>"
        "<p>It can be used once, within {{ minutes }} minutes. If you asked for nothing, ignore this message: "
        "your password stays as it is.</p>",
    ),
    Event.ADDRESS_CHANGED: Template(
        "Other address of a user",
        "Your e-mail address was changed",
        "<p>The e-mail address of {{ username }} at Habeas{% if organization %} ({{ organization }}){% endif %} is "
        "another one now, and this one is not written to any more.</p>"
        "<p>If that was not you, tell whoever runs Habeas at once: the account may be in other hands.</p>",
    ),
    Event.TEST: Template(
        "Test",
        "A test of Habeas",
        "<p>This message provider works.</p>",
        "This message provider works.",
    ),
}

_PERSON = "pri_00000000-0000-4000-8000-000000000000"

EXAMPLES: Mapping[str, object] = {
    "organization": "Example Ltd",
    "request_id": _PERSON,
    "code": "123456",
    "minutes": 10,
    "username": "ann",
    "hours": 72,
    "request_types": ["access"],
    "reason": "We could not verify who you are.",
    "links": [
        {"url": "https://storage.example.com/package-1", "expires_at": "2030-01-06 12:00 UTC"},
        {"url": "https://storage.example.com/package-2", "expires_at": "2030-01-06 12:00 UTC"},
    ],
    "days": 5,
    "without_link": 0,
    "count": 3,
    "dataset": "mailing_list",
    "collections": [
        {
            "name": "subscriber",
            "locators": [{"field": "email", "values": ["ann@example.com"]}],
            "fields": [{"field": "name", "strategy": "null_rewrite"}],
        }
    ],
}
"""Made-up values of every variable, for previews and for trying templates."""
