"""Where the code of a message may stand: in its text, as a word of its own, and nowhere else.

Whoever writes templates could otherwise have codes brought to them: by a picture whose address holds one, as soon as a
mail program shows the message, or by a link that it makes of the text.
"""

import re
from html.parser import HTMLParser

from habeas.domain.errors import InputError

CODE = "code"
"""The variable."""
MARK = "CODEMARK"
"""Stands for a code while its place is looked at."""

_TAGS = frozenset(
    {
        *(
            "a",
            "abbr",
            "b",
            "blockquote",
            "br",
            "center",
            "code",
            "div",
            "em",
            "font",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
        ),
        *("hr", "i", "img", "li", "ol", "p", "pre", "small", "span", "strong", "sub", "sup", "u", "ul"),
        *("table", "tbody", "td", "tfoot", "th", "thead", "tr"),
    }
)
"""What can neither hide text nor run, load or send anything by it."""
_OF_ADDRESSES = re.compile(r"[/.?=&@%#\\]")


def check_in_text(part: str, text: str) -> None:
    """Raise InputError unless MARK stands in words that no program takes for an address."""
    for word in text.split():
        if MARK in word and _OF_ADDRESSES.search(word.rstrip(".,;:!?)]\"'")):
            raise InputError(f"{part}: the code is part of an address", hint="put blanks around {{ code }}")


def check_in_html(part: str, body: str) -> None:
    """Raise InputError unless MARK stands between tags, and nothing is there that programs could read in two ways."""
    if MARK not in body:
        return
    reader = _Reader()
    reader.feed(body + "</body>")
    reader.close()
    if reader.odd:
        raise InputError(f"{part}: a message with a code cannot hold {reader.odd[0]}", hint="keep its HTML simple")
    if reader.shown < body.count(MARK):
        raise InputError(f"{part}: the code stands inside of a tag", hint="put {{ code }} into the text")


class _Reader(HTMLParser):
    """Counts the marks in the text, and notes what must not be in such a message."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.shown = 0
        self.odd: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        raw = self.get_starttag_text() or ""
        if tag not in _TAGS:
            self.odd.append("elements but " + ", ".join(sorted(_TAGS)))
        if "<" in raw[1:] or ">" in raw[:-1]:
            self.odd.append("< or > inside of a tag")

    def handle_data(self, data: str) -> None:
        self.shown += data.count(MARK)
        if "<" in data:
            self.odd.append("a < that begins no tag")

    def handle_comment(self, data: str) -> None:
        self.odd.append("comments")

    def handle_decl(self, decl: str) -> None:
        self.odd.append("declarations")

    def unknown_decl(self, data: str) -> None:
        self.odd.append("declarations")

    def handle_pi(self, data: str) -> None:
        self.odd.append("instructions")
