# The five commands that one uses. CONTRIBUTING.md says what each shows.
PYTHON ?= .venv/bin/python
NAME ?= latency
export OPENBLAS_NUM_THREADS = 1
export HF_HUB_OFFLINE = 1
export GRADIO_ANALYTICS_ENABLED = False

.PHONY: help run test check lab bench
help:
	@echo "make run | test | check | lab | bench NAME=latency"
run: ; $(PYTHON) app.py $(ARGS)
test: ; $(PYTHON) -m pytest tests/unit $(ARGS)
check: ; PYTHON=$(PYTHON) bash tests/run.sh $(ARGS)
lab: ; $(PYTHON) -m tests.bench lab --fast $(ARGS)
bench: ; $(PYTHON) -m tests.bench $(NAME) $(ARGS)
