# perflab: the commands of the course and of the library. `make` alone lists them.
# Works with GNU make 3.81 and later. Text after two hashes is what `make help` prints.

PYTHON ?= python3
prefix ?= /usr/local
includedir = $(prefix)/include
pkgconfigdir = $(prefix)/lib/pkgconfig
PL_VERSION = $(shell sed -n 's/^.define PL_VERSION  *"\(.*\)"/\1/p' perflab.h)

# What is given on the command line reaches the shell through the environment ("$$NAME"), where
# make puts it by itself: spaces and quotes in a path are safe that way.
export DESTDIR prefix
submission = $(if $(SUBMISSION),--submission "$$SUBMISSION")
format = $(if $(FORMAT),--format "$$FORMAT") $(if $(OUTPUT),--output "$$OUTPUT")
seed = $(if $(SEED),--seed "$$SEED")
# Without CC= the graders choose a compiler themselves.
compiler = $(if $(filter default,$(origin CC)),,--cc "$$CC")
graders = $(PYTHON) -m graders

help: ## this list
	@echo "perflab: find out why C code is slow, and prove that it is fast"
	@echo
	@echo "  Start here:  make lab03     then edit labs/03_string_building/student.c and run it again"
	@echo
	@sed -n 's/^\([a-z%][a-z%-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | sed 's/%/NN/' | \
	    awk -F'|' '{ printf "  make %-14s %s\n", $$1, $$2 }'
	@echo
	@echo "  NN is the number of a lab. Options for labs, as in \`make lab03 SEED=7\`:"
	@echo "    SUBMISSION=PATH  grade another file or folder      CC=clang       the compiler"
	@echo "    FORMAT=json      text, json or junit               OUTPUT=FILE    where the report goes"
	@echo "    SEED=NUMBER      the same inputs again             MINE=1         profile your version"

# The rules with a longer fixed part stand first: make 3.81 takes the first that matches.
lab%-bench: FORCE ## run the lab's benchmarks on the slow version and on yours
	@$(graders) bench $(compiler) $(submission) "$*"

lab%-profile: FORCE ## which functions of the slow version take the time; MINE=1: of yours
	@$(graders) profile $(compiler) $(if $(MINE),--mine) $(submission) "$*"

lab%-hint: FORCE ## one more hint each time
	@$(graders) hint "$*"

lab%-watch: FORCE ## grade again whenever you save
	@$(graders) watch $(compiler) $(submission) $(seed) "$*"

lab%-quiz: FORCE ## four questions and their answers, explained; not graded
	@$(graders) quiz "$*"

lab%-reset: FORCE ## put student.c and answers.ini back as they were; keeps a copy of yours
	@$(graders) reset "$*"

lab%: FORCE ## grade your version: what was measured, the verdict, the next step
	@$(graders) grade $(compiler) $(submission) $(format) $(seed) "$*"

labs: ## the board: every lab and how far you are
	@$(graders) labs

doctor: ## what this machine lacks or does wrong, with the command that mends it
	@$(graders) doctor

preload: build/libperflab.so ## build/libperflab.so, for LD_PRELOAD

build/libperflab.so: perflab.h
	@mkdir -p build
	$(CC) -O2 -shared -fPIC -DPERFLAB_IMPL -x c perflab.h -o $@ -ldl -pthread

install: ## copy perflab.h and its pkg-config file below $(DESTDIR)$(prefix)
	@mkdir -p "$$DESTDIR$(includedir)" "$$DESTDIR$(pkgconfigdir)"
	@cp perflab.h "$$DESTDIR$(includedir)/perflab.h"
	@printf '%s\n' 'prefix=$(prefix)' 'includedir=$${prefix}/include' '' 'Name: perflab' \
	    'Description: benchmarks and heap statistics for C' 'Version: $(PL_VERSION)' \
	    'Cflags: -I$${includedir}' 'Libs: -ldl -pthread' \
	    > "$$DESTDIR$(pkgconfigdir)/perflab.pc"
	@echo "installed $$DESTDIR$(includedir)/perflab.h and $$DESTDIR$(pkgconfigdir)/perflab.pc"

new-lab: ## for authors: the folders of a new lab, NAME=topic
	@$(graders) new-lab "$$NAME"

check-labs: ## for authors: what labs lack, and whether they keep promises; LAB=NN: one
	@$(graders) check $(if $(LAB),"$$LAB")

check-all: ## the same, with every compiler and level graded in full
	@$(graders) check --all $(if $(LAB),"$$LAB")

test: ## every test; SUITE=NAME runs one of them
	@$(PYTHON) tests/run.py $(if $(SUITE),--suite "$$SUITE")

check-fast: ## lint and the quick tests, in two minutes
	@$(PYTHON) tests/run.py --fast

test-deps: ## what the tests need and what is missing; INSTALL=1 installs it
	@$(PYTHON) tests/deps.py $(if $(INSTALL),--install)

lint: ## the rules of the house: structure, names, budgets, documents
	@$(PYTHON) tests/lint/lint.py

bench: ## the costs of perflab beside the alternatives, measured here
	@$(PYTHON) bench/run.py

clean: ## remove build/
	rm -rf build

FORCE:

.PHONY: help labs doctor preload install new-lab check-labs check-all
.PHONY:  check-fast test-deps lint bench clean FORCE
# Two gradings at once would disturb each other's measurements.
.NOTPARALLEL:
