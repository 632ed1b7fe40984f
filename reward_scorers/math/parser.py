"""From tokens to a tree: a recursive-descent parser of what mathematical answers consist of.

    answer   = item {("," | ";" | "and" | "or") item}
    item     = set {("=" | "<" | ... | "in" | ":") set}
    set      = sum {("cup" | "cap" | "setminus") sum}
    sum      = ["+" | "-" | "pm"] term {("+" | "-" | "pm" | "mp") term}
    term     = factor {("*" | "/" | nothing) factor}
    factor   = atom {"^" factor | "!" | "%" | degrees | "'" | unit}

A tree is made of `Node(kind, args)`: see `reward_scorers.math.tree`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from reward_scorers.math.environments import read_environment
from reward_scorers.math.stream import TokenStream
from reward_scorers.math.tokens import (
    FUNCTIONS,
    LETTER,
    MARK,
    NAME,
    NUMBER,
    TEXT,
    Token,
    Unreadable,
    joined_thousands,
    plain,
    tokenize,
)
from reward_scorers.math.tree import (
    Node,
    is_inequality,
    is_minus_one,
    is_proper_fraction,
    items_of,
    listed,
    name_of,
    negative,
    number,
    product,
    sum_of,
)
from reward_scorers.math.units import is_remark, scale_of

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CHARS: Final = 20_000
MAX_DEPTH: Final = 100

_CLOSING: Final = {
    "(": (")", "]"),
    "[": ("]", ")"),
    "{": ("}",),
    r"\{": (r"\}",),
    "langle": ("rangle",),
}
_OPENING: Final = frozenset(_CLOSING)
_RELATIONS: Final = frozenset(["=", "<", ">", "<=", ">=", "!=", "~", ":", "in", "to", "mapsto"])
_SEPARATORS: Final = frozenset([",", ";", "and", "or"])
_GREEK: Final = frozenset(
    {
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "iota",
        "kappa",
        "lambda",
    }
    | {"mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega", "Gamma"}
    | {"Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega", "ell"}
    | {"hbar", "nabla", "angle", "triangle", "parallel", "perp"}
)
_CONSTANTS: Final = frozenset(["pi", "infty", "emptyset"])
_STYLES: Final = frozenset({"boxed", "fbox", "mathcal", "mathscr", "underline"})
_ACCENTS: Final = frozenset(
    {"overline", "bar", "vec", "hat", "tilde", "overrightarrow", "widehat", "dot", "ddot"}
)
_FUNCTION_LETTERS: Final = frozenset("fghFG")
_INVERSES: Final = {
    "sin": "arcsin", "cos": "arccos", "tan": "arctan", "cot": "arccot", "sinh": "arcsinh",
    "cosh": "arccosh", "tanh": "arctanh",
}  # fmt: skip


def parse(text: str, *, thousands: bool = True, calls: bool = True) -> Node:
    """The tree of an answer.

    Args:
        text: the answer, without the sentence around it.
        thousands: whether 1,234 is one number outside brackets, not a list of two.
        calls: whether f(x), and the like with g, h, F and G, is a call, not a product.

    Raises:
        Unreadable: it is none that this grammar knows, or longer than `MAX_CHARS`, or nested
            deeper than `MAX_DEPTH`.
    """
    if len(text) > MAX_CHARS:
        raise Unreadable(f"longer than {MAX_CHARS} characters")
    readable = plain(text).rstrip(".,;: ")
    if thousands and not readable.startswith(("(", "[", r"\{", "{")):
        readable = joined_thousands(readable)
    reader = _Reader(tokenize(readable), calls=calls)
    node = reader.answer()
    reader.expect_end()
    return node


class _Reader(TokenStream):
    """Reads tokens from left to right; every method leaves `place` behind what it has read."""

    def __init__(self, tokens: list[Token], *, calls: bool) -> None:
        super().__init__(tokens)
        self.calls = calls
        self.depth = 0
        self.bars = 0

    # The grammar, from the outside in.

    def answer(self) -> Node:
        """Items and what separates them; one item stands for itself."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable(f"nested deeper than {MAX_DEPTH}")
        items = [self.item()]
        groups: list[list[Node]] = []
        separators = set()
        while self.value() in _SEPARATORS:
            semicolon = False
            while (mark := self.value()) in _SEPARATORS:  # ", and"
                semicolon |= mark == ";"
                separators.add(mark)
                self.place += 1
            if not self.kind() or self.value() in (")", "]", "}", r"\}"):
                break  # a comma at the end
            if semicolon:
                groups.append(items)
                items = []
            items.append(self.item())
        self.depth -= 1
        if groups:  # p=5, q=2; p=7, q=2
            return listed([listed(one) for one in [*groups, items]])
        if separators == {"or"} and all(is_inequality(one) for one in items):
            return Node("union", tuple(items))  # x < 2 or x > 3
        return listed(items)

    def item(self) -> Node:
        """Expressions and the relations between them."""
        self.skip("~")  # \\approx 1.47
        nodes = [self.sets()]
        operators = []
        while self.value() in _RELATIONS:
            operators.append(self.take().value)
            nodes.append(self.sets())
        node = Node("relation", (tuple(operators), tuple(nodes))) if operators else nodes[0]
        if self.skip("pmod", "bmod", "mod"):  # x \\equiv 3 \\pmod 7
            return Node("congruence", (node, self.argument()))
        return node

    def sets(self) -> Node:
        """Unions and other operations of sets."""
        left = self.sum()
        while (name := self.value()) in ("cup", "cap", "setminus", "backslash"):
            self.place += 1
            right = self.sum()
            if name == "cup":
                parts = left.args if left.kind == "union" else (left,)
                left = Node("union", (*parts, right))
            else:
                left = Node("operation", (name, left, right))
        return left

    def sum(self) -> Node:
        """Terms, added and subtracted."""
        terms: list[Node] = []
        sign = self.value()
        if sign in ("+", "-", "pm", "mp"):
            self.place += 1
            term = self.term()
            if sign in ("pm", "mp"):
                term = Node("pm", (None, term, 1 if sign == "pm" else -1))
            elif sign == "-":
                term = negative(term)
            terms.append(term)
        else:
            terms.append(self.term())
        while (sign := self.value()) in ("+", "-", "pm", "mp"):
            self.place += 1
            term = negative(self.term()) if self.skip("-") else self.term()
            if sign in ("pm", "mp"):
                terms = [Node("pm", (sum_of(terms), term, 1 if sign == "pm" else -1))]
            else:
                terms.append(negative(term) if sign == "-" else term)
        return sum_of(terms)

    def term(self) -> Node:
        """Factors, multiplied and divided; what stands side by side is multiplied."""
        left = self.factor()
        while True:
            mark = self.value()
            if mark == "*":
                self.place += 1
                left = product(left, self.signed_factor())
            elif mark == "/":
                self.place += 1
                left = Node("div", (left, self.signed_factor()))
            elif self.is_factor_ahead():
                left = self.side_by_side(left)
            else:
                return left

    def side_by_side(self, left: Node) -> Node:
        """A factor behind another without a sign: a product, or the fraction of a mixed number."""
        if self.kind() == TEXT:
            return self.words_behind(left)
        was_number = self.kind(-1) == NUMBER
        spaced = self.tokens[self.place].spaced
        if self.kind() == NUMBER and was_number and left.kind == "number":
            if not spaced:
                raise Unreadable("two numbers side by side")
            return self.mixed_number(left)
        right = self.factor()
        if (
            was_number
            and left.kind == "number"
            and is_proper_fraction(right)
            and left.args[1] is None
        ):
            return sum_of([left, right])  # 918\frac{1}{2}
        return product(left, right)

    def mixed_number(self, left: Node) -> Node:
        """2 1/2."""
        above = self.take()
        if self.value() != "/" or self.kind(1) != NUMBER or left.args[1] is not None:
            raise Unreadable("two numbers side by side")
        self.place += 1
        fraction = Node("div", (number(above.value), number(self.take().value)))
        if not is_proper_fraction(fraction):
            raise Unreadable("no mixed number")
        return sum_of([left, fraction])

    def words_behind(self, left: Node) -> Node:
        """Units, or words that end an answer: 5 cm^2, 3 apples."""
        words: list[str] = []
        while self.kind() == TEXT or (words and self.value() in ("/", "*")):
            words.append(self.take().value)
        if self.skip("^"):
            words.append("^" + name_of(self.exponent()))
        told = " ".join(words).split()
        scale = scale_of(told[0]) if told else None
        if scale is not None:
            left = product(left, Node("number", (Fraction(10**scale), None)))
            told = told[1:]
        rest = " ".join(told)
        if not rest:
            return left
        return Node("remark" if is_remark(rest) else "unit", (left, rest))

    def is_factor_ahead(self) -> bool:
        """Whether what comes next can be multiplied with what came before."""
        kind = self.kind()
        if kind in (NUMBER, LETTER, TEXT):
            return True
        value = self.value()
        if value == "|":
            return self.bars == 0
        if kind == MARK:
            return value in _OPENING
        return kind == NAME and value not in _SEPARATORS | _RELATIONS and value not in _NO_FACTOR

    def signed_factor(self) -> Node:
        """A factor that may have a sign: 2*-3."""
        if self.skip("-"):
            return negative(self.factor())
        self.skip("+")
        return self.factor()

    def factor(self) -> Node:
        """An atom and what stands behind and above it."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable(f"nested deeper than {MAX_DEPTH}")
        node = self.atom()
        while True:
            value = self.value()
            if value == "^":
                self.place += 1
                node = self.raised(node)
            elif value == "!":
                self.place += 1
                node = Node("factorial", (node,))
            elif value == "%":
                self.place += 1
                node = Node("percent", (node,))
            elif value == "deg":
                self.place += 1
                node = self.degrees(node)
            elif value == "'" and node.kind == "symbol":
                self.place += 1
                node = Node("symbol", (node.args[0] + "'",))
            elif value == "_":
                self.place += 1
                node = self.subscripted(node)
            else:
                break
        self.depth -= 1
        return node

    def raised(self, base: Node) -> Node:
        """What stands above: an exponent, degrees, a prime."""
        if self.skip("deg"):
            return self.degrees(base)
        if self.value() == "{" and self.value(1) in ("deg", "prime"):
            self.place += 1
            if self.skip("deg"):
                self.expect("}")
                return self.degrees(base)
            node = self.raised(base)
            self.expect("}")
            return node
        primes = 0
        while self.skip("prime", "'"):
            primes += 1
        if primes and base.kind == "symbol":
            return Node("symbol", (name_of(base) + "'" * primes,))
        if primes:  # minutes and seconds of arc
            return Node("unit", (base, "'" * primes))
        exponent = self.exponent()
        if base.kind == "unit":
            return Node("unit", (base.args[0], f"{base.args[1]}^{name_of(exponent)}"))
        return Node("pow", (base, exponent))

    def degrees(self, node: Node) -> Node:
        """Degrees of an angle, or of temperature where a letter follows."""
        if self.kind() == LETTER and self.tokens[self.place].value in ("C", "F"):
            return Node("unit", (node, "deg" + self.take().value))
        return Node("unit", (node, "deg"))

    def exponent(self) -> Node:
        """The exponent behind ^: a group, or one factor with its sign."""
        if self.skip("-"):
            return negative(self.exponent())
        self.skip("+")
        node = self.atom()
        return Node("pow", (node, self.exponent())) if self.skip("^") else node

    def subscripted(self, node: Node) -> Node:
        """The base of an integer, or a part of a symbol's name."""
        below = self.atom()
        if node.kind == "number":
            base = below.args[0] if below.kind == "number" else None
            if base is None or node.args[1] is not None:
                raise Unreadable("a number with a subscript that is no base")
            return Node("based", (str(node.args[0]), int(base)))
        if node.kind in ("symbol", "text", "constant"):
            return Node("symbol", (f"{node.args[0]}_{name_of(below)}",))
        raise Unreadable("a subscript below something else")

    def atom(self) -> Node:
        """What cannot be taken apart without brackets."""
        token = self.take()
        if token.kind == NUMBER:
            return number(token.value)
        if token.kind == LETTER:
            return self.letter(token.value)
        if token.kind == TEXT:
            words = [token.value]
            while self.kind() in (TEXT, LETTER) and self.tokens[self.place].spaced:
                words.append(self.take().value)
            return Node("text", (" ".join(words),))
        if token.kind == NAME:
            return self.named(token.value)
        if token.value in _OPENING:
            return self.bracketed(token.value)
        if token.value in ("|", r"\|"):
            self.bars += 1
            inside = self.answer()
            self.expect(token.value)
            self.bars -= 1
            return Node("call", ("abs" if token.value == "|" else "norm", (inside,), None))
        raise Unreadable(f"cannot begin with {token.value!r}")

    def letter(self, name: str) -> Node:
        """A symbol; e and i are numbers; f(...) is the value of a function."""
        if name in ("e", "i"):
            return Node("constant", (name,))
        if self.calls and name in _FUNCTION_LETTERS and self.value() == "(":
            self.place += 1
            arguments = self.answer()
            self.expect(")")
            return Node("call", (name, items_of(arguments), None))
        return Node("symbol", (name,))

    def named(self, name: str) -> Node:
        """A command: a function, a constant, an operator with arguments in braces."""
        if name in _CONSTANTS:
            return Node("constant", (name,))
        if name in _GREEK:
            return Node("symbol", (name,))
        if name in FUNCTIONS:
            return self.call(name)
        if name in _STYLES:
            return self.argument()
        if name in _ACCENTS:  # another thing than what is below
            return Node("call", (name, (self.argument(),), None))
        reader = _COMMANDS.get(name)
        if reader is None:
            raise Unreadable(f"does not know {name!r}")
        return reader(self, name)

    def fraction(self, _: str) -> Node:
        """A fraction and its two arguments."""
        above = self.argument()
        return Node("div", (above, self.argument()))

    def binomial(self, name: str) -> Node:
        """A binomial coefficient."""
        above = self.argument()
        return Node("call", (name, (above, self.argument()), None))

    def bracketed_call(self, name: str) -> Node:
        """abs(...), floor(...), ceil(...)."""
        self.expect("(")
        inside = self.answer()
        self.expect(")")
        return Node("call", (name, items_of(inside), None))

    def rounded(self, name: str) -> Node:
        """What stands between the brackets of floor or ceiling."""
        inside = self.answer()
        self.expect("rfloor" if name == "lfloor" else "rceil")
        return Node("call", (name[1:], (inside,), None))

    def number_set(self, _: str) -> Node:
        """The real numbers, the integers and others."""
        return Node("symbol", ("set " + name_of(self.argument()),))

    def argument(self) -> Node:
        """An argument of a command: a group, or one token; of several digits the first alone."""
        if self.kind() == NUMBER:
            token = self.take()
            if len(token.value) > 1 and token.value.isdigit():
                self.place -= 1
                self.tokens[self.place] = Token(NUMBER, token.value[1:])
                return number(token.value[0])
            return number(token.value)
        return self.atom()

    def root(self, _: str) -> Node:
        """A root and its degree, if it is not the second."""
        degree = number("2")
        if self.skip("["):
            degree = self.sum()
            self.expect("]")
        if self.kind() == NUMBER and "." not in self.tokens[self.place].value:
            return Node("root", (degree, number(self.take().value)))
        return Node("root", (degree, self.argument()))

    def call(self, name: str) -> Node:
        """A function: with a power behind its name, and with or without brackets."""
        below = None
        power: Node | None = None
        while self.value() in ("_", "^"):
            if self.take().value == "_":
                below = self.atom()
            else:
                power = self.exponent()
        if self.value() in ("(", "["):
            opening = self.take().value
            inside = self.answer()
            self.expect(*_CLOSING[opening])
            arguments = items_of(inside)
        else:
            arguments = (self.bare_argument(),)
        if power is not None and is_minus_one(power) and name in _INVERSES:
            return Node("call", (_INVERSES[name], arguments, below))
        node = Node("call", (name, arguments, below))
        return node if power is None else Node("pow", (node, power))

    def bare_argument(self) -> Node:
        """The argument of sin 2x: factors up to the next function, sign or end."""
        node = negative(self.factor()) if self.skip("-") else self.factor()
        while self.is_factor_ahead() and self.value() not in FUNCTIONS and self.kind() != TEXT:
            if self.value() in _OPENING and self.value() != "{":
                break
            node = product(node, self.factor())
        return node

    def bracketed(self, opening: str) -> Node:
        """What stands in brackets: one expression in round ones is only grouped."""
        closings = _CLOSING[opening]
        if self.value() in closings:
            self.place += 1
            if opening != r"\{":
                raise Unreadable("empty brackets")
            return Node("set", ())
        bars, self.bars = self.bars, 0
        inside = self.answer()
        if opening == r"\{" and self.skip("mid"):
            inside = Node("such that", (inside, self.answer()))
            self.expect(r"\}")
            self.bars = bars
            return inside
        if opening == r"\{" and inside.kind == "relation" and inside.args[0][0] == ":":
            operators, nodes = inside.args  # \\{x : x > 2\\}
            if len(operators) > 1:
                inside = Node("such that", (nodes[0], Node("relation", (operators[1:], nodes[1:]))))
                self.expect(*closings)
                self.bars = bars
                return inside
        closing = self.expect(*closings)
        self.bars = bars
        if opening == r"\{":
            return Node("set", items_of(inside))
        if opening == "{":
            return inside
        if inside.kind != "list" and (opening, closing) in (("(", ")"), ("[", "]")):
            return inside
        if opening == "langle":
            opening, closing = "(", ")"
        return Node("group", (opening, closing, items_of(inside)))

    def environment(self, _: str) -> Node:
        """A matrix, a system of equations, or cases."""
        return read_environment(self, self.item)

    def dots(self, _: str) -> Node:
        """What is left out, which has no value."""
        return Node("text", ("...",))


_NO_FACTOR: Final = frozenset(
    {"cup", "cap", "setminus", "backslash", "pm", "mp", "end", "rfloor", "rceil", "rangle", "to"}
    | {"mapsto", "in", "deg", "hline", "subset", "subseteq", "Rightarrow", "implies", "iff", "mid"}
    | {"pmod", "bmod", "mod"}
)


_COMMANDS: Final[dict[str, Callable[[_Reader, str], Node]]] = {
    "frac": _Reader.fraction,
    "sqrt": _Reader.root,
    "binom": _Reader.binomial,
    "abs": _Reader.bracketed_call,
    "floor": _Reader.bracketed_call,
    "ceil": _Reader.bracketed_call,
    "lfloor": _Reader.rounded,
    "lceil": _Reader.rounded,
    "begin": _Reader.environment,
    "cdots": _Reader.dots,
    "dots": _Reader.dots,
    "ldots": _Reader.dots,
    "mathbb": _Reader.number_set,
    "langle": _Reader.bracketed,
}
