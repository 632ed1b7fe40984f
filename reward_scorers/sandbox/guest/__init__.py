"""What runs inside the sandbox, as the package `guest`: nothing but the standard library.

The package is sent to the sandbox as text and is never imported by the process that scores, except
for what says the same on both sides: `values`, `counting`, `numbers`, `kernel`, `seccomp`.
"""
