"""Invents the sample company's people and what they did. Pure: the same number of people gives the same rows.

Some people are there for a reason (data-plane §9): see the constants. Must not know files, SQL or the engine.
"""

import random
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

Row = tuple[object, ...]


class Customer(NamedTuple):
    """A row of `customers`, as in the schema."""

    id: int
    email: str
    first_name: str
    last_name: str
    phone: str | None
    birth_date: str | None
    address_id: int | None
    support_id: str | None
    tier: str
    joined_at: str


PROTAGONIST = "ada.lindqvist@example.com"

KEY_ZERO = 0
"""A person whose key is 0, which is a key like any other."""
ADA = 7
"""The protagonist; none of her fields is empty, nobody shares her addresses, and she posts in three threads."""
HOUSEHOLD = (11, 12)
"""Two people with one address, as every tenth household."""
NO_ORDERS = 13
ONLY_NEEDED = 14
"""A person who left every optional field empty."""
UPPER_CASE = 15
"""A person whose mail address was stored with upper-case letters."""
FEWEST_PEOPLE = 16

_ADAS_POSTS = {1: (1,), 2: (1, 3), 3: (2,)}
"""Places of her posts by thread; others wrote before and after them."""

_TODAY = date(2026, 1, 1)
_PRODUCTS = 160

# fmt: off
_FIRST = (
    "Aino", "Amara", "Björn", "Carla", "Chidi", "Clara", "Daniel", "Dilek", "Elif", "Emeka", "Eva", "Felix",
    "Freja", "Giulia", "Hana", "Hugo", "Ines", "Ivan", "Jonas", "Kofi", "Lea", "Linnea", "Luca", "Maja", "Malik",
    "Marta", "Mei", "Milan", "Nadia", "Noah", "Nora", "Olga", "Omar", "Petra", "Rafael", "Rosa", "Sami", "Sofia",
    "Tomas", "Yuki",
)
_LAST = (
    "Andersson", "Bauer", "Bianchi", "Costa", "Demir", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad",
    "Horvat", "Ito", "Jansen", "Kaya", "Kovács", "Larsen", "Lopez", "Martin", "Mensah", "Moreau", "Nagy", "Nilsen",
    "Novak", "Okafor", "Olsen", "Park", "Petrov", "Popescu", "Rossi", "Sato", "Schmidt", "Silva", "Tanaka",
    "Varga", "Virtanen", "Weber", "Wójcik", "Yilmaz", "Zhang", "Ziegler",
)
_STREETS = (
    "Ash Lane", "Canal Street", "Castle Road", "Church Walk", "Hill Street", "Lake View", "Market Square",
    "Mill Road",
)
_CITIES = (
    ("Aarhus", "DK"), ("Bologna", "IT"), ("Ghent", "BE"), ("Graz", "AT"), ("Leipzig", "DE"), ("Lyon", "FR"),
    ("Porto", "PT"), ("Tartu", "EE"), ("Turku", "FI"), ("Uppsala", "SE"),
)
_STYLES = ("birch", "blue", "brass", "copper", "green", "linen", "oak", "red", "stone", "white", "wool")
_THINGS = (
    "basket", "blanket", "bowl", "candle", "chair", "clock", "cushion", "desk", "kettle", "lamp", "mirror", "mug",
    "rug", "shelf", "stool", "table", "tray",
)
_DEVICES = ("Android phone", "Chromebook", "iPad", "iPhone", "Linux laptop", "MacBook", "Windows laptop")
_PAGES = ("/", "/lamps", "/rugs", "/sale", "/chairs", "/account", "/basket", "/kettles")
_NOTES = (
    "Leave it with the neighbour.", "Ring twice, please.", "The bell is broken, call me.", "Behind the blue gate.",
)
_REVIEWS = (
    "Just as in the picture.", "Late, but well packed.", "Smaller than I thought.", "My mother wants one too.",
)
_SUBJECTS = ("Where is my parcel?", "Wrong colour", "A refund, please", "I have moved", "Broken on arrival")
_QUESTIONS = (
    "I moved last week and nothing has come.", "Please call me in the evening.", "I sent you a photo of it.",
)
_ANSWERS = (
    "Thank you for writing, we are looking into it.", "A new one is on its way.", "We have refunded your card.",
)
_TOPICS = (
    "Cleaning copper", "Lamps for a dark hall", "My oak table has a stain", "Which rug for a dog?", "Your best buy",
)
_POSTS = (
    "A drop of oil helps.", "I have the same question.", "It took me a whole Sunday.", "Mine came in another colour.",
    "Thank you, that helped!", "Try lemon and salt.",
)
# fmt: on


def invent_customers(people: int) -> list[Customer]:
    """The people themselves, with keys from 0."""
    return [_invent_customer(person) for person in range(people)]


def invent_shop(customers: Sequence[Customer]) -> dict[str, Sequence[Row]]:
    """Rows by table of `shop.sql`, parents before children, columns in the order of the schema."""
    people = len(customers)
    gift_address = people + 1
    homes = [_invent_address(person + 1) for person in range(people) if not _lives_with_previous(person)]
    products = [_invent_product(number) for number in range(1, _PRODUCTS + 1)]
    orders, items = _invent_orders(customers, gift_address)
    return {
        "addresses": [*homes, _invent_address(gift_address)],
        "customers": customers,
        "products": products,
        "orders": orders,
        "order_items": items,
        "payment_cards": _invent_cards(customers),
        "logins": _invent_logins(customers),
        "reviews": _invent_reviews(customers),
        "visits": _invent_visits(customers),
    }


def invent_support(customers: Sequence[Customer]) -> dict[str, Sequence[Row]]:
    """Rows by table of `support.sql` for the customers of the shop."""
    chance = _chance("support")
    known = [customer for customer in customers if customer.support_id is not None]
    agents: list[Row] = [(number, chance.choice(_FIRST), f"desk {number % 3 + 1}") for number in range(1, 13)]
    tickets: list[Row] = []
    for customer in known:
        for _ in range(2 if customer.id == ADA else chance.choice((0, 0, 0, 1, 2))):
            tickets.append(_invent_ticket(len(tickets) + 1, customer, chance))
    return {"agents": agents, "tickets": tickets, "threads": _invent_threads(known)}


def _invent_customer(person: int) -> Customer:
    chance = _chance(f"customer {person}")
    first, last = ("Ada", "Lindqvist") if person == ADA else (chance.choice(_FIRST), chance.choice(_LAST))
    email = PROTAGONIST if person == ADA else _ascii(f"{first}.{last}.{person}@example.org").lower()
    if person == UPPER_CASE:
        email = _ascii(f"{first}.{last}.{person}@Example.ORG")
    tier, joined = chance.choice(("basic", "basic", "silver", "gold")), _moment(chance)[:10]
    born = (_TODAY - timedelta(days=chance.randint(18 * 365, 80 * 365))).isoformat()
    if person == ONLY_NEEDED:
        return Customer(person, email, first, last, None, None, None, None, tier, joined)
    return Customer(
        person, email, first, last, f"+1555{person:07d}", born, _home(person), f"S-{person:06d}", tier, joined
    )


def _lives_with_previous(person: int) -> bool:
    return person % 10 == HOUSEHOLD[1] % 10 and person > 0


def _home(person: int) -> int:
    return person if _lives_with_previous(person) else person + 1


def _invent_address(number: int) -> Row:
    chance = _chance(f"address {number}")
    city, country = chance.choice(_CITIES)
    return (
        number,
        f"{chance.choice(_STREETS)} {chance.randint(1, 120)}",
        city,
        f"{chance.randint(1000, 99999)}",
        country,
    )


def _invent_product(number: int) -> Row:
    chance = _chance(f"product {number}")
    name = f"{_STYLES[number % len(_STYLES)]} {_THINGS[number % len(_THINGS)]}"
    return (number, name, f"{chance.choice('ABCDEF')}{chance.randint(1, 40)}", _price(number))


def _price(product: int) -> int:
    return _chance(f"price {product}").randint(4, 400) * 100 - 1


def _invent_orders(customers: Sequence[Customer], gift_address: int) -> tuple[list[Row], list[Row]]:
    chance = _chance("orders")
    orders: list[Row] = []
    items: list[Row] = []
    for customer in customers:
        person, home = customer.id, customer.address_id
        for place in range({ADA: 4, KEY_ZERO: 2, NO_ORDERS: 0}.get(person, chance.randint(0, 5))):
            order = len(orders) + 1
            lines = [(order, chance.randint(1, _PRODUCTS), chance.randint(1, 3)) for _ in range(chance.randint(1, 4))]
            lines += lines[:1] if place == 0 else []  # the same line twice: without a key they are still two
            items += lines
            total = sum(quantity * _price(product) for _, product, quantity in lines)
            note = chance.choice(_NOTES) if person == ADA or (home and chance.random() < 0.3) else None
            ship_to = gift_address if person == ADA and place == 3 else home
            orders.append((order, person, ship_to, _moment(chance), _full_name(customer), note, total))
    return orders, items


def _invent_cards(customers: Sequence[Customer]) -> list[Row]:
    chance = _chance("cards")
    rows: list[Row] = []
    for customer in customers:
        person, home = customer.id, customer.address_id
        for _ in range(2 if person == ADA else chance.choice((0, 1, 1, 2)) if home else 0):
            number = f"4000 {chance.randint(0, 9999):04d} {chance.randint(0, 9999):04d} {chance.randint(0, 9999):04d}"
            expires = f"{chance.randint(1, 12):02d}/{chance.randint(2027, 2031)}"
            rows.append((len(rows) + 1, person, home, _full_name(customer), number, expires))
    return rows


def _invent_logins(customers: Sequence[Customer]) -> list[Row]:
    chance = _chance("logins")
    rows: list[Row] = []
    for customer in customers:
        for _ in range(5 if customer.id == ADA else chance.randint(0, 5)):
            address = f"198.51.100.{chance.randint(1, 254)}"
            rows.append((len(rows) + 1, customer.id, address, chance.choice(_DEVICES), _moment(chance)))
    return rows


def _invent_reviews(customers: Sequence[Customer]) -> list[Row]:
    chance = _chance("reviews")
    rows: list[Row] = []
    for customer in customers:
        for _ in range(2 if customer.id == ADA else chance.choice((0, 0, 1))):
            product, stars = chance.randint(1, _PRODUCTS), chance.randint(1, 5)
            rows.append((len(rows) + 1, customer.id, product, stars, chance.choice(_REVIEWS)))
    return rows


def _invent_visits(customers: Sequence[Customer]) -> list[Row]:
    chance = _chance("visits")
    rows: list[Row] = []
    for customer in customers:
        for _ in range(3 if customer.id == ADA else chance.randint(0, 4)):
            rows.append((len(rows) + 1, customer.email, chance.choice(_PAGES), _moment(chance)))
    return rows


def _invent_ticket(number: int, customer: Customer, chance: random.Random) -> Row:
    opened, status = _moment(chance), chance.choice(("open", "closed"))
    messages = [
        {
            "author": "Support desk" if said is _ANSWERS else _full_name(customer),
            "body": chance.choice(said),
            "sent_at": opened,
        }
        for said in (_QUESTIONS, _ANSWERS, _QUESTIONS)[: 3 if customer.id == ADA else chance.randint(1, 3)]
    ]
    agent, subject = chance.randint(1, 12), chance.choice(_SUBJECTS)
    return (number, customer.support_id, agent, subject, messages, opened, status)


def _invent_threads(known: Sequence[Customer]) -> list[Row]:
    chance = _chance("threads")
    others = [customer for customer in known if customer.id != ADA]
    ada = next(customer for customer in known if customer.id == ADA)
    rows: list[Row] = []
    for number in range(1, max(len(known) // 10, len(_ADAS_POSTS)) + 1):
        posts = [_invent_post(chance.choice(others), chance) for _ in range(chance.randint(2, 4))]
        for place in _ADAS_POSTS.get(number, ()):
            hers = _invent_post(ada, chance)
            # whoever went before her used the very same words: they are not hers
            posts[place - 1]["body"] = hers["body"]
            posts.insert(place, hers)
        rows.append((number, chance.choice(_TOPICS), posts))
    return rows


def _invent_post(customer: Customer, chance: random.Random) -> dict[str, object]:
    body, written = chance.choice(_POSTS), _moment(chance)
    return {"writer": customer.support_id, "author": _full_name(customer), "body": body, "written_at": written}


def _full_name(customer: Customer) -> str:
    return f"{customer.first_name} {customer.last_name}"


def _chance(about: str) -> random.Random:
    return random.Random(about)  # noqa: S311 (invented people, not secrets)


def _moment(chance: random.Random) -> str:
    seconds = chance.randint(0, 3 * 365 * 24 * 3600)
    return (datetime.combine(_TODAY, datetime.min.time()) - timedelta(seconds=seconds)).isoformat()


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
