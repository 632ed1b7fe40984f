"""What a Dockerfile or a lock of packages may not say: `faults` finds it, with line and reason."""

from __future__ import annotations

import re

DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
# A network step is one that these words begin, wherever they stand in a command.
FETCHING = re.compile(
    r"\b(curl|wget|git\s+clone|apt-get|apt|apk|dnf|yum|microdnf|conda|mamba|npm|go\s+get|cargo)\b"
)
PIP = re.compile(r"\b(pip3?|uv\s+pip)\s+(?:--python\s+\S+\s+)?install\b")


def instructions(text: str) -> list[tuple[int, str, str]]:
    """Line, name and rest of each instruction; lines that end in a backslash are joined."""
    found: list[tuple[int, str, str]] = []
    begun: tuple[int, str] | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if begun is None and (not line or line.startswith("#")):
            continue
        if begun is not None and line.startswith("#"):
            continue
        start, so_far = begun or (number, "")
        whole = f"{so_far} {line.removesuffix(chr(92)).strip()}".strip()
        if line.endswith("\\"):
            begun = start, whole
            continue
        begun = None
        name, _, rest = whole.partition(" ")
        found.append((start, name.upper(), rest.strip()))
    return found


def faults(text: str) -> list[str]:
    """What is wrong with a Dockerfile."""
    told: list[str] = []
    stages: set[str] = set()
    arguments: dict[str, str] = {}
    for line, name, rest in instructions(text):
        if name == "ARG":
            key, _, value = rest.partition("=")
            arguments[key] = value
            if value and not DIGEST.search(value) and key == "BASE":
                told.append(f"{line}: a base without digest: {value}")
        elif name == "FROM":
            told += _from(line, rest, stages, arguments)
        elif (
            name == "ADD"
            and re.search(r"https?://|git@", rest)
            and "--checksum=sha256:" not in rest
        ):
            told.append(f"{line}: fetched without a checksum: {rest}")
        elif name == "RUN":
            told += _run(line, rest)
        elif name == "COPY":
            told += _copy(line, rest, stages)
    return [*told, *_as_a_whole(text)]


def _as_a_whole(text: str) -> list[str]:
    users = [rest for _, name, rest in instructions(text) if name == "USER"]
    told = []
    if not users or users[-1].split(":")[0] in ("0", "root"):
        told.append("the last USER is root")
    if text.lstrip().lower().startswith("# syntax="):
        told.append("1: a syntax line pulls an image")
    return told


def _copy(line: int, rest: str, stages: set[str]) -> list[str]:
    source = re.search(r"--from=(\S+)", rest)
    if source is None or source[1] in stages or DIGEST.search(source[1]):
        return []
    return [f"{line}: copied from an image without digest: {source[1]}"]


def _from(line: int, rest: str, stages: set[str], arguments: dict[str, str]) -> list[str]:
    words = [word for word in rest.split() if not word.startswith("--")]
    image = words[0]
    if len(words) == 3 and words[1].lower() == "as":
        stages.add(words[2])
    variable = re.fullmatch(r"\$\{?(\w+)\}?", image)
    if image in stages or image == "scratch" or DIGEST.search(image):
        return []
    if variable and variable[1] in arguments:
        return []  # the builder gives an id, or the default was looked at above
    return [f"{line}: a base without digest: {image}"]


def _run(line: int, rest: str) -> list[str]:
    told = []
    if PIP.search(rest) and "--require-hashes" not in rest:
        told.append(f"{line}: pip without --require-hashes")
    if PIP.search(rest) and "--no-deps" not in rest:
        told.append(f"{line}: pip may fetch what no lock names")
    if fetching := FETCHING.search(rest):
        told.append(f"{line}: {fetching[0]} has no hash")
    return told
