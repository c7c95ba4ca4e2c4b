-- The sample company's shop. Dates are ISO text, money is whole cents.

CREATE TABLE addresses (
    id          INTEGER PRIMARY KEY,
    street      TEXT,
    city        TEXT,
    postal_code TEXT,
    country     TEXT NOT NULL
);

CREATE TABLE customers (
    id         INTEGER PRIMARY KEY,
    email      TEXT NOT NULL UNIQUE,
    first_name TEXT NOT NULL,
    last_name  TEXT NOT NULL,
    phone      TEXT,
    birth_date TEXT,
    address_id INTEGER REFERENCES addresses (id),
    support_id TEXT,          -- what the support desk calls this person
    tier       TEXT NOT NULL,
    joined_at  TEXT NOT NULL
);
CREATE INDEX customers_phone ON customers (phone);
CREATE INDEX customers_address ON customers (address_id);
CREATE INDEX customers_support ON customers (support_id);

CREATE TABLE products (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL,
    shelf TEXT NOT NULL,
    cents INTEGER NOT NULL
);

CREATE TABLE orders (
    id                  INTEGER PRIMARY KEY,
    customer_id         INTEGER NOT NULL REFERENCES customers (id),
    shipping_address_id INTEGER REFERENCES addresses (id),
    placed_at           TEXT NOT NULL,
    invoice_name        TEXT NOT NULL,  -- kept: tax law wants invoices unchanged
    delivery_note       TEXT,
    total_cents         INTEGER NOT NULL
);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX orders_address ON orders (shipping_address_id);

CREATE TABLE order_items (              -- no primary key, and lines may repeat
    order_id   INTEGER NOT NULL REFERENCES orders (id),
    product_id INTEGER NOT NULL REFERENCES products (id),
    quantity   INTEGER NOT NULL
);
CREATE INDEX order_items_order ON order_items (order_id);

CREATE TABLE payment_cards (
    id                 INTEGER PRIMARY KEY,
    customer_id        INTEGER NOT NULL REFERENCES customers (id),
    billing_address_id INTEGER REFERENCES addresses (id),
    holder             TEXT,
    number             TEXT,
    expires            TEXT
);
CREATE INDEX payment_cards_customer ON payment_cards (customer_id);
CREATE INDEX payment_cards_address ON payment_cards (billing_address_id);

CREATE TABLE logins (
    id           INTEGER PRIMARY KEY,
    customer_id  INTEGER NOT NULL REFERENCES customers (id),
    ip_address   TEXT,
    device       TEXT,
    logged_in_at TEXT NOT NULL
);
CREATE INDEX logins_customer ON logins (customer_id);

CREATE TABLE reviews (
    id          INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    product_id  INTEGER NOT NULL REFERENCES products (id),
    stars       INTEGER NOT NULL,
    body        TEXT
);
CREATE INDEX reviews_customer ON reviews (customer_id);

CREATE TABLE visits (                   -- written by the web server, which knows mail addresses only
    id         INTEGER PRIMARY KEY,
    email      TEXT NOT NULL,
    page       TEXT NOT NULL,
    visited_at TEXT NOT NULL
);
CREATE INDEX visits_email ON visits (email);
