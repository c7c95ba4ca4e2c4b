-- The support desk: a DuckDB file, which knows people only by the shop's `customers.support_id`.

CREATE TABLE agents (
    id   INTEGER PRIMARY KEY,
    name VARCHAR NOT NULL,
    desk VARCHAR NOT NULL
);

CREATE TABLE tickets (                  -- a customer's own, with all that was said
    id           INTEGER PRIMARY KEY,
    customer_ref VARCHAR NOT NULL,
    agent_id     INTEGER,
    subject      VARCHAR,
    messages     STRUCT(author VARCHAR, body VARCHAR, sent_at TIMESTAMP)[],
    opened_at    TIMESTAMP NOT NULL,
    status       VARCHAR NOT NULL
);

CREATE TABLE threads (                  -- of the forum, where customers help one another
    id    INTEGER PRIMARY KEY,
    topic VARCHAR NOT NULL,
    posts STRUCT(writer VARCHAR, author VARCHAR, body VARCHAR, written_at TIMESTAMP)[]
);
