"""The verb `doctor`: what this machine can carry, and what to type for what it lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.app import app, print_json
from harness.cli.options import (
    DEFAULT_TIER,
    DEFAULT_WORKSPACE,
    AsJson,
    Container,
    Image,
    Workers,
    Workspace,
    request,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.doctor import Finding, Setting


@app.command()
def doctor(
    *,
    suite: Annotated[
        str | None, typer.Option("--suite", metavar="SUITE", help="What is to be run.")
    ] = None,
    tier: Annotated[
        str | None, typer.Option("--tier", help=f"Tier of it (default: {DEFAULT_TIER}).")
    ] = None,
    workspace: Workspace = DEFAULT_WORKSPACE,
    workers: Workers = None,
    container: Container = None,
    image: Image = None,
    as_json: AsJson = False,
) -> None:
    """Say what this machine can carry; exits 5 if something needed is missing, 4 on lock drift."""
    from harness.doctor import Needs, Setting, examine, exit_code, needs_of

    if tier is not None and suite is None:
        raise typer.BadParameter("it goes with --suite", param_hint="--tier")
    asked = request(
        suite or "",
        tier or DEFAULT_TIER,
        None,
        workspace,
        workers=workers,
        container=container,
        image=image,
    )
    if suite is None:
        needs = Needs(container=container or "process", image=image or "cpu")
        setting = Setting(needs, workspace)
    else:
        from harness import pipeline

        loaded = pipeline.load(asked)
        setting = Setting(needs_of(loaded), workspace, loaded)
    findings = examine(setting)
    code = exit_code(findings)
    if as_json:
        print_json({"exit_code": int(code), "needs": setting.needs, "findings": findings})
    else:
        _show(setting, findings)
    raise typer.Exit(int(code))


def _show(setting: Setting, findings: Sequence[Finding]) -> None:
    from harness.cli.show import console
    from harness.doctor.table import closing_line, fixes, table

    screen = console()
    screen.print(table(findings))
    for line in fixes(findings):
        # Not folded, so that it can be copied.
        screen.print(line, soft_wrap=True)
    screen.print(closing_line(setting.needs, findings))
