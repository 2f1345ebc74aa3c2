# SPDX-License-Identifier: Apache-2.0
# make demo   the node, a simulated camera and a client for 20 s; pictures in demo_out/
# make test   the whole test suite; TORCH=1 also installs torch (2.13.0) and what reads data sets, and tests training, export, benchmarks
PYTHON ?= python3
# The wheels of ROS to install: kilted or jazzy
ROS ?= kilted
$(if $(wildcard requirements/ros_$(ROS).txt),,$(error There are no wheels of ROS $(ROS): run make ROS=kilted, or ROS=jazzy with PYTHON=python3.12))
# Every path is relative and the shell's $PWD is quoted, because make splits absolute paths at spaces.
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check --quiet
# A virtual environment that pip filled is one merged ROS prefix. On a robot that has ROS, none of this is needed.
ENV := PATH="$$PWD/$(VENV)/bin:$$PATH" VIRTUAL_ENV="$$PWD/$(VENV)" AMENT_PREFIX_PATH="$$PWD/$(VENV)" \
	CMAKE_PREFIX_PATH="$$PWD/$(VENV)" ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST PYTHONUNBUFFERED=1
IN_INSTALL := $(ENV) ROS_DOMAIN_ID=$${ROS_DOMAIN_ID:-$$(shuf -i 10-99 -n 1)} sh -c '. install/local_setup.sh && exec "$$@"' sh
PACKAGE := package.xml setup.py setup.cfg scripts vision_banana_ros vision_banana_interfaces test/vision_msgs \
	launch config rviz foxglove models resource
# Without git, or in an archive of the sources: every file that a build does not write itself.
SOURCES := $(or $(shell git ls-files $(PACKAGE) 2>/dev/null),$(shell find $(PACKAGE) -type f ! -path '*/__pycache__/*' 2>/dev/null))

.PHONY: demo test soak fuzz lint docs setup clean
setup: install/.built
demo: install/.built
	@$(IN_INSTALL) vision-banana demo --out demo_out
test: install/.built $(VENV)/.dev $(if $(TORCH),$(VENV)/.train $(VENV)/.benchmark)
	@$(IN_INSTALL) python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(PYTEST)
# Faults and load, 12 minutes; longer and slower by PYTEST="--hours 0.5 --pace 0.1"
soak: install/.built $(VENV)/.dev
	@$(IN_INSTALL) python -m pytest test/soak $(PYTEST)
# Odd files and messages found by coverage, ten minutes a kind; quicker by FUZZ="picture bag --seconds 60"
fuzz: install/.built $(VENV)/.dev $(VENV)/.fuzz
	@$(IN_INSTALL) python test/fuzz/fuzz.py $(FUZZ)
lint: install/.built $(VENV)/.dev
	@$(IN_INSTALL) sh -c 'ruff check . && ruff format --check . && mypy && hadolint Dockerfile'

# The tables of the reference anew, and all pages as HTML in docs/build; fails on any warning
docs: install/.built $(VENV)/.docs
	@$(IN_INSTALL) python docs/generate_reference.py
	@$(IN_INSTALL) python -m sphinx -q -W --keep-going -b html docs docs/build

# What is missing on this machine, in one sentence, before anything is written.
REQUIRE := require() { "$$@" > /dev/null 2>&1 || { echo "make: $$cure." >&2; exit 1; }; };
$(VENV)/.run: requirements/run.txt requirements/ros_$(ROS).txt requirements/constraints.txt
	@LC_ALL=C; $(REQUIRE) \
	case "$$PWD" in *:*|*[!\ -~]*) plain=false ;; *) plain=true ;; esac; \
	cure="ROS cannot be built under this path: move this folder to one without colons, umlauts and other non-ASCII characters" && \
		require test $$plain = true; \
	cure="this folder is read-only; copy it to one that you may write to, or build out of it: see docs/how_to/install.md" && \
		require test -w .; \
	cure="there is no $(PYTHON); install the package python3, or name one by make PYTHON=python3.11" && require $(PYTHON) -V; \
	cure="$$($(PYTHON) -V) does not fit, ROS's wheels are for Python 3.11 and 3.12; run make PYTHON=python3.11" && \
		require $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))'; \
	cure="Python cannot make virtual environments; install the package python3-venv" && require $(PYTHON) -c 'import ensurepip'; \
	cure="Python.h is missing; install the package python3-dev" && \
		require $(PYTHON) -c 'import os, sysconfig; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))'; \
	cure="a C and a C++ compiler are needed; install the packages gcc, g++ and make" && require sh -c 'cc -v && c++ -v'
	@echo "Setting up .venv: Python packages and ROS 2, about a minute ..."
	@$(PYTHON) -m venv $(VENV) && touch $(VENV)/COLCON_IGNORE
	@$(PIP) install -r requirements/run.txt -r requirements/ros_$(ROS).txt -c requirements/constraints.txt
	@touch $@
$(VENV)/.dev: requirements/dev.txt requirements/constraints.txt | $(VENV)/.run
	@echo "Installing what the tests need ..."
	@$(PIP) install -r requirements/dev.txt -c requirements/constraints.txt
	@touch $@
$(VENV)/.fuzz: requirements/fuzz.txt requirements/constraints.txt | $(VENV)/.run
	@$(PIP) install -r requirements/fuzz.txt -c requirements/constraints.txt
	@touch $@
$(VENV)/.docs: requirements/docs.txt requirements/constraints.txt | $(VENV)/.run
	@$(PIP) install -r requirements/docs.txt -c requirements/constraints.txt
	@touch $@
$(VENV)/.train: requirements/train.txt requirements/constraints.txt | $(VENV)/.run
	@echo "Installing torch and what training needs ..."
	@$(PIP) install -r requirements/train.txt -c requirements/constraints.txt
	@touch $@
$(VENV)/.benchmark: requirements/benchmark.txt requirements/constraints.txt | $(VENV)/.run
	@echo "Installing what reads the data sets of benchmarks ..."
	@$(PIP) install -r requirements/benchmark.txt -c requirements/constraints.txt
	@touch $@
# The line that a robot runs; the tests' two vision_msgs messages stand in for the package that ROS installations have.
install/.built: $(VENV)/.run $(SOURCES)
	@echo "Building the packages with colcon ..."
	@$(ENV) colcon --log-level error build --base-paths . vision_banana_interfaces test/vision_msgs --merge-install \
		--event-handlers console_direct- desktop_notification- > build.log 2>&1 || { cat build.log; exit 1; }
	@ln -sf ../../install/lib/vision_banana_ros/vision-banana $(VENV)/bin/vision-banana
	@cd $(VENV)/lib/python3.*/site-packages && ls -d "$$OLDPWD"/install/lib/python3.*/site-packages > vision_banana.pth
	@touch $@
clean:
	rm -rf $(VENV) build install log build.log demo_out docs/build
