r"""Answers that make graders hang, run out of memory or stack, or raise; and their references.

None is right. Together they take some megabytes, so each is built when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable

LONG = 1_000_000

_SUM = "+".join(f"\\frac{{1}}{{{n}}}" for n in range(1, 1500))
_ROOTS = "\\sqrt{2+" * 60 + "2" + "}" * 60
_DENSE = "\\begin{pmatrix}" + r"\\".join("&".join(str((i * j) % 97 + 1) for j in range(60))
                                         for i in range(60)) + "\\end{pmatrix}"  # fmt: skip
_ELEMENTS = ", ".join(str(n * n % 9973) for n in range(3000))

# name -> the answer, and the reference
Build = Callable[[], tuple[str, str]]


def _box(answer: str, gold: str = "42") -> Build:
    return lambda: (f"\\boxed{{{answer}}}", gold)


def _text(text: str, gold: str = "42") -> Build:
    return lambda: (text, gold)


def _long(unit: str, gold: str = "42", *, after: str = "", box: bool = True) -> Build:
    def build() -> tuple[str, str]:
        answer = unit * (LONG // len(unit)) + after
        return (f"\\boxed{{{answer}}}" if box else answer), gold

    return build


INPUTS: dict[str, Build] = {
    "a tower of powers": _box("9^9^9^9"),
    "a tower of powers with braces": _box("9^{9^{9^{9}}}", "9^{9^{9^9}}+1"),
    "10000000!": _box("10000000!"),
    "a factorial of a factorial": _box("((100!)!)!", "100!"),
    "a huge exponent": _box("10^{10^{10}}", "10^{10^{10}}+1"),
    "a huge exponent of a fraction": _box("\\left(\\frac{2}{3}\\right)^{10^{12}}"),
    "a huge negative exponent": _box("2^{-99999999999}", "0"),
    "a polynomial of degree a million": _box("(x+1)^{1000000}", "x^{1000000}"),
    "an expansion of many terms": _box("(a+b+c+d+e+f)^{60}", "(a+b+c+d+e+g)^{60}"),
    "a binomial of huge numbers": _box("\\binom{10^9}{500000000}", "\\binom{10^9}{499999999}"),
    "a sum of 1,499 fractions": _box(_SUM, _SUM.replace("1499", "1500")),
    "60 nested roots": _box(_ROOTS, "2"),
    "60 nested roots of a name": _box(_ROOTS.replace("2+", "x+"), _ROOTS.replace("2+", "y+")),
    "a set of 3,000 elements": _box(f"\\{{{_ELEMENTS}\\}}", f"\\{{{_ELEMENTS}1\\}}"),
    "a list of 3,000 elements, turned": _box(
        ", ".join(reversed(_ELEMENTS.split(", "))), f"{_ELEMENTS}1"
    ),
    "a matrix of 60 by 60": _box(_DENSE, _DENSE.replace("\\end", "2\\end")),
    "a determinant of 60 by 60": _box(f"\\det {_DENSE}", "1"),
    "a power of a matrix": _box(f"{_DENSE}^{{1000}}", _DENSE),
    "zeta": _box("\\zeta(1+10^{-30}) + \\zeta(\\frac12+10^{9} i)", "\\zeta(2)"),
    "gamma": _box("\\Gamma(10^{30})", "\\Gamma(10^{30}+1)"),
    "an integral": _box("\\int_0^1 x^x \\sin(e^{x^2}) dx", "\\int_0^1 x^x \\cos(e^{x^2}) dx"),
    "an integral that has no limit": _box("\\int_{-\\infty}^{\\infty} e^{e^{x^2}} dx", "0"),
    "a sum without end": _box("\\sum_{n=1}^{\\infty} \\frac{\\sin(n!)}{n^{1.01}}", "1"),
    "a sum of a billion terms": _box("\\sum_{n=1}^{1000000000} \\frac{1}{n^2+1}", "1"),
    "a product of a billion terms": _box("\\prod_{n=1}^{1000000000} (n^2+1)", "1"),
    "a limit": _box("\\lim_{n \\to \\infty} \\frac{n!}{n^n} \\sqrt[n]{n!}", "1"),
    "a system of equations": _box("x^{17}+y^{13}=z^{11}, \\sin x = e^{y}", "x=1"),
    "cancelling roots": _box("\\sqrt{10^{40}+1}-10^{20}", "0"),
    "1 MB of digits": _long("7"),
    "1 MB of digits against as many": lambda: (f"\\boxed{{{'7' * LONG}}}", "7" * 5000),
    "1 MB of digits behind a point": lambda: (f"\\boxed{{0.{'3' * LONG}}}", "\\frac13"),
    "5,000 digits in a fraction": _box(f"\\frac{{{'7' * 5000}}}{{{'9' * 5000}}}", "\\frac79 + 1"),
    "1 MB of commas": _long("1,"),
    "1 MB of braces": _long("{"),
    "1 MB of braces, closed": lambda: ("\\boxed{" + "{" * LONG + "}" * LONG + "}", "42"),
    "1 MB of brackets": _long("("),
    "1 MB of brackets, closed": lambda: ("\\boxed{" + "(" * LONG + "4" + ")" * LONG + "}", "42"),
    "1 MB of boxes, none closed": _long("\\boxed{", box=False),
    "1 MB of boxes": _long("\\boxed{41}", box=False),
    "1 MB of fractions, none closed": _long("\\frac{"),
    "3,000 nested fractions": _box("\\frac{1}{1+" * 3000 + "1" + "}" * 3000),
    "3,000 nested roots": _box("\\sqrt{" * 3000 + "2" + "}" * 3000, "1"),
    "3,000 nested powers": _box("x^{" * 3000 + "2" + "}" * 3000, "x"),
    "3,000 signs": _box("-" * 3000 + "41"),
    "1 MB of signs": _long("-", after="41"),
    "1 MB of left": _long("\\left("),
    "1 MB of backslashes": _long("\\"),
    "1 MB of dollars": _long("$"),
    "1 MB of dollars without a box": _long("$", box=False),
    "1 MB of spaces": _long(" "),
    "1 MB of spaces between digits": lambda: (f"\\boxed{{1{' ' * LONG}2}}", "42"),
    "1 MB of words": _long("the answer is ", box=False),
    "1 MB of 'answer is'": _long("answer is 4", box=False),
    "1 MB of answers": _long("Answer: 41\n", box=False),
    "1 MB of text commands": _long("\\text{a} "),
    "1 MB of units": _long("cm "),
    "1 MB of equals": _long("=", after="41"),
    "1 MB of </think>": _long("</think>", box=False),
    "1 MB of NUL": _long("\x00"),
    "1 MB of one letter": _long("a", box=False),
    "bait for patterns": _text("\\boxed{" + "\\frac" * 2000 + "{" * 2000 + "1" * 2000, "1"),
    "bait for patterns of numbers": _text("1,1" * 30_000 + "!"),
    "bait for patterns of words": _text("answer" + "\t \n" * 30_000 + "x", "1"),
    "everything unclosed": _text("\\boxed{\\left(\\frac{\\sqrt{\\text{\\{[(|$\\[\\(\\begin{"),
    "lone surrogates": _text("\\boxed{\ud800\udfff\udc00}", "1"),
    "digits of other scripts": _text("\\boxed{\u0664\u0662 \u00b2 \u2460 \U0001d7d8}", "1"),
    "marks and directions": _text("\\boxed{" + "4\u0301\u202e\u200d\ufeff\ue000" * 2000 + "}", "1"),
    "a program": _text("\\boxed{__import__('os').system('exit 1')}", "1"),
    "a program as a name": _text("\\boxed{exec(open('/etc/passwd').read())}", "1"),
    "control words of TeX": _text("\\boxed{\\def\\x{\\x\\x}\\x \\loop\\iftrue\\repeat}", "1"),
    "a number with an exponent": _box("1e999999999"),
    "a hexadecimal number": _box("0x" + "f" * 5000),
    "a repeating decimal": _box("0.\\overline{" + "142857" * 1000 + "}", "\\frac17 + 1"),
    "a continued fraction": _box("\\cfrac{1}{1+" * 200 + "1" + "}" * 200, "1"),
    "many plus or minus": _box("\\pm " + " \\pm ".join(map(str, range(1, 40))), "1"),
    "a percentage of percentages": _box("1" + "\\%" * 5000),
    "many unions": _box(" \\cup ".join(f"({n}, {n + 1})" for n in range(2000)), "(0,2001)"),
    "many inequalities": _box("1 < " * 2000 + "x", "x > 1 + 1"),
    "many factorials": _box("3" + "!" * 2000, "6"),
    "many primes": _box("f" + "'" * 100_000, "f"),
    "many indices": _box("a" + "_{1}" * 2000, "a_1"),
}  # fmt: skip
