"""Templates: what they may not do, and what they cost."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from promptops import reports
from promptops.cli.reports import html
from promptops.cli.reports.html import render_page

TEMPLATES = Path(html.__file__).with_name("templates")
SHARED = Path(reports.__file__).parent
GOLDEN = Path(__file__).with_name("golden")


@pytest.mark.parametrize(
    "file", sorted((*TEMPLATES.glob("*.j2"), *SHARED.glob("*.j2"))), ids=lambda file: file.name
)
def test_no_template_switches_escaping_off(file: Path) -> None:
    text = file.read_text("utf-8")
    assert not re.search(
        r"\|\s*safe|autoescape|javascript:|\bon\w+=|\bstyle=|<script|<link|\bsrc=|\bhref=", text
    )


def test_a_missing_name_is_an_error_and_no_blank() -> None:
    with pytest.raises(UndefinedError, match="result"):
        render_page("eval.html.j2", view=None)


def test_every_class_of_a_template_is_in_the_stylesheet() -> None:
    css = "".join(file.read_text("utf-8") for file in SHARED.glob("*.css"))
    styled = set(re.findall(r"\.([a-z][\w-]*)", css))
    for file in (*TEMPLATES.glob("*.j2"), *SHARED.glob("*.j2")):
        for classes in re.findall(r'class="([\w -]+)"', file.read_text("utf-8")):
            assert set(classes.split()) <= styled, file.name


def test_a_wide_table_names_the_column_of_each_value_for_narrow_screens() -> None:
    page = (GOLDEN / "shadow.html").read_text("utf-8")
    wide = [
        table
        for table in re.findall(r"<table.*?</table>", page, re.DOTALL)
        if table.count('<th scope="col"') > 4
    ]
    assert len(wide) == 2
    for table in wide:
        heads = [re.sub("<[^>]*>", "", head) for head in re.findall(r'<th scope="col".*?</th>', table)]
        for row in re.findall(r"<tr><th scope=\"row\".*?</tr>", table):
            assert [head.lower() for head in heads[1:]] == [
                head.lower() for head in re.findall(r'data-head="([^"]*)"', row)
            ]
    assert "data-head" not in (GOLDEN / "eval.html").read_text("utf-8").split("<table")[1]


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_other_forms_do_not_wait_for_templates(form: str) -> None:
    program = (
        "import sys\n"
        "from promptops.cli.reports.release import render_status\n"
        f"render_status([], {form!r})\n"
        "sys.exit('promptops.cli.reports.html' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
