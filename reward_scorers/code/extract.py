r"""Which program a model's text states.

The last complete program of the answer counts: what stands behind the reasoning and before an end
of turn, with line ends made \n. Looked at are, in this order:

1. fenced blocks tagged as Python (python, py, python3, py3, ...) or without a tag; blocks of other
   languages are not. Where a job says which names the program must define, those blocks that define
   one go first; else, for programs that read and write, those that print. Of these the last.
   With it come the blocks that define what it uses and does not define itself;
2. without a block, the text before a lone closing fence: the prompt may have opened the block;
3. the whole text, if it begins as code; else what follows the first line that does.

The first of them that Python can compile is run; if none can be, the first, whose error is told.
Nothing is parsed here: that is left to the sandbox.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Final

from reward_scorers.text import answer_part, fenced_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reward_scorers.text import Block

# Longer programs are not run: compiling takes memory far beyond their size.
MAX_CHARS: Final = 200_000
MAX_CANDIDATES: Final = 8

_PYTHON: Final = frozenset({"", "python", "py", "python3", "py3", "python2", "python3.11", "pycon"})
_TAG = re.compile(r"^\{?\.?([a-z0-9.]+)")
_PRINTS = re.compile(r"\bprint\b|\bstdout\b|\bos\.write\b")
_NAME = re.compile(r"[A-Za-z_]\w*")
_DEFINED = re.compile(r"^(?:async\s+def|def|class)\s+(\w+)", re.MULTILINE)
_FENCE = re.compile(r"^[ ]{0,3}(?:`{3,}|~{3,})[ \t]*[^\n]*$", re.MULTILINE)
_CODE_LINE = re.compile(
    r"^(?:def |class |import |from \w[\w.]* import |async def |@\w|if __name__|[A-Za-z_]\w* = )",
    re.MULTILINE,
)


def programs(text: str, names: Sequence[str] = ()) -> list[str]:
    """What may be the program, the likeliest first; empty if the text holds none.

    Args:
        text: what the model wrote, of any length and content.
        names: what the program must define, for a job that calls it.
    """
    said = answer_part(text)
    blocks = fenced_blocks(said)
    # Blocks in lists are indented as a whole.
    contents = [textwrap.dedent(block.content) for block in blocks if _is_python(block)]
    contents = [content for content in contents if content.strip()]
    found = _before_a_lone_fence(said, blocks)
    if contents:
        found += _ranked(contents, names)
    elif not any(block.closed for block in blocks):
        found += _without_blocks(said)
    unique = dict.fromkeys(program for program in found if len(program) <= MAX_CHARS)
    return list(unique)[:MAX_CANDIDATES]


def defines(program: str, name: str) -> bool:
    """Whether a text looks as if it defined a name at its top level."""
    pattern = rf"^(?:async\s+def|def|class)\s+{re.escape(name)}\b|^{re.escape(name)}\s*[:=]"
    return re.search(pattern, program, re.MULTILINE) is not None


def _is_python(block: Block) -> bool:
    tag = _TAG.match(block.language)
    language = tag[1] if tag else block.language
    return language in _PYTHON or language.endswith(".py")


def _ranked(contents: list[str], names: Sequence[str]) -> list[str]:
    latest = contents[::-1]
    if names:
        first = [program for program in latest if all(defines(program, name) for name in names)]
        first += [program for program in latest if any(defines(program, name) for name in names)]
    else:
        first = [program for program in latest if _PRINTS.search(program)]
    # With what they use of other blocks, and without.
    whole = [_with_its_parts(program, contents) for program in first[:2]]
    return [*whole, *first, *latest]


def _with_its_parts(program: str, contents: list[str]) -> str:
    """A block behind those that define what it uses and does not define itself."""
    taken = {contents.index(program)}
    defined = set(_DEFINED.findall(program))
    used = set(_NAME.findall(program))
    while True:
        more = {
            place
            for place, other in enumerate(contents)
            if place not in taken
            and (names := set(_DEFINED.findall(other))) & used - defined
            and not names & defined
        }
        if not more:
            return "\n\n".join(contents[place] for place in sorted(taken))
        place = max(more)  # the last word on what it defines
        taken.add(place)
        defined |= set(_DEFINED.findall(contents[place]))
        used |= set(_NAME.findall(contents[place]))


def _before_a_lone_fence(said: str, blocks: Sequence[Block]) -> list[str]:
    """The text before a fence that closes what the prompt has opened."""
    fence = _FENCE.search(said)
    if fence is None or len(blocks) != 1 or blocks[0].closed or blocks[0].language:
        return []
    before = said[: fence.start()]
    return [before] if _CODE_LINE.match(before.lstrip("\n")) else []


def _without_blocks(said: str) -> list[str]:
    found = []
    text = _FENCE.sub("", said)
    if (start := _CODE_LINE.search(text)) is not None:
        program = text[start.start() :]
        found = [program, _without_prose(program)]
    return [*found, text] if text.strip() else found


def _without_prose(program: str) -> str:
    """A program without the paragraph that explains it, behind its last indented or code line."""
    lines = program.split("\n")
    for place in range(len(lines) - 1, -1, -1):
        line = lines[place]
        indented = line.startswith((" ", "\t")) and line.strip()
        if indented or _CODE_LINE.match(line):
            return "\n".join(lines[: place + 1])
    return program
