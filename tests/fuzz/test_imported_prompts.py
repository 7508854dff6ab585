"""Prompts of other tools: a Prompty or dotprompt file is imported or refused, whatever stands in it."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from promptops.config.settings import current_settings
from promptops.errors import Invalid
from promptops.interop.dotprompt.importer import read_dotprompt
from promptops.interop.model import ImportedSource
from promptops.interop.prompty.importer import read_prompty
from promptops.interop.reader import SourceFile
from promptops.interop.target import ImportTarget
from promptops.interop.writing import prompt_text
from promptops.lint.context import LintProject
from support.fuzzing import damaged_bytes, damaged_data, fuzz_settings, settle
from support.prompt_samples import DOTPROMPT, PROMPTY_1, PROMPTY_2

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]
SAMPLES = [DOTPROMPT, PROMPTY_1, PROMPTY_2]
BODIES = [sample.rpartition("---\n")[2] for sample in SAMPLES]
FRONTS = [yaml.safe_load(sample.split("---\n")[1]) for sample in SAMPLES]


def check(tmp_path: Path, data: bytes) -> None:
    project = LintProject(current_settings(), date(2026, 11, 29))
    for name, read in (("a.prompty", read_prompty), ("a.prompt", read_dotprompt)):
        (tmp_path / name).write_bytes(data)
        result = settle(lambda: read(SourceFile(tmp_path / name), ImportTarget(), project))  # noqa: B023
        assert isinstance(result, ImportedSource | Invalid)
        if isinstance(result, ImportedSource):
            assert all(prompt_text(draft, "x") for draft in result.prompts)


@given(data=damaged_bytes([sample.encode() for sample in SAMPLES]))
@fuzz_settings(40)
def test_a_damaged_file_is_imported_or_refused(tmp_path: Path, data: bytes) -> None:
    check(tmp_path, data)


@given(front=damaged_data(FRONTS), body=st.sampled_from(BODIES))
@fuzz_settings(60)
def test_damaged_front_matter_is_imported_or_refused(tmp_path: Path, front: Any, body: str) -> None:
    try:
        text = yaml.safe_dump(front, allow_unicode=True)
    except yaml.YAMLError:
        return
    check(tmp_path, f"---\n{text}---\n{body}".encode("utf-8", "surrogatepass"))
