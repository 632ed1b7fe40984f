r"""Scorer `multiple_choice`: which option a text gives as its answer, if it gives one.

Example row (SuperGPQA in the Guru data): the question ends with "Options are:\n(A): 0.36g\n(B):
0.58g ..." and "put your final answer option within \boxed{}", the reference is "I".

A statement is \boxed{X} or "Answer: X", also in the languages of multilingual MMLU
(`reward_scorers.stem.stated`). X is a letter, also bold, in parentheses or quotes, or full-width;
a letter with its option's text behind it; or, where the row holds the options, the text of exactly
one of them. A letter with the text of another option behind it is wrong. The last statement that
can be read counts. A letter is never guessed from running text: "the answer is B" is no statement,
neither is "Answer: A man ..." (an article). Several letters, whatever stands between them, and
several letters with their texts are no answer.

The rule is this package's own. The prompts whose answers it reads are those of simple-evals
("Answer: $LETTER", github.com/openai/simple-evals) and of the Guru data (arXiv 2506.14965).
"""

from __future__ import annotations

import re
import unicodedata
from itertools import islice
from typing import Any, Final

from reward_scorers.errors import GroundTruthError
from reward_scorers.registry import Context, Outcome, register, verdict
from reward_scorers.stem.options import Options, options_of
from reward_scorers.stem.stated import Statement, statements
from reward_scorers.text import answer_part, shown
from reward_scorers.values import plain

LETTERS: Final = "ABCDEFGHIJ"  # without options: as many as any public set has
_MOST_STATEMENTS: Final = 1_000  # that are looked at, from the last one on
_REACH: Final = 120  # characters behind a statement's beginning in which its letter must stand

# Arabic alif (with and without hamza), ba, jim and dal stand for A to D; \uff21 is a full-width A.
_ARABIC: Final = {"\u0623": "A", "\u0627": "A", "\u0628": "B", "\u062c": "C", "\u062f": "D"}
_ONE: Final = rf"([A-Za-z\uff21-\uff3a\uff41-\uff5a{''.join(_ARABIC)}])"
_OPENING: Final = r"[\s*_`\"'$(\[{\uff08\u3010\u300c\u200e\u200f]{0,16}"
_WRAPPED: Final = r"(?:\\(?:boxed|text|textbf|mathrm|mathbf)[ ]{0,2}\{[\s*(]{0,4}){0,3}"
# No word goes on behind a letter, but for words that are written without a space: the copula of
# Japanese and Korean, and in Chinese "option", "and", "or".
_END_OF_WORD: Final = (
    r"(?:(?=\u3067\u3059|\uc785\ub2c8\ub2e4|\u9009\u9879|\u9078\u9805|[\u548c\u6216\u53ca\u4e0e])"
    r"|(?![^\W_]|['\u2019]))"
)
_LETTER = re.compile(
    rf"{_OPENING}{_WRAPPED}(?:(?:option|choice)[ ]{{1,4}}[*(]{{0,3}})?{_ONE}{_END_OF_WORD}",
    re.IGNORECASE,
)
# What may stand between a letter and the next one of a list of letters.
_WORDS: Final = "and|or|y|o|et|ou|und|oder|e|dan|atau|na|au"
_NEXT = re.compile(
    rf"[\s*_)\]}}.\uff09]{{0,8}}(?:[,;/&\u3001\uff0c\u548c\u6216\u53ca\u4e0e]|\b(?:{_WORDS})\b)"
    rf"[\s*_(\[{{\uff08]{{0,8}}(?:(?:{_WORDS})\s)?[(*]{{0,2}}{_ONE}{_END_OF_WORD}",
    re.IGNORECASE,
)
# A letter with a mark behind it, or alone on its line, is a letter; before a word it may be a word.
_MARKED = re.compile(
    r"[ \t]{0,4}(?:[^\w\s]|[\r\n]|$)|\s{0,8}$|[ \t]{1,4}(?:because|since)\b", re.IGNORECASE
)
# Between a letter and its option's text: "B) ", "B: ", "**B.** ", "(B) - ".
_BETWEEN = re.compile(r"[)\]}*_`\"'$\uff09]{0,6}[:.,\uff1a\uff0e]?[)\]}*_]{0,6}\s{0,9}")

_WORD = re.compile(r"[^\W_]")
_WHOLE_WORD = re.compile(r"[^\W_]+")
# What is no formula: a new line, wrappers, spaces, "or" and "and".
_COMMAND = re.compile(
    r"\\\\|\\(?:text[a-z]{0,8}|math[a-z]{0,8}|mbox|boxed|fbox|q?quad|left|right|lor|vee|land|wedge"
    r"|cup|cap)(?![A-Za-z])"
)
# "B) e", "B: a = b": behind a marked capital, small letters alone are its text.
_SYMBOLS = re.compile(r"\W{0,16}[A-Z]\W{0,3}[):.]\W{0,8}\s[^A-Z]{0,4000}$")

# Words that stand between the letters of several options.
_JOINING: Final = frozenset(
    f"{_WORDS}|vs|versus|nor|even|then|else|plus|either|both|also|perhaps|maybe|possibly|probably".split(
        "|"
    )
)
_NAMING: Final = frozenset(("option", "options", "choice", "choices", "letter", "letters"))
# An option's letter before its text, "(C)", "C)", "C:" or "C. ", behind the text of another
# option: where a list goes on, or merely behind a space.
_LABEL_END: Final = (
    r"(?:[*_]{0,3}[):\uff09\uff1a][*_]{0,3}(?![^\W_])|\.[*_]{0,3}\s(?=\s{0,9}[^\W_]))"
)
_LISTED = re.compile(
    rf"(?:[,;/&|\n]|\b(?:{_WORDS})\b|\\\\)\s{{0,9}}(?:(?:{_WORDS})\s)?"
    rf"(?:\\text[a-z]{{0,4}}\{{)?[*_]{{0,3}}(\(?)([A-Z]){_LABEL_END}"
)
_LABEL = re.compile(rf"(?<![^\s{{}},;*_])\(?([A-Z]){_LABEL_END}")
_LONGEST: Final = 4_000  # characters of a statement in which further options are sought

_SEVERAL: Final = "the last answer names several options"
_CONTRADICTION: Final = "the letter and the text behind it are those of two options"


@register("multiple_choice", version=2)
def score(text: str, truth: Any, context: Context | None = None) -> Outcome:
    """Score 1 if the last answer stated in `text` is the right option, else 0.

    Args:
        text: what the model wrote, of any length.
        truth: the right letter ("C", also as "(C)" or "C."); with options also the place of the
            right one, counted from 0, or its text.
        context: its `extra` may hold the options (`reward_scorers.stem.options`). Without them, the
            letters A to J are options.

    Raises:
        GroundTruthError: `truth` is no option, or the row's options are broken.
    """
    options = options_of(context.extra) if context is not None else None
    wanted = _right_letter(truth, options)
    pred, reason = extract(text, options.letters if options else LETTERS, options)
    return verdict(acc=pred == wanted, pred=pred, reason=reason)


def extract(
    text: str, letters: str = LETTERS, options: Options | None = None
) -> tuple[str | None, str]:
    """The letter that `text` states last, and how it was found; None, and why there is none."""
    said = answer_part(text)
    for statement in islice(reversed(statements(said)), _MOST_STATEMENTS):
        found = _by_text(statement, options) if options else None
        found = found or _by_letter(said, statement, letters, options)
        if found in (_SEVERAL, _CONTRADICTION):
            return None, found
        if found is not None:
            return found, f"the last statement of an answer ({statement.mark})"
    return None, "no answer is stated" if said.strip() else "an empty text"


def _by_text(statement: Statement, options: Options) -> str | None:
    """The option whose text is stated. A lone letter is a letter, whatever the options' texts."""
    stated = statement.content.strip()
    found = _LETTER.match(stated)
    if found and _latin(found[1]) in options.letters and not _WORD.search(stated, found.end()):
        return None
    plain = stated.strip("*_` \n")
    found_as_is = options.letter_of(stated) if stated else None
    return found_as_is or (options.letter_of(plain) if plain != stated else None)


def _by_letter(
    said: str, statement: Statement, letters: str, options: Options | None
) -> str | None:
    rest = said[statement.start : statement.start + _REACH]
    found = _LETTER.match(rest)
    if found is None or (letter := _latin(found[1])) not in letters:
        return None
    if options:
        told = _letters_by_text(options, statement.content[found.end() :])
        if letter in told:
            return letter
        if told:
            return _CONTRADICTION
    another = _NEXT.match(rest, found.end())
    others = letters.replace(letter, "")
    if another is not None and another[1].isupper() and _latin(another[1]) in others:
        return _SEVERAL
    content = (statement.content or rest.partition("\n")[0])[:_LONGEST]
    if _joins_letters(content, letter, letters) or _lists_options(content[found.end() :], others):
        return _SEVERAL
    # "B because ..." is an answer; "A man", "I think" and a lower-case letter may be words.
    is_word = letter in "AI" or found[1].islower()
    if is_word and not _MARKED.match(rest, found.end()):
        return None
    return letter


def _joins_letters(content: str, letter: str, letters: str) -> bool:
    """Whether a statement holds letters of several options alone, or joins one to its letter."""
    plain = _COMMAND.sub(" ", content)
    words = _WHOLE_WORD.findall(plain)
    is_joined = False
    others = False
    for place, word in enumerate(words):
        if len(word) == 1 and _latin(word) in letters:
            others = others or _latin(word) != letter
            if (
                others and is_joined and word.isupper()
            ):  # "B vs C, I think"; "B or a man" joins none
                return True
        elif word.lower() in _JOINING:
            is_joined = is_joined or place > 0
        elif word.lower() not in _NAMING:
            return False
    return others and (is_joined or not _SYMBOLS.match(plain))


def _lists_options(behind: str, others: str) -> bool:
    """Whether behind a letter and its text another option is listed with its own letter."""
    behind = behind.lstrip(")]*_ ")
    for label in _LISTED.finditer(behind):
        before = behind[: label.start(1)]
        # The C of "(A, C)" is no label.
        if label[2] in others and (label[1] or before.count("(") <= before.count(")")):
            return True
    return len({label[1] for label in _LABEL.finditer(behind)} & set(others)) > 1


def _letters_by_text(options: Options, behind: str) -> str:
    """The options whose text stands behind a letter."""
    between = _BETWEEN.match(behind)
    text = behind[between.end() if between else 0 :].strip()
    for _ in range(3):
        if text.endswith("}") and text.count("}") > text.count("{"):  # of \boxed{\text{B: ...}}
            text = text[:-1]
    # "(0.36g)" and "- 0.36g" are 0.36g, unless an option itself is written so.
    readings = {text, text.removeprefix("(").removesuffix(")"), text.lstrip("-=\u2013\u2014 ")}
    return "".join(options.letters_of(reading) for reading in readings)


def _latin(letter: str) -> str:
    return _ARABIC.get(letter) or unicodedata.normalize("NFKC", letter).upper()


def _right_letter(truth: Any, options: Options | None) -> str:
    letters = options.letters if options else LETTERS
    told = plain(truth)
    if isinstance(told, list) and len(told) == 1:
        told = told[0]
    if isinstance(told, str):
        letter = told.strip().strip("().:").upper()
        if len(letter) == 1 and letter in letters:
            return letter
        if options and (named := options.letter_of(told)):
            return named
    elif options and type(told) is int and 0 <= told < len(letters):  # True is no place
        return letters[told]
    asked = f"one of {', '.join(letters)}" + (", a place or an option's text" if options else "")
    raise GroundTruthError(f"the right answer is wrong: expected {asked}, found {shown(truth)}")
