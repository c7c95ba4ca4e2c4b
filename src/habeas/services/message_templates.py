"""Templates of messages: those that are shipped, and what users put in their place (control-plane §4.5)."""

from collections.abc import Sequence
from dataclasses import dataclass

from habeas.domain.audit import AuditAction, ObjectKind
from habeas.domain.errors import HabeasError, NotFound
from habeas.domain.message import Channel, Event
from habeas.execution.context import Context
from habeas.execution.sending import effective_template
from habeas.messaging.defaults import DEFAULTS, EXAMPLES, Template
from habeas.services import audit, tokens
from habeas.services.bulk import BulkResult, Failure, make_id, refuse_nul
from habeas.services.users import MAKES_OWNERS
from habeas.store import messages
from habeas.store.configurations import Record
from habeas.store.ledger import take_turn

USER_EVENTS = frozenset({Event.USER_INVITE, Event.PASSWORD_RESET, Event.ADDRESS_CHANGED})
"""What is told about accounts, owners' too, and the codes that open them: changed only by who may make owners."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateContent:
    """Jinja2 texts: an e-mail's subject and HTML body, and the text message where the event has one."""

    subject: str
    body: str
    sms: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateDraft:
    """A template as submitted."""

    type: Event
    content: TemplateContent
    is_enabled: bool = True


@dataclass(frozen=True, slots=True)
class TemplateView:
    """What messages of an event are made from. `id`: null for the shipped one."""

    id: str | None
    type: Event
    label: str
    content: TemplateContent
    is_enabled: bool


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """A message as it would be, with made-up values."""

    subject: str
    text: str
    html: str


def list_templates(context: Context) -> list[TemplateView]:
    """The template of every event."""
    with context.ledger.read() as connection:
        own = {Event(record.event): record for record in messages.list_templates(connection)}
    return [_show(event, own.get(event)) for event in Event]


def save_templates(context: Context, drafts: Sequence[TemplateDraft]) -> BulkResult[TemplateView]:
    """Put templates in the place of others; what cannot be rendered or needs more scopes is a failed entry."""
    from habeas.messaging.templates import check_template

    failed: list[Failure] = []
    sound: list[Event] = []
    with context.ledger.write() as connection:
        take_turn(connection)
        for draft in drafts:
            content = draft.content
            try:
                _check_may_change(context, draft.type)
                refuse_nul(content)
                shipped = DEFAULTS[draft.type]
                check_template(
                    draft.type, Template(shipped.label, content.subject, content.body, content.sms or shipped.sms)
                )
            except HabeasError as error:
                failed.append(Failure(str(error), draft))
                continue
            values = {"subject": content.subject, "body": content.body, "sms": content.sms, "enabled": draft.is_enabled}
            messages.save_template(connection, draft.type, make_id("tpl"), values, context.clock.now())
            sound.append(draft.type)
        audit.record(context, connection, AuditAction.SAVED, ObjectKind.MESSAGE_TEMPLATE, *sound)
        own = {Event(record.event): record for record in messages.list_templates(connection)}
    return BulkResult([_show(event, own[event]) for event in sound], failed)


def find_template(context: Context, template_id: str) -> TemplateView:
    """A template of users. Raises NotFound."""
    with context.ledger.read() as connection:
        own = {record.id: record for record in messages.list_templates(connection)}
    if template_id not in own:
        raise _unknown(template_id)
    return _show(Event(own[template_id].event), own[template_id])


def default_template(event: Event) -> TemplateView:
    """The shipped template of an event."""
    return _show(event, None)


def delete_template(context: Context, template_id: str) -> None:
    """Let the shipped template stand again. Raises NotFound, NotAllowed."""
    with context.ledger.write() as connection:
        own = {record.id: record for record in messages.list_templates(connection)}
        if template_id not in own:
            raise _unknown(template_id)
        event = Event(own[template_id].event)
        _check_may_change(context, event)
        messages.delete_template(connection, template_id)
        audit.record(context, connection, AuditAction.DELETED, ObjectKind.MESSAGE_TEMPLATE, event)


def preview(draft: TemplateDraft, channel: Channel = Channel.EMAIL) -> RenderedMessage:
    """The message that a template would make, with made-up values; nothing is saved or sent. Raises InputError."""
    from habeas.messaging.templates import render

    shipped, content = DEFAULTS[draft.type], draft.content
    template = Template(shipped.label, content.subject, content.body, content.sms or shipped.sms)
    made = render(draft.type, channel, template, EXAMPLES)
    return RenderedMessage(made.subject, made.text, made.html)


def _check_may_change(context: Context, event: Event) -> None:
    """Raises NotAllowed."""
    if event in USER_EVENTS:
        tokens.check_holds(context.actor, MAKES_OWNERS)


def _show(event: Event, own: Record | None) -> TemplateView:
    template = effective_template(event, own)
    content = TemplateContent(subject=template.subject, body=template.body, sms=template.sms or None)
    return TemplateView(None if own is None else own.id, event, template.label, content, own is None or own.enabled)


def _unknown(template_id: str) -> NotFound:
    return NotFound(f"there is no template {template_id[:64]!r}", hint="GET /api/v1/messaging/templates lists them")
