"""A stand-in for `apptainer`, which no Debian package brings: it knows only what the real one does.

It refuses every option that the real command line lacks, notes what it was given, and runs the
command in namespaces made by bubblewrap: what is bound is bound, the root is read-only, there is no
network. It limits nothing.
"""

import argparse
import json
import os
import pathlib
import sys


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="apptainer exec", allow_abbrev=False)
    for flag in ("--containall", "--cleanenv", "--no-privs", "--net", "--nv", "--nvccli"):
        parser.add_argument(flag, action="store_true")
    for one in ("--network", "--workdir", "--pwd", "--memory", "--memory-swap", "--cpus"):
        parser.add_argument(one)
    parser.add_argument("--pids-limit", type=int)
    parser.add_argument("--home")
    for several in ("--bind", "--env", "--security", "--no-mount"):
        parser.add_argument(several, action="append", default=[])
    parser.add_argument("image")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    return parser


def main(words: list[str]) -> int:
    if words == ["version"]:
        print("1.4.0-fake")
        return 0
    if words[:2] == ["build", "--force"]:
        pathlib.Path(words[2]).write_text(f"made of {words[3]}")
        return 0
    assert words[0] == "exec", words
    given = options().parse_args(words[1:])
    note = {**vars(given), "visible": os.environ.get("NVIDIA_VISIBLE_DEVICES")}
    pathlib.Path(os.environ["HOME"], "given.json").write_text(json.dumps(note))
    command = ["bwrap", "--die-with-parent", "--unshare-net", "--unshare-pid", "--unshare-ipc"]
    command += ["--tmpfs", "/", "--dev", "/dev", "--proc", "/proc", "--clearenv"]
    # First, as the Python of these tests may lie in there.
    command += ["--bind", f"{given.workdir}/tmp", "/tmp", "--ro-bind", os.environ["SITE"], "/site"]
    seen = {"/usr", "/lib", "/lib64", sys.base_prefix, sys.prefix}
    for path in sorted(path for path in seen if pathlib.Path(path).exists()):
        command += ["--ro-bind", path, path]
    for bind in given.bind:
        source, target, mode = bind.rsplit(":", 2)
        command += ["--bind" if mode == "rw" else "--ro-bind", source, target]
    if given.nv and given.nvccli:
        for gpu in filter(None, (note["visible"] or "").split(",")):
            command += ["--dev-bind", "/dev/null", f"/dev/nvidia{gpu}"]
    home, inside = given.home.rsplit(":", 1)
    command += ["--bind", home, inside, "--setenv", "HOME", inside]
    for variable in given.env:
        assert not variable.startswith("HOME="), "the real one warns and ignores it"
        command += ["--setenv", *variable.split("=", 1)]
    command += ["--setenv", "PYTHONPATH", "/site", "--setenv", "PATH", "/usr/bin"]
    command += ["--remount-ro", "/", "--chdir", given.pwd, sys.executable, *given.command[1:]]
    return os.execvp(command[0], command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
