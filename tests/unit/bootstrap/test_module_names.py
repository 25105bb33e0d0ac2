"""By which names our modules are imported: the short ones, and behind `parley.` for extensions and for projects that have packages
of the same names."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def python(*lines: str, cwd: Path = ROOT) -> str:
    done = subprocess.run([sys.executable, "-c", "; ".join(lines)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_extension_gets_the_modules_that_the_app_has() -> None:
    short, long = "services.base", "parley.services.base"
    lines = ["import app, parley", f"import {long} as long, {short} as short", "print(long is short, short.__spec__.name)"]
    assert python(*lines) == "True services.base"
    assert python("import app, parley", "print(parley.Settings is app.Settings)") == "True"
    tool = "from parley.app.tools.registry import tool"
    assert python("import app.tools.registry as short", tool, "print(short.tool is tool)") == "True"


def test_beside_packages_of_the_same_names_ours_are_apart(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("mine = True\n")
    lines = ["import sys, app", f"sys.path.append({str(ROOT)!r})", "from parley.services.base import Speech"]
    assert python(*lines, "print(Speech.__module__, app.mine)", cwd=tmp_path) == "parley.services.base True"


@pytest.mark.parametrize("loaded", ["import app, parley", "import parley"], ids=["as by app.py", "beside others"])
def test_our_vendors_are_loaded_by_the_names_that_our_modules_have(loaded: str) -> None:
    find = "from parley.services.vendors import registered"
    same = "from parley.vendors.openai.tts import vendor"
    assert python(loaded, find, same, "print(registered('tts', 'openai').load() is vendor)") == "True"


@pytest.mark.parametrize("loaded", ["import app, parley", "import parley"], ids=["as by app.py", "beside others"])
@pytest.mark.parametrize(
    ("old", "new", "name", "told"),
    [
        ("app.transport.pending", "server.transport.pending", "PendingConnections", ("app.transport", "server.transport")),
        (
            "server.sessions.registry",
            "server.sessions.sessions",
            "Sessions",
            ("server.sessions.registry", "server.sessions.sessions"),
        ),
        ("services.http", "vendors.http.client", "HttpClient", ("services.http", "vendors.http.client")),
        ("services.llm.openai", "vendors.openai.llm", "OpenAiAnswerer", ("services.llm.openai", "vendors.openai.llm")),
    ],
)
def test_what_has_moved_is_found_by_its_old_name_and_the_new_one_is_told(
    loaded: str, old: str, new: str, name: str, told: tuple[str, str]
) -> None:
    names = [f"from parley.{old} import {name} as old", f"from parley.{new} import {name} as new"]
    both = ["import warnings", "told = warnings.catch_warnings(record=True).__enter__()", *names]
    assert python(loaded, *both, "print(old is new, *(one.message for one in told))") == (
        f"True parley.{told[0]} is parley.{told[1]}; the old name works for one more version"
    )


def test_every_name_that_is_kept_for_what_has_moved_leads_to_a_module() -> None:
    moved = "[importlib.import_module(f'parley.{old}').__name__ == now or print(old) for old, now in parley.MOVED.items()]"
    assert python("import app, importlib, parley, warnings", "warnings.simplefilter('ignore')", moved) == ""
