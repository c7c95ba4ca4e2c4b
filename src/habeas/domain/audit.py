"""What the audit log tells of: deeds and the kinds of things that they are done to."""

from enum import StrEnum


class AuditAction(StrEnum):
    """What was done."""

    # to privacy requests
    CREATED = "created"
    VERIFIED = "verified"
    APPROVED = "approved"
    DENIED = "denied"
    CANCELED = "canceled"
    RETRIED = "retried"
    RESUMED = "resumed"
    INPUT_UPLOADED = "input_uploaded"
    DATA_VIEWED = "data_viewed"
    NOTED = "noted"
    EMAIL_SENT = "email_sent"
    EXTENDED = "extended"
    CLOCK_STOPPED = "clock_stopped"
    CLOCK_STARTED = "clock_started"
    DOWNLOADED = "downloaded"
    FINISHED = "finished"
    # to what they rely on
    SAVED = "saved"
    DELETED = "deleted"
    SECRET_CHANGED = "secret_changed"  # noqa: S105  # a word, no secret
    TESTED = "tested"
    PAUSED = "paused"
    ACTIVATED = "activated"
    # to those who may do it
    PERMITTED = "permitted"
    LOGGED_IN = "logged_in"
    LOGIN_FAILED = "login_failed"
    LOGGED_OUT = "logged_out"
    TOKEN_ISSUED = "token_issued"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    KEYS_ROTATED = "keys_rotated"


class ObjectKind(StrEnum):
    """What it was done to."""

    PRIVACY_REQUEST = "privacy_request"
    CLIENT = "client"
    USER = "user"
    CONNECTION = "connection"
    DATASET = "dataset"
    STORAGE = "storage"
    POLICY = "policy"
    RULE = "rule"
    RULE_TARGET = "rule_target"
    WEBHOOK = "webhook"
    MANUAL_WEBHOOK = "manual_webhook"
    MESSAGE_PROVIDER = "message_provider"
    MESSAGE_TEMPLATE = "message_template"
    STAFF_NOTICE = "staff_notice"
    CONFIGURATION = "configuration"
    STATUS_WEBHOOK = "status_webhook"
    ENCRYPTION_KEY = "encryption_key"
