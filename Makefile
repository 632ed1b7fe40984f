# Every target is a nox session: `make lint` runs `nox -s lint`. See them all with `make help`.
# Arguments go through ARGS: make suite-exp1 ARGS="--tier published"

MAKEFLAGS += --no-builtin-rules
.NOTPARALLEL:

help:
	@tools/nox --list

test: tests ;

%: FORCE
	@tools/nox -s $@ -- $(ARGS)

FORCE Makefile: ;
.PHONY: help test
