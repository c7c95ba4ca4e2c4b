"""The plain text of an e-mail, made from its HTML."""

import re
from html.parser import HTMLParser


class _TextOf(HTMLParser):
    """Gathers the text of HTML; links are followed by their address."""

    _BREAKS = frozenset({"p", "br", "li", "div", "h1", "h2", "h3", "tr"})

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self._BREAKS:
            self.parts.append("\n- " if tag == "li" else "\n")
        if tag == "a":
            self._addresses.append(dict(attrs).get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._addresses and (address := self._addresses.pop()):
            self.parts.append(f" ({address})")
        elif tag in ("p", "ul", "ol", "h3"):
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def to_text(html: str) -> str:
    """The plain text of an HTML body."""
    reader = _TextOf()
    reader.feed(html)
    reader.close()
    lines = [line.strip() for line in "".join(reader.parts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
