"""What runs inside the sandbox, as the package `guest`: nothing but the standard library.

The package is sent to the sandbox as text and is never imported by the process that scores, except
for `numbers`, `kernel`, `seccomp` and `values`, which say the same on both sides.
"""
