# The first `make` of any target installs everything in .venv; later ones only what changed.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: setup demo test slicer-versions slicer-oldest robustness fuzz lint bench bench-without-amx bench-quick bench-saliency screenshots quickstart-model validate docs

setup: $(INSTALLED)

$(INSTALLED): pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 10) else "Python 3.10 or newer is needed; run make PYTHON=python3.x with one.")'
	tools/system-libraries
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install -c constraints.txt -e ".[crf]" || \
		echo "Dense CRF is left out: pydensecrf2 could not be built, which takes a C++ compiler."
	touch $@

demo: $(INSTALLED)
	$(BIN)/medclipsam demo

# AMX=yes or AMX=no: as on a processor that multiplies matrices in bf16, or on one that does not.
AMX :=

# Two processes at once: the panel's has a window of 3D Slicer, the other has none. Each has a temporary folder of its own,
# as pytest may clear away that of another process which begins at the same moment; and one thread, or they would wait
# for each other's.
test: export OMP_NUM_THREADS = 1
test: $(INSTALLED)
	@mkdir -p output; room=$$(mktemp -d); \
	PYTEST_DEBUG_TEMPROOT=$$room $(BIN)/python -m pytest Testing/panel $(if $(AMX),--amx $(AMX)) \
		> output/test-panel.txt 2>&1 & panel=$$!; \
	$(BIN)/python -m pytest Testing --ignore Testing/panel $(if $(AMX),--amx $(AMX)); main=$$?; \
	wait $$panel; panel=$$?; echo "The tests of the panel:"; cat output/test-panel.txt; \
	if [ $$panel -eq 0 ]; then rm -rf $$room; fi; [ $$main -eq 0 ] && [ $$panel -eq 0 ]

# The tests of the scene and the panel with the packages that each 3D Slicer ships (Testing/versions/slicer_versions.toml).
slicer-versions: $(INSTALLED)
	$(BIN)/python -m Testing.versions.slicer_versions

# With those of the oldest, and only the tests in which versions show.
slicer-oldest: $(INSTALLED)
	$(BIN)/python -m Testing.versions.slicer_versions --quick 5.10

# Every row of Testing/robustness/matrix.csv, those that take minutes too.
robustness: $(INSTALLED)
	$(BIN)/python -m pytest Testing --ignore Testing/panel -m row
	$(BIN)/python -m pytest Testing/panel -m row

# Readers of files, for so many seconds each; `make test` has a minute of it.
SECONDS := 300

fuzz: $(INSTALLED)
	$(BIN)/python -m Testing.robustness.fuzz all --seconds $(SECONDS)

bench: $(INSTALLED)
	PYTHONPATH=tools $(BIN)/python -m Testing.benchmarks

# As on a processor without AMX.
bench-without-amx: $(INSTALLED)
	PYTHONPATH=tools $(BIN)/python -m Testing.benchmarks --without-amx --out output/bench-without-amx

bench-quick: $(INSTALLED)
	PYTHONPATH=tools $(BIN)/python -m Testing.benchmarks --quick

# What each saliency method costs, for docs/explanation/saliency.md.
bench-saliency: $(INSTALLED)
	PYTHONPATH=tools $(BIN)/python -m Testing.benchmarks.methods

# docs/reference/command-line.md, from the commands.
docs: $(INSTALLED)
	$(BIN)/python tools/command_line_reference.py

# Of the panel at work, for the README and the tutorial; CT: a CT of the abdomen, else a head that a package carries.
screenshots: $(INSTALLED)
	PYTHONPATH=. $(BIN)/python tools/screenshots.py $(if $(CT),--ct "$(CT)")

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# Trains the second look of the built-in model anew, and goes on where it was stopped. PATIENTS: folder of many people; CLINICAL: folder
# with the labelled CTs; HEADS and EXAMPLES: of Debian's packages mricron-data and invesalius-examples.
HEADS := /usr/share/mricron/templates
EXAMPLES := /usr/share/doc/invesalius-examples/examples
TRAINED := output/quickstart
SLICES := 6000

quickstart-model: $(INSTALLED)
	@test -n "$(CLINICAL)" -a -n "$(PATIENTS)" || \
		{ echo "Name both folders: make quickstart-model PATIENTS=FOLDER CLINICAL=FOLDER"; exit 2; }
	$(BIN)/python -m pip install -c constraints.txt -e ".[train]"
	cd tools && OMP_NUM_THREADS=1 ../$(BIN)/python -m quickstart.everything ../$(TRAINED) "$(abspath $(CLINICAL))" \
		"$(abspath $(PATIENTS))" --heads "$(HEADS)" --examples "$(EXAMPLES)" --slices $(SLICES)

# How well the built-in model does on those people of the folder PATIENTS who were kept from training.
validate: $(INSTALLED)
	@test -n "$(PATIENTS)" || { echo "Name the folder: make validate PATIENTS=FOLDER"; exit 2; }
	cd tools && ../$(BIN)/python -m quickstart.kept "$(abspath $(PATIENTS))" ../output/kept
	$(BIN)/medclipsam validate output/kept -o output/validation --force
