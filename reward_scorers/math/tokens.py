"""From an answer as it is written, in LaTeX, Unicode or plain text, to tokens.

One spelling for each thing: `\\dfrac`, `\\tfrac` and `\\frac` are one token, so are `\\le`, `<=`
and the Unicode sign, and spacing is none at all.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

from reward_scorers.math.units import canonical_unit, is_unit

MAX_TOKENS: Final = 20_000
_MAX_DEPTH: Final = 3

NUMBER: Final = "number"
LETTER: Final = "letter"
NAME: Final = "name"  # a command or a word that means something: frac, sqrt, sin, pi, cup, and
TEXT: Final = "text"  # words that mean nothing to arithmetic
MARK: Final = "mark"  # one character, or the name of a relation

# Commands that say how something looks, never what it is.
_NO_MEANING = re.compile(
    r"\\q?quad|(?<!\\)\\(?:left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|scriptstyle"
    r"|limits|nolimits|enspace|thinspace|hfill|hspace\{[^{}]{0,20}\}|phantom\{[^{}]{0,20}\}|rm|bf|it|mathstrut"
    r"|strut|null|noindent|par|newline|centering|Large|large|small)(?![A-Za-z])"
    r"|(?<!\\)\\[,;:!>\s]|~|\u200b|\ufeff|[\u2000-\u200a\u202f\u205f\u00a0]"
)
_LINES = re.compile(r"(?<=[^\s\\])\$[ \t]*\n\s*\$(?=[^\s$])")  # formulas on lines of their own
_COLOR = re.compile(r"\\(?:text)?color\s?\{\w{1,20}\}")
_TEXT_COMMAND = re.compile(
    r"\\(?:text(?:bf|it|rm|tt|sf|normal|up)?|mbox|hbox|mathrm|mathbf|mathit|mathsf|mathtt|textnormal"
    r"|operatorname\*?|boldsymbol|bm)[ ]{0,2}\{"
)
_RENAMED: Final = {
    "dfrac": "frac",
    "tfrac": "frac",
    "cfrac": "frac",
    "over": "/",
    "le": "<=",
    "leq": "<=",
    "leqslant": "<=",
    "ge": ">=",
    "geq": ">=",
    "geqslant": ">=",
    "lt": "<",
    "gt": ">",
    "ne": "!=",
    "neq": "!=",
    "approx": "~",
    "thickapprox": "~",
    "simeq": "~",
    "sim": "~",
    "equiv": "=",
    "cdot": "*",
    "times": "*",
    "ast": "*",
    "div": "/",
    "lvert": "|",
    "rvert": "|",
    "vert": "|",
    "vee": "or",
    "wedge": "and",
    "lbrace": r"\{",
    "rbrace": r"\}",
    "lbrack": "[",
    "rbrack": "]",
    "land": "and",
    "lor": "or",
    "colon": ":",
    "degree": "deg",
    "circ": "deg",
    "infinity": "infty",
    "oo": "infty",
    "inf": "infty",
    "varnothing": "emptyset",
    "imath": "i",
    "arctg": "arctan",
    "tg": "tan",
    "ctg": "cot",
    "cosec": "csc",
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "log": "log",
    "varphi": "phi",
    "varepsilon": "epsilon",
    "vartheta": "theta",
    "dbinom": "binom",
    "tbinom": "binom",
    "lg": "lg",
    "U": "cup",
    "percent": "%",
    "pct": "%",
    "percentage": "%",
}
_VARIABLES: Final = frozenset("bcdfghjklmnpqrstvwxyz")
_PRODUCTS: Final = frozenset({"abc", "abcd", "axy", "abx", "axb"})
_SHORT_WORDS: Final = frozenset(
    {"no", "on", "of", "is", "if", "in", "to", "at", "by", "so", "we", "it", "up", "do", "go"}
)
FUNCTIONS: Final = frozenset(
    {"sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "sinh"}
    | {
        "cosh",
        "tanh",
        "ln",
        "log",
        "lg",
        "exp",
        "min",
        "max",
        "gcd",
        "lcm",
        "sgn",
        "Re",
        "Im",
        "det",
    }
)
_WORDS: Final = FUNCTIONS | frozenset(
    {"sqrt", "pi", "infty", "inf", "infinity", "oo", "and", "or", "asin", "acos", "atan", "cup"}
    | {"percent", "pct", "percentage", "frac", "binom", "theta", "alpha", "beta", "gamma", "lambda"}
    | {"in", "abs", "floor", "ceil"}
)
_UNICODE: Final = {
    "\u2212": "-", "\u2013": "-", "\u2014": "-", "\ufe63": "-", "\u00d7": "*", "\u00b7": "*",
    "\u22c5": "*", "\u2217": "*", "\u2219": "*", "\u2022": "*", "\u00f7": "/", "\u2044": "/",
    "\u2215": "/", "\u2264": r"\le ", "\u2265": r"\ge ", "\u2a7d": r"\le ", "\u2a7e": r"\ge ",
    "\u2260": r"\ne ", "\u2248": r"\approx ", "\u221e": r"\infty ", "\u03c0": r"\pi ",
    "\u221a": r"\sqrt ", "\u222a": r"\cup ", "\u2229": r"\cap ", "\u2208": r"\in ",
    "\u00b1": r"\pm ", "\u2213": r"\mp ", "\u00b0": r"\degree ", "\u00ba": r"\degree ",
    "\u2205": r"\emptyset ", "\u03b8": r"\theta ", "\u03b1": r"\alpha ", "\u03b2": r"\beta ",
    "\u03b3": r"\gamma ", "\u03bb": r"\lambda ", "\u03c6": r"\phi ", "\u211d": r"\mathbb{R}",
    "\u2124": r"\mathbb{Z}", "\u2115": r"\mathbb{N}", "\u211a": r"\mathbb{Q}",
    "\u27e8": r"\langle ", "\u27e9": r"\rangle ", "\u2032": "'", "\u2019": "'",
    "\u221b": r"\sqrt[3]", "\u2261": r"\equiv ", "\u2282": r"\subset ", "\u2216": r"\setminus ",
    "\u2225": r"\parallel ", "\u2220": r"\angle ", "\u25b3": r"\triangle ", "\u2206": r"\Delta ",
    "\u0394": r"\Delta ", "\uff0c": ",", "\u3001": ",", "\uff1b": ";", "\u3002": ".",
}  # fmt: skip
_TABLE = str.maketrans(_UNICODE)
_SUPERSCRIPTS = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b\u207f"
_SUPERSCRIPT_RUN = re.compile(f"[{_SUPERSCRIPTS}]+")
_FROM_SUPERSCRIPT = str.maketrans(_SUPERSCRIPTS, "0123456789+-n")
_SUBSCRIPT_RUN = re.compile("[\u2080-\u2089]+")
_VULGAR = re.compile("[\u00bc-\u00be\u2150-\u215e]")

# What JSON made of a backslash; where "\\\\" begins a row of a matrix, none of these words follows.
_DOUBLED = re.compile(
    r"\\\\(?=(?:boxed|[dt]?frac|left|right|sqrt|text|pi|cup|cap|leq?|geq?|in|infty|cdot|times|circ"
    r"|begin)\b|[{}])"
)
# 0.1\overline{6}: the digits below the line go on for ever.
_REPEATING = re.compile(r"(\d{1,30})\.(\d{0,30})\\(?:overline|bar)\s?\{?(\d{1,30})\}?")
_GLUED = re.compile(r"(?<=[\d)}])(or|and)(?=[A-Z(\d\\-])")

# 1,234,567 with plain commas; the same with what LaTeX puts in to keep the space away.
_THOUSANDS = re.compile(r"(?<![\d.,])([1-9]\d{0,2})((?:,\d{3})+)(?![\d]|,\d)")
_TEX_THOUSANDS = re.compile(r"(?<=\d)[ ]{0,2}(?:\{,[ ]?\}|,\\!|\\,|\\!)[ ]{0,2}(?=\d{3}(?!\d))")
_SPACED_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:[ ]\d{3})+(?![\d])")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_TOKEN = re.compile(
    r"\s+"
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d{1,4}(?![\d.A-Za-z]))?|\.\d+)"
    r"|\\(?P<command>[A-Za-z]+)"
    r"|(?P<escaped>\\[^A-Za-z\s])"
    r"|(?P<relation><=|>=|!=|==|\*\*)"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<mark>.)",
    re.DOTALL,
)


class Token(NamedTuple):
    """A token: its kind, what it says, and whether white space stands before it."""

    kind: str
    value: str
    spaced: bool = False


class Unreadable(ValueError):  # noqa: N818 - it says what the text is
    """The text is no answer in the language that the parser knows."""


def plain(text: str) -> str:
    """The text with Unicode mathematics as LaTeX, without cosmetic commands and currency signs."""
    if not text.isascii():
        text = _VULGAR.sub(_vulgar, text)
        text = _SUPERSCRIPT_RUN.sub(lambda run: f"^{{{run[0].translate(_FROM_SUPERSCRIPT)}}}", text)
        text = _SUBSCRIPT_RUN.sub(lambda run: f"_{{{unicodedata.normalize('NFKC', run[0])}}}", text)
        text = unicodedata.normalize("NFKC", text.translate(_TABLE))
        text = re.sub(r"[\u20ac\u00a3\u00a5]", "", text)
    if "\\" in text:
        if r"\!" in text or "{," in text or r"\," in text:
            text = _TEX_THOUSANDS.sub("", text)
        text = _DOUBLED.sub(r"\\", text).rstrip("\\")
        text = _LINES.sub(" ; ", text)
        text = text.replace(r"\$", " ").replace(r"\%", "%").replace(r"\#", "#")
        text = _NO_MEANING.sub(" ", text)
        text = _COLOR.sub("", text)
        text = _REPEATING.sub(_repeating, text)
        text = re.sub(r"(?<!\\)\\[()\[\]]", " ", text)
    elif "{," in text:
        text = _TEX_THOUSANDS.sub("", text)
    return _GLUED.sub(r" \1 ", text.replace("$", " ")).strip().strip("*")


def _repeating(decimal: re.Match[str]) -> str:
    whole, fixed, period = decimal.groups()
    below = (10 ** len(period) - 1) * 10 ** len(fixed)
    above = int(whole + fixed) * (10 ** len(period) - 1) + int(period)
    return rf"\frac{{{above}}}{{{below}}}"


def _vulgar(sign: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", sign[0]).partition("\u2044")
    return rf"\frac{{{above}}}{{{below}}}" if below.isdigit() else sign[0]


def joined_thousands(text: str) -> str:
    """The text with 1,234,567 and 1 234 567 as one number."""
    if "," in text:
        text = _THOUSANDS.sub(lambda number: number[1] + number[2].replace(",", ""), text)
    if " " in text:
        text = _SPACED_THOUSANDS.sub(lambda number: number[0].replace(" ", ""), text)
    return text


def tokenize(text: str, depth: int = 0) -> list[Token]:
    """The tokens of a text that went through `plain`; `depth` counts \\text{...} within itself.

    Raises:
        Unreadable: more than `MAX_TOKENS`, or a sign that no answer has.
    """
    tokens: list[Token] = []
    position, length, spaced = 0, len(text), False
    while position < length:
        if text[position] == "\\" and (opening := _TEXT_COMMAND.match(text, position)):
            end = _end_of_group(text, opening.end())
            content, upright = (
                text[opening.end() : end],
                "text" in opening[0] or "box" in opening[0],
            )
            signs = "\\^_" if upright else "\\^_+-*/=()"
            _add_text(tokens, content, depth, spaced=spaced, mathematical=signs)
            position, spaced = end + 1, False
            continue
        found = _TOKEN.match(text, position)
        if found is None:
            raise Unreadable(f"cannot read {text[position]!r}")
        position = found.end()
        kind = found.lastgroup
        if kind is None:
            spaced = True
            continue
        _add(tokens, kind, found[kind], spaced=spaced)
        spaced = False
        if len(tokens) > MAX_TOKENS:
            raise Unreadable(f"more than {MAX_TOKENS} tokens")
    return tokens


def _add(tokens: list[Token], kind: str, value: str, *, spaced: bool) -> None:
    if kind == "number":
        tokens.append(Token(NUMBER, value, spaced))
    elif kind == "command":
        renamed = _RENAMED.get(value, value)
        named = renamed[0].isalpha() and len(renamed) > 1
        tokens.append(Token(NAME if named else MARK, renamed, spaced))
    elif kind == "word":
        _add_word(tokens, value, spaced=spaced)
    elif kind == "relation":
        tokens.append(Token(MARK, {"==": "=", "**": "^"}.get(value, value), spaced))
    else:
        tokens.append(Token(MARK, value, spaced))


def _add_word(tokens: list[Token], word: str, *, spaced: bool) -> None:
    if len(word) == 1:
        tokens.append(Token(LETTER, word, spaced))
    elif (
        _is_value_before(tokens)
        and (is_unit(word) or (spaced and len(word) > 2))
        and (word not in _WORDS or (tokens[-1].kind == NUMBER and is_unit(word)))
    ):
        tokens.append(Token(TEXT, word, spaced))
    elif word in _WORDS or word.lower() in ("and", "or"):
        known = word if word in _WORDS else word.lower()
        renamed = _RENAMED.get(known, known)
        tokens.append(Token(NAME if renamed[0].isalpha() else MARK, renamed, spaced))
    elif word.startswith("sqrt") and len(word) == 5:  # sqrtx
        tokens.extend((Token(NAME, "sqrt", spaced), Token(LETTER, word[4])))
    elif not _is_product(word):
        tokens.append(Token(TEXT, word, spaced))
    else:
        tokens.extend(
            Token(LETTER, letter, spaced and not place) for place, letter in enumerate(word)
        )


def _is_product(word: str) -> bool:
    """Whether a word of letters is rather a product of variables, as xyz and AB are."""
    if len(word) == 2:
        return word.isupper() or word.lower() not in _SHORT_WORDS
    return len(word) <= 4 and (word.isupper() or word in _PRODUCTS or set(word) <= _VARIABLES)


def _add_text(
    tokens: list[Token], content: str, depth: int, *, spaced: bool, mathematical: str = "\\^_"
) -> None:
    words = content.strip(" \t\n~").strip(".").strip()
    if len(words) == 3 and words[0] == "(" and words[2] == ")":
        words = words[1]  # (C)
    if _is_value_before(tokens) and canonical_unit(words) is not None:
        tokens.append(Token(TEXT, words, spaced))
        return
    if len(words) == 1 and words.isalpha():
        tokens.append(Token(LETTER, words, spaced))
        return
    lowered = words.lower()
    if lowered.strip(", ") in ("and", "or"):
        tokens.append(Token(NAME, lowered.strip(", "), spaced))
    elif words in _WORDS:
        _add_word(tokens, words, spaced=spaced)
    elif depth < _MAX_DEPTH and any(sign.isdigit() or sign in mathematical for sign in words):
        tokens.extend(tokenize(words, depth + 1))
    elif words:
        tokens.append(Token(TEXT, words, spaced))


def _is_value_before(tokens: list[Token]) -> bool:
    """Whether what was read last is or ends a value, which may have a unit."""
    if not tokens:
        return False
    kind, value = tokens[-1].kind, tokens[-1].value
    return kind == NUMBER or value in (")", "}", "]", "!", "pi", "deg")


def _end_of_group(text: str, start: int) -> int:
    depth = 1
    for brace in _BRACE.finditer(text, start):
        if brace[0] == "{":
            depth += 1
        elif brace[0] == "}":
            depth -= 1
            if depth == 0:
                return brace.start()
    return len(text)
