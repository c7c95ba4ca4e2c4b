-- The support desk: another database, which knows people only by the shop's `customers.support_id`.

CREATE TABLE agents (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    desk TEXT NOT NULL
);

CREATE TABLE tickets (
    id           INTEGER PRIMARY KEY,
    customer_ref TEXT NOT NULL,
    agent_id     INTEGER REFERENCES agents (id),
    subject      TEXT,
    opened_at    TEXT NOT NULL,
    status       TEXT NOT NULL
);
CREATE INDEX tickets_customer ON tickets (customer_ref);

CREATE TABLE messages (
    id        INTEGER PRIMARY KEY,
    ticket_id INTEGER NOT NULL REFERENCES tickets (id),
    author    TEXT,
    body      TEXT,
    sent_at   TEXT NOT NULL
);
CREATE INDEX messages_ticket ON messages (ticket_id);
