"""What others are to be told: messages to people and staff, deliveries to subscribers."""

import sqlalchemy as sa

from habeas.store.columns import Instant, counter, key, sealed, serial
from habeas.store.tables.metadata import metadata

messages = sa.Table(
    "message",
    metadata,
    key("id"),  # also what tells the provider that it is the same one again
    sa.Column("request_id", sa.String(64), index=True),
    sa.Column("event", sa.String(64), nullable=False),
    sa.Column("part", sa.String(256)),  # the dataset that an erasure e-mail is about
    sa.Column("channel", sa.String(16), nullable=False),  # email | sms
    sealed("sealed_recipient", "message.recipient:{id}"),  # gone when it is sent, as are its variables
    sealed("sealed_variables", "message.variables:{id}"),
    sa.Column("status", sa.String(16), nullable=False),  # intended | due | sent | failed
    counter("attempts"),
    sa.Column("due_at", sa.Double, nullable=False),  # epoch seconds; moving it forward is the claim
    sa.Column("failure", sa.Text),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("sent_at", Instant),
    sa.Index("ix_message_status_due_at", "status", "due_at"),
)

failures = sa.Table(
    "failure",
    metadata,
    serial(),
    sa.Column("request_id", sa.String(64), nullable=False, index=True),
    sa.Column("created_at", Instant, nullable=False),
    sa.Column("reported_at", Instant),  # to the staff
)

deliveries = sa.Table(
    "status_delivery",
    metadata,
    serial("number"),  # those of one request are sent in this order
    sa.Column("id", sa.String(64), nullable=False, unique=True),  # tells the receiver that it is the same again
    sa.Column("webhook_id", sa.ForeignKey("status_webhook.id", ondelete="CASCADE"), nullable=False),
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("status", sa.String(32), nullable=False),  # that the request came to
    sa.Column("policy_key", sa.String(256), nullable=False),
    sa.Column("happened_at", Instant, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),  # due | delivered | failed
    sa.Column("since", sa.Double, nullable=False),  # epoch seconds: when it was first due, or replayed
    sa.Column("due_at", sa.Double, nullable=False),  # moving it forward is the claim
    counter("attempts"),
    sa.Column("http_status", sa.Integer),  # of the last answer
    sa.Column("failure", sa.Text),
    sa.Column("tried_at", Instant),
    sa.Index("ix_status_delivery_webhook_id_state_due_at", "webhook_id", "state", "due_at"),
    sa.Index("ix_status_delivery_webhook_id_request_id_number", "webhook_id", "request_id", "number"),
)
