"""`python -m harness`: the command line, where the script `harness` is not on PATH."""

from harness.cli import program

if __name__ == "__main__":
    program()
