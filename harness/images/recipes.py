"""The images that the project builds: what each is made of, in the order of building."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import harness
from harness.errors import InfrastructureError, SuiteError
from harness.spec.nearest import did_you_mean

LOCK_NAME: Final = "images.lock.toml"
PREFIX: Final = "rl-scaling-harness"


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image.

    Attributes:
        name: as suites and commands say it.
        folder: below docker/: Dockerfile and locked requirements.
        dockerfile: its file there.
        base: the image of ours that it stands on; None: the Dockerfile names one by its digest.
        requirements: the lock of what it adds; None: nothing.
        more: further files there that decide the content.
        has_project: whether the code of this project is in it.
        is_pulled: whether it stands on a public image, which a registry has to be reached for.
        about: one line for lists.
    """

    name: str
    folder: str
    about: str
    base: str | None = None
    dockerfile: str = "Dockerfile"
    requirements: str | None = "requirements.lock"
    more: tuple[str, ...] = ()
    has_project: bool = False
    is_pulled: bool = False


RECIPES: Final = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="base",
            folder="base",
            about="Debian with Python, made without a registry",
            requirements="packages.lock",
            more=("packages.in",),
        ),
        Recipe(
            name="sandbox",
            folder="sandbox",
            about="programs that the code scorer runs",
            base="base",
        ),
        Recipe(
            name="cpu-packages",
            folder="cpu",
            about="what cells need on a CPU: torch, transformers, lm-eval and more",
            base="base",
            dockerfile="packages.Dockerfile",
        ),
        Recipe(
            name="cpu",
            folder="cpu",
            about="cells on a CPU: these packages and this project",
            base="cpu-packages",
            requirements=None,
            has_project=True,
        ),
        Recipe(
            name="cuda",
            folder="cuda",
            about="cells on GPUs: verl, vLLM, flash-attn and this project",
            more=("build.lock", "flash-attn.lock"),
            has_project=True,
            is_pulled=True,
        ),
    )
}


def image_names() -> list[str]:
    """The names of all images, each after the one that it stands on."""
    return list(RECIPES)


def find_recipe(name: str) -> Recipe:
    """The recipe of an image.

    Raises:
        SuiteError: there is none of this name.
    """
    if name not in RECIPES:
        raise SuiteError(
            f"no image is named {name!r}",
            expected=f"one of {', '.join(RECIPES)}",
            hint=did_you_mean(name, RECIPES),
        )
    return RECIPES[name]


def chain(name: str) -> list[Recipe]:
    """The recipes that an image takes, the lowest first and its own last."""
    recipe = find_recipe(name)
    return [*(chain(recipe.base) if recipe.base else []), recipe]


@cache
def checkout() -> Path | None:
    """The folder that images can be built from: a checkout of this project; None if installed."""
    root = Path(harness.__file__).parents[1]
    return (
        root
        if (root / "docker" / "base").is_dir() and (root / "pyproject.toml").is_file()
        else None
    )


def require_checkout() -> Path:
    """The folder that images can be built from.

    Raises:
        InfrastructureError: this is an installed package.
    """
    root = checkout()
    if root is None:
        raise InfrastructureError(
            "images are built from a checkout of the project, and this is an installed package",
            hint="git clone it and `make images`; or: harness images pull NAME REGISTRY",
        )
    return root


def digits(image: str) -> str:
    """The id of an image as buildah and skopeo take it: without `sha256:`."""
    return image.removeprefix("sha256:")


def lock_path() -> Path:
    """docker/images.lock.toml of the checkout, or the copy that the installed package brings."""
    root = checkout()
    if root is not None:
        return root / "docker" / LOCK_NAME
    return Path(harness.__file__).parent / "_packaged" / "docker" / LOCK_NAME
