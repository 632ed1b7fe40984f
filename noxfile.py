"""The project's chores, one nox session each; `make NAME` runs `nox -s NAME`.

An environment is installed when the files that decide its content have changed, and left alone
otherwise, so that every later run works without a network.
"""

from __future__ import annotations

import ast
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import nox
from nox.command import CommandFailed

ROOT = Path(__file__).parent
CONSTRAINTS = ROOT / "constraints.txt"
PINNED = ("-c", str(CONSTRAINTS))

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests"]


SUITES = [path.parent.name for path in sorted((ROOT / "suites").glob("*/suite.yaml"))]

# The tiers that every machine can run, where that is not `published` alone. Tier `responses` needs
# data that are fetched; `micro` trains small models.
TIERS = {
    "agentic": ["micro"],
    "exp1": ["published", "micro"],
    "star": ["published", "responses"],
}


def suite_session(name: str) -> None:
    """Register the session that runs suite `name` from its file to the verdict."""
    tiers = TIERS.get(name, ["published"])

    def run(session: nox.Session) -> None:
        trains = "micro" in (session.posargs or tiers)
        install(session, *(["train"] if trains else []))
        for arguments in [session.posargs] if session.posargs else [["--tier", t] for t in tiers]:
            session.run("harness", "all", name, *arguments, "--as-expected")

    told = ", then ".join(f"--tier {tier}" for tier in tiers)
    run.__doc__ = f"Run suite {name} from its file to the verdict (default: {told})."
    nox.session(name=f"suite-{name}", default=False)(run)


for suite in SUITES:
    suite_session(suite)


@nox.session(default=False)
def suites(session: nox.Session) -> None:
    """Run the published tier of every suite; needs no network once it is installed."""
    install(session)
    failed = []
    for name in SUITES:
        if "published" not in TIERS.get(name, ["published"]):
            continue
        try:
            session.run("harness", "all", name, "--as-expected", *session.posargs)
        except CommandFailed:
            failed.append(name)
    if failed:
        session.error(f"not as expected: {', '.join(failed)}")


@nox.session(default=False)
def images(session: nox.Session) -> None:
    """Build the images of cells and of the code scorer, and load them into the engines here."""
    install(session)
    session.run("harness", "images", "build", *session.posargs)
    names = [word for word in session.posargs if not word.startswith("-")]
    session.run("harness", "images", "load", *names)


@nox.session(name="images-verify", default=False)
def images_verify(session: nox.Session) -> None:
    """Build the images from clean, once more, and compare them bit for bit."""
    install(session)
    session.run("harness", "images", "verify", *session.posargs)


@nox.session(name="images-requirements", default=False)
def images_requirements(session: nox.Session) -> None:
    """Resolve the packages of the images anew, with hashes (arguments: folders below docker/)."""
    install(session)
    session.run("harness", "images", "requirements", *session.posargs, env=uv_settings())


@nox.session(default=False)
def containers(session: nox.Session) -> None:
    """Run exp1's published tier and a cell that trains in real containers (default: docker)."""
    engine = session.posargs[0] if session.posargs else "docker"
    install(session, "train")
    place = ("--container", engine, "--workspace", str(ROOT / "build" / "containers" / engine))
    session.run("harness", "doctor", "--suite", "exp1", "--tier", "micro")
    session.run("harness", "all", "exp1", "--as-expected", *place)
    one = "model.id == 'math-31K' and seed == 1001"
    session.run("harness", "run", "exp1", "--tier", "micro", "--where", one, *place)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on all cores (arguments go to pytest)."""
    install(session, "dev")
    results = f"--junit-xml={ROOT / 'build' / 'junit.xml'}"
    session.run("pytest", "-n", "auto", results, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and the direction of imports."""
    install(session, "dev")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-logo")


@nox.session(default=False)
def format(session: nox.Session) -> None:  # noqa: A001 - the name is the command's
    """Let ruff mend style and formatting."""
    install(session, "dev")
    session.run("ruff", "check", "--fix", ".")
    session.run("ruff", "format", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types (mypy, strict)."""
    install(session, "dev")
    session.run("mypy")


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Execute every command and follow every link of the documentation."""
    install(session, "dev")
    session.run("pytest", "tests/house/test_docs.py", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure against peers and limits; writes benchmarks/results/*.md."""
    install(session, "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(default=False)
def minimums(session: nox.Session) -> None:
    """Run the tests with the lowest version of every direct dependency."""
    install(session, "test", pinned=False, options=("--resolution", "lowest-direct"))
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def changelog(session: nox.Session) -> None:
    """Show what the fragments in changelog.d make of the next release."""
    install(session, "dev")
    session.run("towncrier", "build", "--draft", *session.posargs)


@nox.session(default=False, venv_backend="none")
def constraints(session: nox.Session) -> None:
    """Resolve constraints.txt anew, for every supported Python and platform."""
    # One version of a package for all of them: suites lock those of NumPy and SciPy.
    session.run(
        *(uv(), "pip", "compile", "pyproject.toml", "tools/requirements.in", "--all-extras"),
        *("--universal", "--python-version", "3.11", "--fork-strategy", "fewest", "--upgrade"),
        *("--no-header", "--no-annotate", "--no-emit-index-url", "--output-file", CONSTRAINTS.name),
        env=uv_settings(),
        external=True,
    )


def install(
    session: nox.Session, *extras: str, pinned: bool = True, options: tuple[str, ...] = ()
) -> None:
    """Install the project with `extras` into the session's environment, unless it is there."""
    wanted = "\n".join([*extras, *options, str(pinned), *(_sha256(path) for path in _decisive())])
    stamp = Path(session.virtualenv.location) / "installed"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    project = f".[{','.join(extras)}]" if extras else "."
    arguments = [*options, *(PINNED if pinned else ()), "-e", project]
    try:
        session.install(*arguments, env=uv_settings())
    except CommandFailed:
        if session.venv_backend != "uv" or options:
            raise
        session.warn("uv could not install; trying pip")
        pip = (sys.executable, "-m", "pip", "--python", session.virtualenv.location, "install")
        session.run_install(*pip, *arguments, external=True)
    # Written last, so that an interrupted installation is done again.
    stamp.write_text(wanted)


def _decisive() -> tuple[Path, ...]:
    """The files that decide what an environment holds."""
    return (ROOT / "pyproject.toml", CONSTRAINTS)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def uv() -> str:
    """The uv that lies beside nox."""
    from uv import find_uv_bin

    return find_uv_bin()


def uv_settings() -> dict[str, str]:
    """pip's settings (environment and files) in the words of uv, which reads none of them.

    What the user set for uv itself stands.
    """
    settings = {name: " ".join(words) for name, words in _translated(_pip_settings()).items()}
    settings["UV_BUILD_CONSTRAINT"] = str(CONSTRAINTS)
    return {name: value for name, value in settings.items() if name not in os.environ}


def _translated(pip: dict[str, list[str]]) -> dict[str, list[str]]:
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "no-index": "UV_NO_INDEX",
        "trusted-host": "UV_INSECURE_HOST",
        "cert": "SSL_CERT_FILE",
        "default-timeout": "UV_HTTP_TIMEOUT",
        "timeout": "UV_HTTP_TIMEOUT",
    }
    uv = {names[key]: words for key, words in pip.items() if key in names}
    if "find-links" in pip:
        uv["UV_FIND_LINKS"] = [",".join(pip["find-links"])]
    if "UV_INDEX" in uv:
        # pip takes the best version of all its indexes; uv would stop at the first.
        uv["UV_INDEX_STRATEGY"] = ["unsafe-best-match"]
    return uv


def _pip_settings() -> dict[str, list[str]]:
    """`pip config list`, by key; the environment's values go before those of files."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    settings: dict[str, list[str]] = {}
    for line in sorted(listing.splitlines(), reverse=True):  # ":env:" comes last, and wins
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = str(ast.literal_eval(value)).split()
    return settings
