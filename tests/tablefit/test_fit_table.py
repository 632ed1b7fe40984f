"""`harness fit TABLE`: the same numbers as the API, told so that a person can use them."""

from __future__ import annotations

import io
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.analysis import Curves, fit, resample
from harness.analysis.laws import get_law, law_names

from .conftest import FIVE, THREE, rows

PUBLISHED = Path(__file__).parents[2] / "suites/exp1/published/exp1_holdout.csv"


def test_the_shell_gives_what_the_api_gives(harness, table) -> None:
    left = harness("fit", table(FIVE), "--json", "--no-figure", "--n", "50", "--seed", "3")
    assert left.code == 0, left.err
    found = fit(Curves.from_csv("data.csv"))
    drawn = resample(found, Curves.from_csv("data.csv"), n=50, seed=3)
    told = left.json["fit"]
    assert told["params"] == found.params
    assert told["objective"] == found.objective
    assert told["by_curve"]["E0"] == [
        {"N": N, "value": value} for N, value in found.by_curve["E0"].items()
    ]
    assert told["resample"]["intervals"] == {
        name: list(ends) for name, ends in drawn.intervals.items()
    }
    assert told["resample"]["flags"] == list(drawn.flags) == []


def test_published_slopes_come_out_of_the_published_table(harness, tmp_path, monkeypatch) -> None:
    # Free slopes against D, as an independent refit of these points gives them.
    monkeypatch.chdir(tmp_path)
    options = ["--law", "loglinear", "--x", "E", "--where", 'source == "base"']
    left = harness("fit", str(PUBLISHED), *options, "--json", "--no-figure")
    slopes = [one["value"] for one in left.json["fit"]["by_curve"]["k"]]
    expected = [0.0065, 0.0247, 0.0182, 0.0450, 0.0745, 0.1072, 0.1126]
    assert np.allclose(slopes, expected, atol=5e-5)


def test_lines_agree_with_polyfit(harness, table) -> None:
    left = harness(
        "fit", table(), "--law", "loglinear", "--space", "log10", "--json", "--no-figure"
    )
    for one in left.json["fit"]["by_curve"]["k"]:
        curve = np.array([(C, L) for N, C, L in THREE if one["N"] == N])
        slope, _ = np.polyfit(np.log10(curve[:, 0]), np.log10(curve[:, 1]), 1)
        assert math.isclose(one["value"], -slope, rel_tol=1e-9)


def test_a_person_reads_parameters_r2_flags_and_the_figure(harness, table) -> None:
    left = harness("fit", table())
    assert left.code == 0
    for told in ("Kₘₐₓ", "N₀", "parameters", "1B", "7B", "30B", "R2 pooled", "of each curve"):
        assert told in left.out
    assert "figure: fit-loglinear_kn.svg" in left.out
    assert Path("fit-loglinear_kn.svg").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("ending", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<")]
)
def test_the_figure_is_of_the_format_that_its_name_says(harness, table, ending, magic) -> None:
    left = harness("fit", table(), "--figure", f"own.{ending}", "--resample", "none")
    assert left.code == 0
    assert Path(f"own.{ending}").read_bytes().startswith(magic)


def test_flags_are_told_in_words(harness, table) -> None:
    left = harness("fit", table(rows(1e9, 0.05, points=3)), "--law", "loglinear", "--no-figure")
    assert left.code == 0
    assert "few_points: fewer than five degrees of freedom are left" in left.out


@pytest.mark.parametrize("law", sorted(law_names()))
def test_every_law_can_be_drawn_and_told(harness, table, law) -> None:
    two_groups = THREE if law != "loglinear_tau" else [(rank, C, L) for rank, C, L in THREE]
    left = harness("fit", table(two_groups), "--law", law, "--resample", "none")
    assert left.code == 0, left.err
    assert law in left.out
    assert Path(f"fit-{law}.svg").exists()


def test_standard_input_is_csv(harness, table, monkeypatch) -> None:
    content = Path(table()).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    left = harness("fit", "-", "--json", "--no-figure", "--resample", "none")
    assert left.json["fit"]["n"] == len(THREE)


def test_parquet_gives_the_same_or_says_what_is_missing(harness, table) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    columns = dict(zip(("N", "C", "ErrRate"), map(list, zip(*THREE, strict=True)), strict=True))
    table()
    parquet.write_table(pa.table(columns), "data.parquet")
    options = ("--json", "--no-figure", "--resample", "none")
    one, other = (harness("fit", name, *options) for name in ("data.csv", "data.parquet"))
    assert one.json["fit"]["params"] == other.json["fit"]["params"]


def test_parquet_without_pyarrow_names_the_package(harness, table, monkeypatch) -> None:
    table()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    Path("data.parquet").write_bytes(b"")
    left = harness("fit", "data.parquet")
    assert left.code == 2
    assert "pip install pyarrow" in left.err


def test_a_table_of_one_curve(harness, table) -> None:
    name = table([row[1:] for row in rows(7e9, 0.08)], ("C", "ErrRate"))
    left = harness("fit", name, "--one-curve", "--law", "power", "--json", "--no-figure")
    assert left.code == 0, left.err
    (only,) = left.json["fit"]["by_curve"]["beta"]
    assert math.isclose(only["value"], 0.08, abs_tol=5e-3)


def test_where_clips_and_gaps_choose_rows(harness, table) -> None:
    gaps = [(N, C, "" if C == 1e16 else L) for N, C, L in THREE]
    name = table(gaps)
    options = ("--where", "N < 2e10", "--drop-last", "2", "--json", "--no-figure")
    left = harness("fit", name, *options, "--skip-gaps")
    assert left.json["fit"]["n"] == 2 * (9 - 2)
    assert harness("fit", name, *options).code == 2


BAD = {
    "constant": ([(N, C, 0.5) for N, C, _ in THREE], "constant in ErrRate"),
    "two points": (rows(1e9, 0.05, points=2), "cannot be told from 1 curve"),
    "all gaps": ([(N, C, "nan") for N, C, _ in THREE], "data.csv:2: ErrRate"),
    "zero x": ([*THREE, (7e9, 0, 0.9)], "data.csv:32: C"),
    "negative x": ([*THREE, (7e9, -3, 0.9)], "data.csv:32: C"),
    "zero loss": ([(1e9, 1e15, 0), *THREE], "data.csv:2: ErrRate"),
    "infinite": ([*THREE, (7e9, "inf", 0.9)], "data.csv:32: C"),
    "text": ([*THREE, ("big", 1e17, 0.9)], "data.csv:32: N is not a number"),
    "one curve": (rows(1e9, 0.05), "cannot be told from 1 curve"),
    "no rows": ([], "no rows"),
    "ragged": ([*THREE, (7e9, 1e17)], "data.csv:32: a row of another length"),
}


@pytest.mark.parametrize(("lines", "told"), BAD.values(), ids=BAD)
def test_bad_tables_are_refused_with_their_line(harness, table, lines, told) -> None:
    left = harness("fit", table(lines), "--no-figure")
    assert left.code == 2
    assert told in left.err
    assert "Traceback" not in left.err


def test_a_loss_above_one_is_taken_as_a_loss_and_said(harness, table) -> None:
    left = harness("fit", table([(N, C, 5 * L) for N, C, L in THREE]), "--no-figure")
    assert left.code == 0
    assert "note: ErrRate is above 1" in left.out


def test_curves_of_unequal_length(harness, table) -> None:
    lines = [*rows(1e9, 0.05, points=4), *rows(7e9, 0.08), *rows(3e10, 0.1, points=6)]
    left = harness("fit", table(lines), "--no-figure", "--json")
    assert left.json["fit"]["n"] == 20


def test_rows_of_two_sources_are_not_one_curve(harness, table) -> None:
    lines = [(source, *row) for source in ("base", "instruct") for row in THREE]
    name = table(lines, ("source", "N", "C", "ErrRate"))
    left = harness("fit", name, "--no-figure")
    assert left.code == 2
    assert """--where 'source == "base"'""" in left.err
    assert harness("fit", name, "--no-figure", "--where", 'source == "base"').code == 0


def test_repeated_abscissae_are_said(harness, table) -> None:
    left = harness("fit", table([*THREE, *THREE]), "--no-figure")
    assert "30 rows repeat a value of C" in left.out


def test_a_missing_column_names_the_nearest(harness, table) -> None:
    left = harness("fit", table(), "--y", "ErRate")
    assert left.code == 2
    assert "did you mean 'ErrRate'?" in left.err
    assert not list(Path().glob("*.svg"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("data.csv", "--tier", "micro"), "it goes with a suite"),
        (("exp1", "--law", "power"), "it goes with a table"),
        (("data.csv", "--law", "loglinar"), "loglinear"),
        (("data.csv", "--figure", "own.gif"), ".svg, .pdf, .png"),
        (("data.csv", "--one-curve", "--group", "N"), "--one-curve"),
        (("data.csv", "--resample", "seeds"), "there is nothing named 'seeds' to draw"),
        (("data.csv", "--where", "M > 1"), "unknown name `M`"),
        (("data.csv", "--where", "N > 1e99"), "no row is left"),
        (("gone.csv",), "gone.csv: cannot be read"),
        (("empty.csv",), "the table is empty"),
        (("binary.csv",), "not UTF-8"),
    ],
)
def test_what_cannot_be_is_refused(harness, table, words, told) -> None:
    table()
    Path("empty.csv").touch()
    Path("binary.csv").write_bytes(bytes(range(256)))
    left = harness("fit", *words)
    assert left.code == 2
    assert told in " ".join(left.err.split())
    assert "Traceback" not in left.err


def test_errors_are_json_where_json_is_asked_for(harness, table) -> None:
    left = harness("fit", table([]), "--json")
    assert left.code == 2
    assert json.loads(left.out)["error"]["message"] == "the table has no rows"


def test_a_long_table_is_drawn_with_few_points(harness, table) -> None:
    lines = [
        (N, C * (1 + step / 1000), loss * (1 + step / 1000) ** -0.07)
        for N, C, loss in THREE
        for step in range(500)
    ]
    left = harness("fit", table(lines), "--resample", "none")
    assert "the figure shows 1,200 of 15,000 points" in left.out
    assert Path("fit-loglinear_kn.svg").stat().st_size < 1_000_000


def test_laws_are_listed_with_formula_and_parameters(harness) -> None:
    left = harness("laws", "--json")
    assert [one["name"] for one in left.json] == list(law_names())
    text = harness("laws").out
    for name in law_names():
        law = get_law(name)
        assert law.formula in text
        for one in (*law.shared, *law.per_curve):
            assert one.meaning in text


def test_held_out_errors_are_always_told(harness, table) -> None:
    left = harness("fit", table(), "--resample", "none", "--no-figure", "--json")
    told = left.json["held_out"]
    assert {(one["part"], one["kind"]) for one in told} == {
        ("last", "blind"),
        ("largest", "blind"),
        ("largest", "calibrated"),
    }
    assert "largest N (30B)" in harness("fit", table(), "--resample", "none", "--no-figure").out


def test_rivals_are_compared_on_the_same_points(harness, table) -> None:
    options = ("--rival", "loglinear", "--rival", "power", "--resample", "none", "--no-figure")
    told = harness("fit", table(), *options, "--json").json["rivals"]
    assert {one["law"] for one in told} == {"loglinear_kn", "loglinear", "power"}
    least = fit(Curves.from_csv("data.csv"), told[0]["law"])
    assert told[0]["delta_bic"] == 0
    for one in told:
        alone = fit(Curves.from_csv("data.csv"), one["law"])
        assert math.isclose(one["delta_bic"], alone.bic - least.bic, abs_tol=1e-9)
    assert "BIC less the least" in harness("fit", table(), *options).out


def test_a_rival_that_cannot_be_fitted_is_named(harness, table) -> None:
    name = table(rows(1e9, 0.05))
    left = harness("fit", name, "--law", "power", "--rival", "loglinear_kn", "--no-figure")
    assert left.code == 0
    assert "note: the rival loglinear_kn is not fitted" in left.out


def test_a_profile_stands_beside_the_resampled_interval(harness, table) -> None:
    left = harness(
        "fit", table(), "--profile", "K_max", "--resample", "none", "--no-figure", "--json"
    )
    (told,) = left.json["profiles"]
    assert told["low"] < left.json["fit"]["params"]["K_max"] < told["high"]
    wrong = harness("fit", table(), "--profile", "K", "--resample", "none", "--no-figure")
    assert wrong.code == 2
    assert "K_max, N0" in wrong.err


def test_a_flag_of_many_curves_stands_once(harness, table) -> None:
    left = harness("fit", table(), "--law", "saturating_power", "--no-figure")
    lines = [line for line in left.out.splitlines() if line.startswith("! correlated:E~b")]
    assert len(lines) == 1


def answers(question: str = "question") -> tuple[list[tuple[object, ...]], tuple[str, ...]]:
    """A row for each answer: 40 questions, each as hard as its number says."""
    rng = np.random.default_rng(0)
    hard = rng.uniform(0.6, 1.4, 40)
    lines: list[tuple[object, ...]] = []
    for N, C, loss in THREE:
        for one, wrong in enumerate(rng.uniform(size=40) < (0.15 + 0.6 * loss) * hard):
            lines.append((N, C, one, "algebra" if one % 2 else "logic", int(wrong)))
    return lines, ("N", "C", question, "subject", "wrong")


def test_single_answers_are_averaged_and_questions_drawn(harness, table) -> None:
    lines, head = answers()
    options = ("--y", "wrong", "--resample", "question", "--n", "60", "--no-figure", "--json")
    left = harness("fit", table(lines, head), *options)
    assert left.code == 0, left.err
    told = left.json
    # The means by hand, and the API on all rows.
    means: dict[tuple[float, float], list[int]] = {}
    for N, C, _, _, wrong in lines:
        means.setdefault((N, C), []).append(wrong)
    keys = list(means)
    points = {
        "N": [N for N, _ in keys],
        "C": [C for _, C in keys],
        "wrong": [np.mean(means[key]) for key in keys],
    }
    found = fit(points, y="wrong")
    assert told["fit"]["n"] == len(THREE)
    assert told["fit"]["params"] == pytest.approx(found.params)
    drawn = resample(found, Curves.from_csv("data.csv"), by="question", n=60)
    assert drawn.method == told["fit"]["resample"]["method"] == "question"
    assert drawn.clusters == 40
    for name, ends in told["fit"]["resample"]["intervals"].items():
        expected = [end if math.isfinite(end) else None for end in drawn.intervals[name]]
        assert ends == pytest.approx(expected)
    assert "1,200 rows are averaged over question to 30 points" in told["notes"]


@pytest.mark.parametrize(
    ("column", "told"),
    [("question", "--resample question averages"), ("item", "call the column that tells")],
)
def test_single_answers_are_never_to_be_left_out(harness, table, column, told) -> None:
    lines, head = answers(column)
    name = table([row[:3] + row[4:] for row in lines], head[:3] + head[4:])
    left = harness("fit", name, "--y", "wrong", "--no-figure")
    assert left.code == 2
    assert told in " ".join(left.err.split())
    assert "--where" not in left.err
    options = ("--law", "saturating_power", "--resample", "none", "--no-figure")
    left = harness("fit", name, "--y", "wrong", *options)
    assert told in " ".join(left.out.split())


def test_questions_are_no_runs(harness, table) -> None:
    lines, head = answers()
    left = harness("fit", table(lines, head), "--y", "wrong", "--run", "question")
    assert left.code == 2
    assert "a question is no run of a curve" in left.err
    assert "--resample question" in left.err


def test_a_mean_of_0_is_told_with_its_line_and_a_law_that_takes_it(harness, table) -> None:
    lines, head = answers()
    lines = [(*row[:4], 0) if row[:2] == lines[0][:2] else row for row in lines]
    name = table(lines, head)
    options = ("--y", "wrong", "--resample", "question", "--n", "5", "--no-figure")
    left = harness("fit", name, *options)
    assert left.code == 2
    assert "data.csv:2: wrong is not positive in 1 of 30 rows" in left.err
    assert "--law saturating_power" in left.err
    assert harness("fit", name, *options, "--law", "saturating_power").code == 0


@pytest.mark.parametrize("mark", [";", "\t"])
def test_another_separator_is_named(harness, table, mark) -> None:
    table()
    text = Path("data.csv").read_text(encoding="utf-8").replace(",", mark)
    Path("data.csv").write_text(text, encoding="utf-8")
    left = harness("fit", "data.csv")
    assert left.code == 2
    assert f"fields are separated by {mark!r} here" in left.err


def test_a_table_without_a_group_is_told_of_both_ways(harness, table) -> None:
    name = table([row[1:] for row in THREE], ("C", "ErrRate"))
    left = harness("fit", name)
    assert left.code == 2
    assert "--group" in left.err
    assert "--one-curve" in left.err


def test_a_column_of_gaps_leaves_nothing(harness, table) -> None:
    left = harness("fit", table([(N, C, "") for N, C, _ in THREE]), "--skip-gaps")
    assert left.code == 2
    assert "--skip-gaps leaves no row: ErrRate is a gap in all 30" in left.err


def test_a_folder_that_is_not_there_is_told_before_the_fit(harness, table) -> None:
    left = harness("fit", "gone.csv", "--figure", "nope/own.svg")
    assert left.code == 2
    assert "the folder of the figure is not there" in left.err
    assert "--figure own.svg" in left.err


def test_a_fit_and_its_draws_are_short_at_a_prompt(table) -> None:
    curves = Curves.from_csv(table(FIVE))
    found = fit(curves)
    told, drawn = repr(found), repr(resample(found, curves, n=50))
    assert told.startswith(f"<Fit loglinear_kn K_max={found.params['K_max']:.6g} ")
    assert "50 points of 5 curves" in told
    assert "by curve" in drawn
    assert "K_max" in drawn
    assert max(len(told), len(drawn)) < 500


@pytest.mark.parametrize("count", [2, 3])
def test_two_curves_drawn_by_curve_have_no_interval(harness, table, count) -> None:
    name = table(THREE[: 10 * count])
    left = harness("fit", name, "--resample", "curve", "--n", "100")
    assert left.code == 0, left.err
    assert "value (no interval: few_units" in left.out
    assert "! resampling: few_units: no interval, since" in left.out
    assert "95% of 100 refits" not in left.out
    for line in left.out.splitlines():
        if line.lstrip().startswith(("Kₘₐₓ ", "N₀ ")):
            assert "(no interval)" in line
    figure = Path("fit-loglinear_kn.svg").read_text(encoding="utf-8")
    assert "95% of" not in figure
    told = harness("fit", name, "--resample", "curve", "--n", "100", "--json", "--no-figure").json
    assert "few_units" in told["fit"]["resample"]["flags"]
    assert set(map(tuple, told["fit"]["resample"]["intervals"].values())) == {(None, None)}


def test_what_is_drawn_unless_one_says_so_takes_five_curves(harness, table) -> None:
    told = [
        harness("fit", table(lines), "--json", "--no-figure", "--n", "50").json["fit"]["resample"]
        for lines in (THREE, FIVE)
    ]
    assert told[0] is None
    assert told[1]["method"] == "curve"


def test_one_curve_has_no_largest(harness, table) -> None:
    options = ("--law", "power", "--resample", "none", "--no-figure", "--json")
    left = harness("fit", table(rows(7e9, 0.08)), *options, "--rival", "loglinear")
    assert left.code == 0, left.err
    assert {one["part"] for one in left.json["held_out"]} == {"last"}


def test_a_curve_of_one_point_is_told_without_clips(harness, table) -> None:
    left = harness("fit", table([*THREE, (5e9, 1e17, 0.3)]))
    assert left.code == 2
    assert "N=5e+09 has fewer than 2 points" in left.err
    assert "drop" not in left.err


def test_a_law_like_no_other_gets_no_nearest(harness, table) -> None:
    left = harness("fit", table(), "--rival", "xyz")
    assert left.code == 2
    assert "nearest" not in left.err
    assert "harness laws" in left.err
