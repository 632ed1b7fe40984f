"""Reading answers out of texts: reasoning, boxes, tags and fenced blocks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_scorers.text import (
    Block,
    answer_part,
    boxes,
    fenced_blocks,
    joined_boxes,
    last_box,
    last_tag,
    shown,
)
from tests.scorers.patience import no_endless_work

# Text that looks like what is looked for, which random text hardly ever does.
PIECES = st.sampled_from(
    [
        *("\\boxed{", "\\boxed", "\\fbox {", "{", "}", "\\{", "\\}", "\\", "\n", "\r\n", " ", "5"),
        *("```", "```json", "~~~", "    ```", "`", "<answer>", "</answer>", "<ANSWER>"),
        *("<think>", "</think>", "<|im_end|>", "</s>", "\0", "\ud800", "\u0130"),
    ]
)
TEXTS = st.lists(PIECES | st.text(max_size=3)).map("".join)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no reasoning", "no reasoning"),
        ("<think>5?</think>6", "6"),
        ("a</think>b</think>c", "c"),
        ("<think>never closed", "<think>never closed"),
        ("6<|im_end|>\n<|im_start|>user", "6"),
        ("6</s>", "6"),
        ("<think>an </s> inside</think>6", "6"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("", ""),
    ],
)
def test_the_part_that_answers(text: str, expected: str) -> None:
    assert answer_part(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", None),
        (r"\boxed{5}", "5"),
        (r"\boxed{5} then \boxed{6}", "6"),
        (r"\fbox{5}", "5"),
        (r"\boxed {5}", "5"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{ 5 }", "5"),
        ("\\boxed{a\nb}", "a\nb"),
        (r"\boxed 5 apples", "5"),
        (r"so \boxed 5.", "5"),
        (r"\boxed{}", ""),
        (r"\boxed{5", "5"),
        (r"\boxed{5} and \boxed{6", "5"),
        (r"\boxed{1 \boxed{2} 3}", r"1 \boxed{2} 3"),
        (r"a } stray \boxed{5}", "5"),
        (r"{ \boxed{5}", "5"),
        (r"\\boxed{5}", None),  # a line break, then a word
    ],
)
def test_the_last_box(text: str, expected: str | None) -> None:
    assert last_box(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", None),
        ("<answer>5</answer>", "5"),
        ("<answer>5</answer><answer>\n6\n</answer>", "6"),
        ("<Answer>5</ANSWER>", "5"),
        ("<answer>5", "5"),
        ("<answer>5</answer> <answer>6", "5"),
        ("5</answer>", None),
    ],
)
def test_the_last_tag(text: str, expected: str | None) -> None:
    assert last_tag(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", []),
        ("```\na\n```", [("", "a", True)]),
        ("```JSON\n{}\n```\n", [("json", "{}", True)]),
        ("```\na\n```\n```py\nb\n```", [("", "a", True), ("py", "b", True)]),
        ("```json\na", [("json", "a", False)]),
        ("```py\na\n```json\nb\n```", [("py", "a", False), ("json", "b", True)]),
        ("````\n```\na\n```\n````", [("", "```\na\n```", True)]),
        ("~~~\n```\n~~~", [("", "```", True)]),
        ("```\n```", [("", "", True)]),
        ("inline ``` is none", []),
    ],
)
def test_fenced_blocks(text: str, expected: list[tuple[str, str, bool]]) -> None:
    assert fenced_blocks(text) == [Block(*block) for block in expected]


@given(TEXTS)
def test_no_text_is_too_odd(text: str) -> None:
    part = answer_part(text)
    assert "\r" not in part
    assert part in text.replace("\r\n", "\n").replace("\r", "\n")
    box, tag = last_box(text), last_tag(text)
    assert box is None or box in text
    assert tag is None or tag in text
    for found in boxes(text):
        assert found.content in text[found.start : found.end]
    assert all(block.content in text for block in fenced_blocks(text))


@given(
    before=TEXTS.filter(lambda text: not text.endswith("\\")),
    content=st.from_regex(r"[a-z 0-9]*", fullmatch=True),
)
def test_the_last_closed_box_wins_whatever_stands_before(before: str, content: str) -> None:
    # A box that is not closed holds this one.
    before = before.replace("boxed", "").replace("fbox", "")
    assert last_box(f"{before} \\boxed{{{content}}}") == content.strip()


@given(reasoning=TEXTS, answer=st.from_regex(r"[a-z 0-9]*", fullmatch=True))
def test_reasoning_does_not_count(reasoning: str, answer: str) -> None:
    assert answer_part(f"{reasoning}</think>{answer}") == answer


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "\\boxed{",
            "\\boxed",
            "{",
            "}",
            "\\boxed{}",
            "\\boxed \t",
            "\\",
            "<answer>",
            "</answer>",
        ),
        *("```", "```\n", "`", "```a\n", "</think>", "<|", "\r", " "),
    ],
)
def test_time_grows_with_the_text_and_no_faster(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    with no_endless_work():
        for read in (answer_part, last_box, last_tag, fenced_blocks):
            read(text)


def test_values_are_shown_in_bounded_length() -> None:
    assert shown("short") == "short"
    assert shown([1, 2]) == "[1, 2]"
    assert len(shown("x" * 1_000)) == 200
    assert shown("x" * 1_000).endswith("\u2026")


@pytest.mark.parametrize(
    ("text", "contents", "joints"),
    [
        ("no box", [], set()),
        ("\\boxed{1}", ["1"], set()),
        ("\\boxed{1} and $\\boxed{2}$", ["1", "2"], {"and"}),
        ("\\boxed{1}, \\boxed{2} \\text{ or } \\boxed{3}", ["1", "2", "3"], {",", "or"}),
        ("\\boxed{1} / \\boxed{2}", ["1", "2"], {"or"}),
        ("\\boxed{1} then \\boxed{2}", ["2"], set()),
        ("\\boxed{1}\n\n\\boxed{2}", ["2"], set()),
        ("\\boxed{1} and \\boxed{2", ["1"], set()),
    ],
)
def test_boxes_that_are_one_answer(text: str, contents: list[str], joints: set[str]) -> None:
    assert joined_boxes(text) == (contents, joints)
