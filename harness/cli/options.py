"""The options that several verbs share, and how they become a request to the pipeline."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from harness.steps import Request

SuiteName = Annotated[
    str, typer.Argument(metavar="SUITE", help="Name of a suite, or path of its folder.")
]
Tier = Annotated[str, typer.Option("--tier", help="Tier of the suite.")]
Where = Annotated[
    str | None,
    typer.Option("--where", metavar="EXPR", help="Keep cells, e.g. 'model.N >= 7e9'."),
]
Workspace = Annotated[
    Path,
    typer.Option(
        "--workspace", envvar="HARNESS_WORKSPACE", help="Folder of the store and the reports."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Cells at a time (default: one per core).")
]
Container = Annotated[
    str | None,
    typer.Option(
        "--container",
        metavar="auto|docker|podman|apptainer|process",
        help="What cells run in (default: what the tier says).",
    ),
]
Image = Annotated[
    str | None,
    typer.Option("--image", help="Image of cells: a name in docker/images.lock.toml, or a digest."),
]
Gpus = Annotated[
    str | None,
    typer.Option("--gpus", metavar="0,1,...", help="GPUs that this run may use (default: all)."),
]
AcceptDrift = Annotated[
    bool,
    typer.Option("--accept-drift", help="Go on although the lock differs; needs --reason."),
]
Everything = Annotated[
    bool, typer.Option("--everything", help="Show independent refits that agree, too.")
]
AsExpected = Annotated[
    bool,
    typer.Option(
        "--as-expected", help="Exit 0 if, and only if, the verdict is what the suite expects."
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the result.")]

DEFAULT_TIER = "published"
DEFAULT_WORKSPACE = Path("runs")


def request(
    suite: str,
    tier: str,
    where: str | None,
    workspace: Path,
    *,
    workers: int | None = None,
    accept_drift: bool = False,
    reason: str = "",
    container: str | None = None,
    image: str | None = None,
    gpus: str | None = None,
) -> Request:
    """Gather the options of a verb."""
    from harness.steps import Request

    if accept_drift and not reason.strip():
        raise typer.BadParameter("--accept-drift needs --reason 'why'", param_hint="--reason")
    if where is not None and not where.strip():
        raise typer.BadParameter("an empty expression", param_hint="--where")
    if str(workspace) in ("", "."):
        raise typer.BadParameter("name a folder of its own", param_hint="--workspace")
    if container is not None:
        _check_container(container)
    if reason and not accept_drift:
        raise typer.BadParameter("it goes with --accept-drift", param_hint="--reason")
    return Request(
        suite=suite,
        tier=tier,
        where=where,
        workspace=workspace,
        workers=workers or _cores(),
        accepted_drift=reason.strip() if accept_drift else None,
        container=container,
        image=image,
        gpus=None if gpus is None else _named_gpus(gpus),
    )


def _check_container(name: str) -> None:
    from harness.run.containers import container_names

    if name not in container_names():
        known = ", ".join(container_names())
        raise typer.BadParameter(f"{name!r} is not one of {known}", param_hint="--container")


def _named_gpus(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names or len(set(names)) < len(names):
        raise typer.BadParameter("name GPUs by index or UUID, each once: 0,1", param_hint="--gpus")
    return names


def _cores() -> int:
    """Cores that this process may use; macOS and Windows know no affinity."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
