"""`harness images`: build, verify, lock, list, load, push, pull."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.app import app, print_json
from harness.cli.options import AsJson  # noqa: TC001 - typer reads annotations when it runs
from harness.errors import ExitCode

images_app = typer.Typer(
    no_args_is_help=True, help="Images of cells and of the code scorer.", rich_markup_mode=None
)
app.add_typer(images_app, name="images")

DEFAULT = ("sandbox", "cpu")  # what stands on a base that is made here

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help="Images (default: sandbox and cpu)."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="An image.")]
Registry = Annotated[str, typer.Argument(metavar="REGISTRY", help="Host and path.")]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Speak HTTP, as with a registry on this machine.")
]
Engine = Annotated[
    str | None,
    typer.Option("--engine", help="docker, podman or apptainer (default: those that are here)."),
]


def _tell(line: str) -> None:
    typer.echo(line, err=True)


@images_app.command()
def build(
    names: Names = None,
    *,
    anew: Annotated[bool, typer.Option("--anew", help="From clean, whatever is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build images, as far as the files that they are made of have changed."""
    from harness.images.build import build_all
    from harness.images.recipes import image_names

    done = build_all(names or DEFAULT, anew=image_names() if anew else (), tell=_tell)
    if as_json:
        print_json(list(done.values()))
        return
    for one in done.values():
        state = "built" if one.is_new else "there"
        typer.echo(f"{one.name:13} {state}  {one.bytes / 1e9:6.3f} GB  {one.id}")
        for note in one.notes:
            _tell(f"  differs from the lock: {note}")


@images_app.command()
def verify(names: Names = None, *, as_json: AsJson = False) -> None:
    """Build images from clean and compare; exits 4 if one is not bit for bit what it was."""
    from harness.images.verifying import verify as verify_images

    found = verify_images(names or DEFAULT, _tell)
    if as_json:
        print_json(found)
    else:
        for one in found:
            against = (
                "as locked" if one.locked else "as built before; its files are newer than the lock"
            )
            typer.echo(f"{one.name:13} {'same' if one.is_same else 'DIFFERS'}  {one.id}")
            if one.is_same:
                typer.echo(f"{'':13} {against}")
            else:
                typer.echo(f"{'':13} locked {one.locked or '-'}, before {one.before or '-'}")
            for path in one.changed:
                typer.echo(f"{'':13} changed since it was locked: {path}")
            for note in one.notes:
                typer.echo(f"{'':13} {note}")
    if not all(one.is_same for one in found):
        raise typer.Exit(int(ExitCode.LOCK_DRIFT))


@images_app.command()
def lock(names: Names = None, *, as_json: AsJson = False) -> None:
    """Build what has changed twice, and write docker/images.lock.toml."""
    from harness.images.recipes import lock_path
    from harness.images.verifying import lock as lock_images

    changed = lock_images(list(names or ()), _tell)
    if as_json:
        print_json(changed)
        return
    for pin in changed:
        typer.echo(f"{pin.name:13} {pin.id or '-':71}  {pin.verified}")
    typer.echo(
        f"{len(changed)} images locked in {lock_path()}" if changed else "nothing has changed"
    )


@images_app.command()
def requirements(
    folders: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FOLDER]...", help="Below docker/ (default: all)."),
    ] = None,
) -> None:
    """Resolve the packages of images anew and write their locks, with hashes."""
    from harness.images.recipes import require_checkout
    from harness.images.requirements import FOLDERS, lock_requirements

    root = require_checkout()
    for folder in folders or FOLDERS:
        if folder not in FOLDERS:
            raise typer.BadParameter(f"{folder!r} is not one of {', '.join(FOLDERS)}")
        typer.echo(f"written: {lock_requirements(root, folder)}")


@images_app.command(name="list")
def list_images(*, as_json: AsJson = False) -> None:
    """List the images: what they are, how large, whether they are built and locked."""
    from harness.images.listing import list_all

    rows = list_all()
    if as_json:
        print_json(rows)
        return
    for row in rows:
        size = f"{row.bytes / 1e9:.3f} GB" if row.bytes else "-"
        typer.echo(f"{row.name:13} {size:>9}  {row.state}\n{'':13} {row.about}")
        typer.echo(f"{'':13} {row.id or '-'}")


@images_app.command()
def load(names: Names = None, *, engine: Engine = None) -> None:
    """Put images that were built here into the engines that are here."""
    from harness.images.resolving import resolve
    from harness.images.transport import engines_here
    from harness.images.transport import load as load_image

    engines = [engine] if engine else engines_here()
    if not engines:
        typer.echo("no engine answers: harness doctor tells why", err=True)
        raise typer.Exit(int(ExitCode.INFRASTRUCTURE))
    for name in names or DEFAULT:
        image = resolve(name)
        for one in engines:
            state = "loaded" if load_image(image, one) else "there"
            typer.echo(f"{name:13} {state}  {one}  {image.id}")


@images_app.command()
def push(name: Name, registry: Registry, *, insecure: Insecure = False) -> None:
    """Push an image to REGISTRY/NAME, under the digest that the lock has."""
    from harness.images.transport import push as push_image

    typer.echo(f"{registry}/{name}@{push_image(name, registry, insecure=insecure)}")


@images_app.command()
def pull(
    name: Name, registry: Registry, *, engine: Engine = None, insecure: Insecure = False
) -> None:
    """Pull a locked image by its digest into docker or podman."""
    from harness.images.transport import engines_here
    from harness.images.transport import pull as pull_image

    engines = [engine] if engine else [one for one in engines_here() if one != "apptainer"]
    if not engines:
        typer.echo("no engine answers: harness doctor tells why", err=True)
        raise typer.Exit(int(ExitCode.INFRASTRUCTURE))
    for one in engines:
        typer.echo(f"{name:13} {one}  {pull_image(name, registry, one, insecure=insecure)}")
