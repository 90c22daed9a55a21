"""What the README, the tutorial and the notebook show is run, with fewer rows and epochs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[1]
README = PACKAGE / "README.md"
FRONT = PACKAGE.parents[1] / "README.md"
TUTORIAL = PACKAGE.parents[1] / "docs" / "tutorials" / "python.md"
NOTEBOOK = PACKAGE / "examples" / "swiss-roll.ipynb"

#: What makes the pages quick: fewer rows, fewer epochs, and a folder that the program can be run in.
SMALL = {
    "sample(4000": "sample(400",
    "sample(2000": "sample(400",
    "sample(3000": "sample(400",
    "sample_joint(2000": "sample_joint(400",
    "epochs=60": "epochs=2",
    "epochs=20": "epochs=1",
    'model="auto"': 'model="auto", epochs=2',
    "draws=200, burn_in=200": "draws=50, burn_in=50",
}


def small(text: str) -> str:
    for large, less in SMALL.items():
        text = text.replace(large, less)
    return text


def blocks(page: Path) -> list[tuple[str, str]]:
    """The language and the text of each block of a page."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def run(page: Path, shell: Any = None) -> dict[str, Any]:
    """Run the blocks of a page one after the other; what they leave."""
    names: dict[str, Any] = {}
    for language, text in blocks(page):
        if language == "python":
            exec(compile(small(text), str(page), "exec"), names)
        elif shell is not None:
            shell(names, text)
    return names


def test_the_readme() -> None:
    left = run(README)
    assert left["flow"].score_samples(left["x"]).shape == (400,)
    assert left["posterior"].draws["theta"].shape == (4, 50)


def test_the_front_page() -> None:
    left = run(FRONT)
    assert left["flow"].score_samples(left["x"]).shape == (400,)


def test_the_tutorial(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def shell(names: dict[str, Any], text: str) -> None:
        for line in text.splitlines():
            command, *arguments = shlex.split(line, comments=True)
            assert command == "mflow"
            program(*arguments, cwd=names["folder"])

    left = run(TUTORIAL, shell)
    assert (left["folder"] / "report.html").is_file()
    assert (left["folder"] / "new.npy").is_file()
    assert capsys.readouterr().out.splitlines()[-1] == "True", "files hand on the same model"


def test_the_notebook() -> None:
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient").NotebookClient
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "outputs are not kept"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = small(cell.source)
    client(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs), "a figure"


def test_the_readme_lists_the_exceptions_of_the_checks() -> None:
    from test_sklearn import EXCEPTIONS

    text = README.read_text()
    assert ("with no exception" in text) == (not EXCEPTIONS)
    assert all(name in text for name in EXCEPTIONS)
