from __future__ import annotations

import ast

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.errors import SuiteError
from harness.spec.expression import compile_expression

CELL = {"model": {"id": "tiny", "source": "base", "N": 7e9, "deep": {"er": 1}}, "seed": 3}
NAMES = ("model", "model.id", "model.source", "model.N", "model.deep.er", "seed")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('model.N>=7e9 and model.source == "base"', True),
        ("1 < seed <= 3", True),
        ("1 < seed < 3", False),
        ("seed in (1, 2, 3)", True),
        ("seed not in [1, 2]", True),
        ("'as' in model.source", True),
        ('model == "tiny"', True),
        ('model in ("tiny", "wide")', True),
        ("not (seed == 3 or seed == 4)", False),
        ("model.N / 1e9 - 7 == 0 and -seed == -3 and +seed * 2 + 1 == 7", True),
        ("model.deep.er == 1", True),
        ("seed != None", True),
        ("seed == 3", True),
        ("model.N >= 7e9 and\n  seed == 3", True),
        ("   seed == 3   ", True),
    ],
)
def test_selection_of_a_cell(text, expected):
    assert compile_expression(text, NAMES)(CELL) is expected


def test_a_row_may_have_dotted_columns():
    rows = [{"evals.holdout": 0.5, "N": 1.0}, {"evals.holdout": 0.7, "N": 1.0}]
    chosen = compile_expression("evals.holdout > 0.6", ["evals.holdout", "N"])
    assert [chosen(row) for row in rows] == [False, True]


def test_and_and_or_stop_early():
    assert compile_expression("seed == 0 or seed == 3 or missing > 1")(CELL)
    assert not compile_expression("seed == 0 and missing > 1")(CELL)


@pytest.mark.parametrize(
    ("text", "column", "part"),
    [
        ("", 0, "an empty expression"),
        ("seed >", 6, "a syntax error"),
        ("(seed", 0, "a syntax error"),
        ("seed = 3", 5, "a syntax error"),
        ('"é" == modle.N', 7, "did you mean model.N"),
        ("seed == true", 8, "did you mean True?"),
        ("seed == 1 and len(model) > 1", 14, "call is not part"),
        ("model['N'] > 1", 0, "subscript is not part"),
        ("(lambda: 1) == 1", 1, "lambda is not part"),
        ("[s for s in seed]", 0, "listcomp is not part"),
        ("seed if seed else 1", 0, "ifexp is not part"),
        ("(seed := 3)", 1, "namedexpr is not part"),
        ("f'{seed}' == '3'", 0, "joinedstr is not part"),
        ("[*model]", 1, "starred is not part"),
        ("{1: 2} == 3", 0, "dict is not part"),
        ("seed ** 9", 0, "binop is not part"),
        ("seed % 2 == 0", 0, "binop is not part"),
        ("~seed", 0, "unaryop is not part"),
        ("seed == b'3'", 8, "constant is not part"),
        ("seed == 1j", 8, "constant is not part"),
        ("seed == ...", 8, "constant is not part"),
        ("seed is None", 8, "write == or !="),
        ("model.__class__ == 1", 0, "names start with a letter"),
        ("__import__ == 1", 0, "names start with a letter"),
        ("(1).real == 1", 1, "constant is not part"),
        ("seed == 1 ; seed", 10, "a syntax error"),
    ],
)
def test_what_is_refused_is_shown_with_its_place(text, column, part):
    with pytest.raises(SuiteError) as caught:
        compile_expression(text, NAMES, where="suite.yaml:7")
    _, shown, caret, *_ = str(caught.value).split("\n")
    assert str(caught.value).startswith("suite.yaml:7: in the expression: ")
    assert part in str(caught.value)
    assert shown == "  " + text
    assert caret == "  " + " " * column + "^"


@pytest.mark.parametrize(
    "text",
    [
        "\0",
        "not " * 2000 + "seed",
        "(" * 300 + "1" + ")" * 300,
        "1+" * 900 + "1",
        "9" * 5000,
        "-" * 3000 + "1",
    ],
    ids=["null byte", "not not", "parentheses", "long sum", "long number", "signs"],
)
def test_what_would_hurt_the_parser_is_refused(text):
    with pytest.raises(SuiteError):
        compile_expression(text, NAMES)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("seed < 'x'", "cannot compare"),
        ("3 in seed", "cannot compare"),
        ("'a' * 3 == 'aaa'", "arithmetic on something else"),
        ("model.source + 1 == 2", "arithmetic on something else"),
        ("1 / (seed - 3) > 0", "division by zero"),
        ("1e308 * 10 * seed > 1 / 0", "division by zero"),
        ("model.gamma > 1", "no `model.gamma` in model 'tiny'"),
        ("other > 1", "no `other` in the names model, seed"),
        ("model.N.real > 1", "no `model.N.real`"),
    ],
)
def test_what_the_values_do_not_allow_is_an_error(text, part):
    with pytest.raises(SuiteError, match="in the expression") as caught:
        compile_expression(text)(CELL)
    assert part in str(caught.value)


numbers = st.integers(-20, 20) | st.floats(-20, 20).map(lambda x: round(x, 2))
literals = numbers.map(repr) | st.sampled_from(["'base'", "'a'", "True", "False", "None"])
names = st.sampled_from(["seed", "model.N", "model.source", "flag"])
operands = literals | names


def combined(inner):
    operator = st.sampled_from(["+", "-", "*", "/", "==", "!=", "<", "<=", ">", ">=", "and", "or"])
    member = st.lists(operands, min_size=1, max_size=3).map(lambda items: f"({', '.join(items)},)")
    return (
        st.tuples(inner, operator, inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})")
        | st.tuples(operands, st.sampled_from(["<", "<="]), operands, operands).map(
            lambda t: f"{t[0]} {t[1]} {t[2]} {t[1]} {t[3]}"
        )
        | st.tuples(inner, st.sampled_from(["in", "not in"]), member).map(
            lambda t: f"({t[0]}) {t[1]} {t[2]}"
        )
        | inner.map(lambda text: f"not ({text})")
        | inner.map(lambda text: f"-({text})")
    )


class Attributes:
    def __init__(self, **values):
        self.__dict__.update(values)


@given(
    st.recursive(operands, combined, max_leaves=8),
    numbers,
    numbers,
    st.sampled_from(["base", "a", "instruct"]),
    st.booleans(),
)
def test_what_is_accepted_means_what_python_means(text, seed, size, source, flag):
    cell = {"seed": seed, "model": {"N": size, "source": source}, "flag": flag}
    try:
        found = compile_expression(text)(cell)
    except SuiteError:
        assume(False)  # what is refused has no meaning to compare
    scope = {"seed": seed, "model": Attributes(N=size, source=source), "flag": flag}
    assert found is bool(eval(text, {"__builtins__": {}}, scope))


ALLOWED = (
    *(ast.Expression, ast.Name, ast.Attribute, ast.Load, ast.Constant, ast.Tuple, ast.List),
    *(ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd),
    *(ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div),
    *(ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn),
)

snippets = st.sampled_from(
    [
        *("seed", "model", ".N", ".__class__", "_x", "__import__", "1", "'a'", "f'{seed}'", "1j"),
        *("...", "b''", "(", ")", "[", "]", "{", "}", "()", "[0]", "lambda", "lambda:0", ":", ","),
        *(" for ", " in ", " if ", " else ", "await ", "yield ", " is ", " not ", "and ", "or "),
        *("*", "**", "@", "//", "%", "|", "&", "^", "<<", "~", ":=", "=", "==", "<", "-", "\n"),
    ]
)


@given(st.lists(snippets, min_size=1, max_size=8).map("".join))
def test_nothing_outside_the_language_is_accepted(text):
    try:
        compile_expression(text)
    except SuiteError:
        return
    tree = ast.parse(" ".join(text.split("\n")).strip(), mode="eval")
    for node in ast.walk(tree):
        assert isinstance(node, ALLOWED), ast.dump(node)
        if isinstance(node, ast.Name | ast.Attribute):
            assert not getattr(node, "id", getattr(node, "attr", "")).startswith("_")
        if isinstance(node, ast.Constant):
            assert isinstance(node.value, str | int | float | None)
