-- The support desk: a DuckDB file, which knows people only by the shop's `customers.support_id`.

CREATE TABLE agents (
    id   INTEGER PRIMARY KEY,
    name VARCHAR NOT NULL,
    desk VARCHAR NOT NULL
);

CREATE TABLE tickets (
    id           INTEGER PRIMARY KEY,
    customer_ref VARCHAR NOT NULL,
    agent_id     INTEGER,
    subject      VARCHAR,
    opened_at    TIMESTAMP NOT NULL,
    status       VARCHAR NOT NULL
);

CREATE TABLE messages (
    id        INTEGER PRIMARY KEY,
    ticket_id INTEGER NOT NULL,
    author    VARCHAR,
    body      VARCHAR,
    sent_at   TIMESTAMP NOT NULL
);
