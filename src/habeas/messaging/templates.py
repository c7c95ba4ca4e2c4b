"""From a template and what an event tells to the texts of a message.

Templates are Jinja2, of which they may use what shows values: variables of the event and their parts, `if`, `for` and a
few filters. Everything else is refused before anything is rendered, and the sandbox stands behind that. Old spellings
such as `__CODE__` are read as variables.

A code stands in plain sight or not at all (`codes`). That is seen to each time, with a mark in its place, since other
values decide what a template shows; the code itself decides nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes, pass_eval_context
from jinja2.filters import do_join
from jinja2.nodes import EvalContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import escape

from habeas.domain.errors import InputError
from habeas.domain.message import Channel, Event
from habeas.messaging.codes import CODE, MARK, check_in_html, check_in_text
from habeas.messaging.defaults import COMMON, EXAMPLES, VARIABLES, Template
from habeas.messaging.plain_text import to_text

LONGEST = 100_000
"""Characters of a template, and of what it renders to."""

_STRAY = re.compile(r"<(?!(?:/?[a-z]|!doctype\b)[^<>]*>|!--[^<>]*-->)", re.IGNORECASE)
"""What is no tag, which readers of HTML stumble over, or take a time for that grows with its square."""

_ROUNDS = 10_000
"""Rounds of all loops of a text together."""

_OLD = {
    "__CODE__": "{{ code }}",
    "__MINUTES__": "{{ minutes }}",
    "__DENIAL_REASON__": "{{ reason }}",
    "__DOWNLOAD_LINK__": "{% for link in links %}{{ link.url }}{% if not loop.last %} {% endif %}{% endfor %}",
    "__DAYS__": "{{ days }}",
    "__ORGANIZATION_NAME__": "{{ organization }}",
}
_OLD_NAME = re.compile(r"__[A-Z][A-Z_]*?__")
_OLD_ANCHOR = re.compile(r"<a\b[^<>]*__DOWNLOAD_LINK__[^<>]*>.*?</a>", re.DOTALL | re.IGNORECASE)
_FILTERS = frozenset({"join", "length", "upper", "lower", "title", "default", "first", "last", "trim", "escape", "e"})
_NODES = (
    *(nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.For, nodes.If),
    *(nodes.Compare, nodes.Operand, nodes.Not, nodes.And, nodes.Or, nodes.Filter, nodes.CondExpr),
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The texts of a message; a text message has `text` alone."""

    subject: str
    text: str
    html: str


def check_template(event: Event, template: Template) -> None:
    """Raise InputError, naming the part and line, unless the template renders for this event."""
    for part, text in (("subject", template.subject), ("body", template.body), ("sms", template.sms)):
        _render(event, part, text, EXAMPLES)


def render(event: Event, channel: Channel, template: Template, variables: Mapping[str, object]) -> Rendered:
    """The texts for a channel; values are escaped in HTML. A variable that is not given is empty.

    Raises InputError when the template cannot be rendered, or has no text for this channel.
    """
    values = {name: variables.get(name, "") for name in (*COMMON, *VARIABLES[event])}
    if channel is Channel.SMS:
        if not template.sms:
            raise InputError(f"event {event} has no text message")
        return Rendered("", _render(event, "sms", template.sms, values).strip(), "")
    subject = " ".join(_render(event, "subject", template.subject, values).split())
    body = _render(event, "body", template.body, values)
    return Rendered(
        subject, to_text(body), f'<!doctype html><html><head><meta charset="utf-8"></head><body>{body}</body></html>'
    )


def _render(event: Event, part: str, text: str, values: Mapping[str, object]) -> str:
    known = (*COMMON, *VARIABLES[event])
    environment = ImmutableSandboxedEnvironment(autoescape=part == "body", undefined=StrictUndefined)
    environment.filters |= {_COUNTED: _Rounds().count, "join": _join}
    try:
        tree = environment.parse(_modernise(event, part, text))
        _check_nodes(part, tree, frozenset(known))
        for loop in list(tree.find_all(nodes.For)):
            loop.iter = nodes.Filter(loop.iter, _COUNTED, [], [], None, None, lineno=loop.lineno)
        shown = {name: values[name] for name in known} | ({CODE: MARK} if CODE in known else {})
        rendered = _gather(part, environment.from_string(tree).generate(shown))
    except TemplateSyntaxError as error:
        raise InputError(f"{part}, line {error.lineno}: {error.message}", hint="see its preview") from None
    except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError, RecursionError) as error:
        raise InputError(f"{part}: it cannot be rendered ({type(error).__name__})", hint="see its preview") from None
    if part == "body" and _STRAY.search(rendered):
        raise InputError("body: a < that begins no tag", hint="write &lt;")
    return _put_code(part, rendered, str(values[CODE])) if CODE in known else rendered


_COUNTED = "counted"
"""The name of the filter through which every loop goes; not among those that templates may name."""


class _Rounds:
    """Counts the rounds of loops: nested ones would else never come to an end."""

    def __init__(self) -> None:
        self._left = _ROUNDS

    def count(self, things: Iterable[object]) -> Iterator[object]:
        """The things one by one. Raises OverflowError when that is too much."""
        for thing in things:
            self._left -= 1
            if self._left < 0:
                raise OverflowError
            yield thing


@pass_eval_context
def _join(context: EvalContext, things: Sequence[object], between: str = "") -> str:
    """As Jinja's own, of lists. Raises TypeError for a text, OverflowError when it would come out too long."""
    if isinstance(things, str):
        raise TypeError
    if len(things) * len(between) > LONGEST:
        raise OverflowError
    joined: str = do_join(context, things, between)  # not `str(…)`: it is marked as escaped already
    return joined


def _gather(part: str, pieces: Iterable[str]) -> str:
    """The whole text. Raises InputError as soon as it is too long."""
    gathered, length = [], 0
    for piece in pieces:
        gathered.append(piece)
        length += len(piece)
        if length > LONGEST:
            raise InputError(f"{part}: it renders to more than {LONGEST} characters")
    return "".join(gathered)


def _put_code(part: str, rendered: str, code: str) -> str:
    """The text with the code in the places of the mark. Raises InputError when it must not stand there."""
    if part != "body":
        check_in_text(part, rendered)
        return rendered.replace(MARK, code)
    check_in_html(part, rendered)
    check_in_text(part, to_text(rendered))
    return rendered.replace(MARK, str(escape(code)))


def _modernise(event: Event, part: str, text: str) -> str:
    """The text with old spellings replaced. An anchor around the link is repeated for each link."""
    if len(text) > LONGEST:
        raise InputError(f"{part}: it is longer than {LONGEST} characters")

    def repeat(anchor: re.Match[str]) -> str:
        one = anchor[0].replace("__DOWNLOAD_LINK__", "{{ link.url }}")
        return f"{{% for link in links %}}{one}{{% if not loop.last %}}<br>{{% endif %}}{{% endfor %}}"

    def replace(found: re.Match[str]) -> str:
        if found[0] not in _OLD:
            line = text.count("\n", 0, found.start()) + 1
            raise InputError(f"{part}, line {line}: unknown variable {found[0]}", hint=_name_variables(event))
        return _OLD[found[0]]

    return _OLD_NAME.sub(replace, _OLD_ANCHOR.sub(repeat, text))


def _check_nodes(part: str, tree: nodes.Template, known: frozenset[str]) -> None:
    own = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"} | {"loop"}
    shown = [child for output in tree.find_all(nodes.Output) for child in output.nodes]
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _NODES):
            raise InputError(f"{part}, line {node.lineno}: {type(node).__name__} is not allowed in templates")
        if isinstance(node, nodes.Name) and node.name not in known | own:
            hint = f"known here are {', '.join(sorted(known))}"
            raise InputError(f"{part}, line {node.lineno}: unknown variable {node.name}", hint=hint)
        if isinstance(node, nodes.Name) and node.name == CODE and not any(node is child for child in shown):
            raise InputError(f"{part}, line {node.lineno}: {CODE} can only be shown, as {{{{ {CODE} }}}}")
        if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            raise InputError(f"{part}, line {node.lineno}: {node.attr} is not allowed in templates")
        if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            hint = f"known are {', '.join(sorted(_FILTERS))}"
            raise InputError(f"{part}, line {node.lineno}: filter {node.name} is not allowed", hint=hint)


def _name_variables(event: Event) -> str:
    return f"known here are {', '.join(sorted((*COMMON, *VARIABLES[event])))}"
