"""Templates of messages: what is shipped renders, what would break out of the sandbox is refused with its place."""

import re

import pytest

from habeas.domain.errors import InputError
from habeas.domain.message import Channel, Event
from habeas.messaging.defaults import DEFAULTS, EXAMPLES, Template
from habeas.messaging.templates import check_template, render


@pytest.mark.parametrize("event", Event)
def test_what_is_shipped_renders(event: Event) -> None:
    check_template(event, DEFAULTS[event])
    mail = render(event, Channel.EMAIL, DEFAULTS[event], EXAMPLES)
    for text in (mail.subject, mail.text, mail.html):
        assert text.strip()
        assert not re.search(r"{{|{%|__[A-Z]", text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ ''['__class__'].__mro__ }}",
        "{{ code.__class__.__base__.__subclasses__() }}",
        "{{ code['__class__']() }}",
        "{{ code|attr('__class__') }}",
        "{{ code.format(code) }}",
        "{% import 'x' as x %}",
        "{% include '/etc/passwd' %}",
        "{% for n in range(1000000000) %}{{ n }}{% endfor %}",
        "{{ 'x' * 1000000000 }}",
        "{% set x = code %}",
        "{% macro m() %}{% endmacro %}",
        "{{ self }}",
        "{{ cycler }}",
        "{{ code",
    ],
)
def test_what_would_break_out_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(InputError, match=r"^body, line 2: "):
        check_template(Event.VERIFICATION, Template("x", "x", f"first\n{text}"))


def test_old_spellings_are_variables() -> None:
    own = Template("x", "Code __CODE__", "<p>__CODE__ for __MINUTES__ minutes</p>")
    check_template(Event.VERIFICATION, own)
    mail = render(Event.VERIFICATION, Channel.EMAIL, own, {"code": "123456", "minutes": 10})
    assert mail.subject == "Code 123456"
    assert mail.text == "123456 for 10 minutes\n"


def test_values_are_escaped_in_html_and_plain_in_text() -> None:
    mail = render(Event.DENIED, Channel.EMAIL, DEFAULTS[Event.DENIED], {"reason": "<script>a & b</script>"})
    assert "&lt;script&gt;a &amp; b" in mail.html
    assert "<script>a & b</script>" in mail.text


@pytest.mark.parametrize("channel", Channel)
def test_an_access_message_shows_each_link_and_its_end(channel: Channel) -> None:
    links = [
        {"url": "https://storage.example.com/1?a=1&b=2", "expires_at": "2030-01-06 12:00 UTC"},
        {"url": "https://storage.example.com/2", "expires_at": "2030-01-07 12:00 UTC"},
    ]
    mail = render(Event.ACCESS_COMPLETE, channel, DEFAULTS[Event.ACCESS_COMPLETE], {"links": links, "days": 5})
    for link in links:
        assert link["url"] in mail.text
        assert link["expires_at"] in mail.text
