"""The project's documents as data: fenced blocks, and the console sessions they add up to.

A document is one session: its `console`, `bash`, `sql` and named file blocks happen in order, in one folder
and one shell. `console` holds commands after `$ ` (continued after `> `) and what they print, with `…` for
anything; `bash` holds commands alone; `sql` is what the database's owner runs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_AT_THE_ROOT = ("README.md", "CHANGELOG.md", "SECURITY.md")
DOCUMENTS = sorted([*(ROOT / name for name in _AT_THE_ROOT), *(ROOT / "docs").rglob("*.md")])
RUN = frozenset({"console", "bash", "sql"})
SHOWN = frozenset({"mermaid", "text"})
FILES = frozenset({"yaml", "toml", "json", "python"})

_BLOCK = re.compile(
    r"(?:^<!-- file: (?P<file>\S+) -->\n)?^(?P<indent> *)```(?P<language>\S*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `file` is set when a comment above it names the file it stands for."""

    language: str
    body: str
    file: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Command:
    """A command and what the document says it prints; None when it says nothing."""

    text: str
    output: str | None
    line: int


def read_blocks(text: str) -> Iterator[Block]:
    """Every fenced block in order."""
    for found in _BLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(found["language"], found["body"], found["file"], line)


def read_commands(block: Block) -> Iterator[Command]:
    """The commands of a runnable block; a file block and an SQL block become one command each."""
    if block.file is not None:
        yield Command(f"cat > {block.file} <<'END_OF_FILE'\n{block.body}END_OF_FILE", None, block.line)
    elif block.language == "sql":
        yield Command(f"run_sql <<'END_OF_SQL'\n{block.body}END_OF_SQL", None, block.line)
    elif block.language == "bash":
        yield Command(block.body, None, block.line)
    elif block.language == "console":
        yield from _read_console(block)


def _read_console(block: Block) -> Iterator[Command]:
    for part in re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        size = next((n for n, line in enumerate(lines[1:], 1) if not re.match(r"> |>$", line)), len(lines))
        command = "\n".join([lines[0], *(line[2:] for line in lines[1:size])])
        line = block.line + 1 + block.body[: block.body.index(part)].count("\n")
        yield Command(command, "\n".join(lines[size:]).strip() or None, line)


def matches(stated: str, printed: str) -> bool:
    """True when what was printed is what the document states; `…` stands for anything, on its own line for lines."""
    pattern = ""
    for line in stated.splitlines():
        if line.strip() == "…":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += ".*?".join(re.escape(piece.rstrip()) for piece in line.rstrip().split("…")) + r"[ ]*\n"
    return re.fullmatch(pattern, printed.strip() + "\n") is not None
