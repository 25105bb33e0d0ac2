"""How long what runs may be: CONTRIBUTING.md names the bounds. Lines of code are those that hold more than a comment or a
docstring."""

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("app", "configuration", "deploy", "documents", "languages", "server", "services", "vendors")
FILES = [ROOT / "app.py", ROOT / "parley.py", *(file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py")))]
FILE_LINES, FUNCTION_LINES, METHODS, ARGUMENTS = 300, 50, 15, 7
PACKAGE_LINES = {"app": 5000, "services": 3000}  # without `services/making`, which runs in no conversation
BLANK = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def lines_of_code(source: str, tree: ast.Module) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {line for token in tokens if token.type not in BLANK for line in range(token.start[0], token.end[0] + 1)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    return lines


def excesses(source: str) -> Iterator[str]:
    """What is longer than it may be."""
    tree = ast.parse(source)
    lines = lines_of_code(source, tree)
    if len(lines) > FILE_LINES:
        yield f"{len(lines)} lines"
    for node in ast.walk(tree):
        if isinstance(node, Function):
            length = len(lines & set(range(node.lineno, (node.end_lineno or 0) + 1)))
            if length > FUNCTION_LINES:
                yield f"{node.name}: {length} lines"
            arguments = len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs) - 1
            if node.name == "__init__" and arguments > ARGUMENTS:
                yield f"line {node.lineno}: a constructor with {arguments} arguments"
        elif isinstance(node, ast.ClassDef):
            methods = sum(isinstance(each, Function) for each in node.body)
            if methods > METHODS:
                yield f"{node.name}: {methods} methods"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_is_longer_than_the_bounds(file: Path) -> None:
    assert not list(excesses(file.read_text("utf-8")))


@pytest.mark.parametrize("package", PACKAGE_LINES)
def test_a_package_is_no_longer_than_its_bound(package: str) -> None:
    sources = [file.read_text("utf-8") for file in (ROOT / package).rglob("*.py") if file.parent.name != "making"]
    assert 0 < sum(len(lines_of_code(source, ast.parse(source))) for source in sources) <= PACKAGE_LINES[package]


def test_what_is_longer_is_found() -> None:
    long = "def long():\n" + "    x = 1\n" * FUNCTION_LINES
    wide = "class Wide:\n" + "".join(f"    def m{n}(self): ...\n" for n in range(METHODS + 1))
    made = "class Made:\n    def __init__(self, a, b, c, d, e, f, *, g, h): ...\n"
    assert list(excesses(long)) == ["long: 51 lines"]
    assert list(excesses(wide)) == ["Wide: 16 methods"]
    assert list(excesses(made)) == ["line 2: a constructor with 8 arguments"]
    assert list(excesses("x = 1\n" * (FILE_LINES + 1))) == ["301 lines"]
    assert not list(excesses('"""A\nB"""\n\n# C\n' + "x = 1\n" * FILE_LINES))
