"""What is known of models and what a completion cost."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from promptops.providers.catalog import Catalog
from promptops.providers.catalog_index import (
    LITELLM_FILE,
    Index,
    build_lines,
    read_snapshot,
    snapshot_head,
)
from promptops.providers.local.cache_dir import cache_folder
from promptops.providers.pricing import CompletionCost, ModelPrices, rates_for
from promptops.providers.types import Completion
from support.paths import ROOT

BUILD = ROOT / ".ci" / "build_catalog.py"
ENTRIES: dict[str, dict[str, Any]] = {
    "sample_spec": {"mode": "chat"},
    "gpt-x": {
        "litellm_provider": "openai",
        "mode": "chat",
        "max_input_tokens": 1000,
        "max_tokens": 50,
        "max_output_tokens": 50,
        "input_cost_per_token": 2.0,
        "output_cost_per_token": 4.0,
        "deprecation_date": "2027-01-01",
        "supports_vision": True,
        "supports_response_schema": False,
        "source": "not kept",
    },
    "gpt-x-2026-01-02": {"litellm_provider": "openai", "mode": "chat"},
    "gpt-x-2025-01-02": {"litellm_provider": "openai", "mode": "chat"},
    "gpt-x-mini-2025-01-02": {"litellm_provider": "openai", "mode": "chat"},
    "azure/gpt-x-2024-01-02": {"litellm_provider": "azure", "mode": "chat"},
    "own/half": {"litellm_provider": "own", "mode": "chat", "input_cost_per_token": 1.0, "max_tokens": 7},
    "fireworks_ai/accounts/fireworks/models/llama": {"litellm_provider": "fireworks_ai", "mode": "chat"},
    "dall-e": {"litellm_provider": "openai", "mode": "image_generation"},
}


def index_of(entries: Mapping[str, Mapping[str, Any]]) -> Index:
    return Index(build_lines(entries), "entries of a test", "2026-01-01")


def catalog(**custom: Mapping[str, Any]) -> Catalog:
    return Catalog(index_of(ENTRIES), custom)


def test_a_model_is_found_under_its_provider() -> None:
    known = catalog()
    assert known.entry("openai/gpt-x") == known.entry("gpt-x")
    assert known.window("openai/gpt-x") == 1000
    assert known.max_output("openai/gpt-x") == 50
    assert known.price("openai/gpt-x") == (2.0, 4.0)
    assert known.deprecation_date("openai/gpt-x") == "2027-01-01"
    assert known.provider("gpt-x") == "openai"
    assert known.entry("fireworks_ai/llama") is not None
    assert "source" not in (known.entry("gpt-x") or {})


@pytest.mark.parametrize(
    "model", ["hosted_vllm/gpt-x", "openai/other", "nothing", "dall-e", "sample_spec", ""]
)
def test_what_is_unknown_stays_unknown(model: str) -> None:
    known = catalog()
    assert known.entry(model) is None
    assert (known.price(model), known.window(model), known.deprecation_date(model)) == (None, None, None)
    assert known.supports(model, "vision") is None
    assert known.cost(model, Completion(text="", response_model="", input_tokens=1, output_tokens=1)) is None


def test_abilities() -> None:
    known = catalog(mine={"supports_vision": True})
    assert known.supports("gpt-x", "vision") is True
    assert known.supports("gpt-x", "response_schema") is False
    assert known.supports("mine", "vision") is True
    assert known.supports("mine", "reasoning") is None


def test_the_settings_go_first_key_by_key() -> None:
    custom = {"openai/gpt-x": {"input_cost_per_token": 1}, "mine/m": {"max_input_tokens": 8}}
    known = Catalog(index_of(ENTRIES), custom)
    assert known.price("openai/gpt-x") == (1.0, 4.0)
    assert known.window("mine/m") == 8
    assert known.price("mine/m") is None
    assert known.price("own/half") is None
    assert known.window("own/half") == 7


def test_a_deployment_has_the_prices_of_the_model_behind_it() -> None:
    known = catalog(
        **{
            "azure/mine": {"base_model": "openai/gpt-x", "max_input_tokens": 500},
            "azure/deep": {"base_model": "azure/mine"},
            "azure/gpt-x-2024-01-02": {"base_model": "openai/gpt-x"},
            "azure/lost": {"base_model": "openai/none"},
            "azure/circle": {"base_model": "azure/round"},
            "azure/round": {"base_model": "azure/circle"},
        }
    )
    assert known.price("azure/mine") == known.price("azure/gpt-x-2024-01-02") == (2.0, 4.0)
    assert (known.window("azure/mine"), known.max_output("azure/mine")) == (500, 50)
    assert known.supports("azure/mine", "vision") is True
    assert known.deprecation_date("azure/mine") == "2027-01-01"
    assert known.price("azure/lost") is None
    assert (known.price("azure/deep"), known.window("azure/deep")) == ((2.0, 4.0), 500)
    assert known.entry("azure/circle") is known.entry("azure/round") is None


def test_the_dated_names_of_one_that_moves() -> None:
    known = catalog()
    assert known.dated_ids("openai/gpt-x") == ["openai/gpt-x-2025-01-02", "openai/gpt-x-2026-01-02"]
    assert known.dated_ids("gpt-x-latest") == ["gpt-x-2025-01-02", "gpt-x-2026-01-02"]
    assert known.dated_ids("azure/gpt-x") == ["azure/gpt-x-2024-01-02"]
    assert known.dated_ids("openai/gpt-x-2026-01-02") == []


# ---- cost

PLAIN = {"input_cost_per_token": 2.0, "output_cost_per_token": 4.0}
CACHING = {**PLAIN, "cache_read_input_token_cost": 0.5, "cache_creation_input_token_cost": 3.0}


def used(sent: int | None = 10, answered: int | None = 5, **details: int) -> Completion:
    return Completion(text="", response_model="", input_tokens=sent, output_tokens=answered, **details)


@pytest.mark.parametrize(
    ("entry", "completion", "expected"),
    [
        (PLAIN, used(), CompletionCost(40, 40)),
        (PLAIN, used(cached_tokens=4), CompletionCost(40, 40)),
        (CACHING, used(cached_tokens=4), CompletionCost(34, 40)),
        (CACHING, used(cached_tokens=4, cache_write_tokens=2), CompletionCost(36, 40)),
        (CACHING, used(cached_tokens=99), CompletionCost(25, 40)),
        ({**PLAIN, "output_cost_per_reasoning_token": 6.0}, used(reasoning_tokens=2), CompletionCost(44, 44)),
        (PLAIN, used(reasoning_tokens=2), CompletionCost(40, 40)),
        ({**PLAIN, "litellm_provider": "fireworks_ai"}, used(cached_tokens=4), CompletionCost(36, 40)),
        ({"litellm_provider": "fireworks_ai"}, used(cached_tokens=4), None),
        ({"input_cost_per_token": 0.0, "output_cost_per_token": 0}, used(), CompletionCost(0, 0)),
        ({"input_cost_per_token": 2.0}, used(answered=0), CompletionCost(20, 20)),
        ({"input_cost_per_token": 2.0}, used(), None),
        ({"output_cost_per_token": 2.0}, used(), None),
        ({}, used(), None),
        (PLAIN, used(sent=None), None),
        (PLAIN, used(answered=None), None),
    ],
)
def test_cost(entry: Mapping[str, Any], completion: Completion, expected: CompletionCost | None) -> None:
    assert ModelPrices(entry).cost(completion) == expected


LONG = {
    **PLAIN,
    "input_cost_per_token_above_200k_tokens": 5.0,
    "input_cost_per_token_above_100_tokens": 3.0,
    "input_cost_per_token_priority": 20.0,
    "input_cost_per_token_above_200k_tokens_priority": 50.0,
    "output_cost_per_token_above_200k_tokens": None,
}
TIERED = {
    "output_cost_per_token": 9.0,
    "tiered_pricing": [
        {"range": [100, 200], "input_cost_per_token": 2.0, "output_cost_per_token": 4.0},
        {"range": [0, 100], "input_cost_per_token": 1.0},
        {"note": "no range"},
    ],
}


@pytest.mark.parametrize(
    ("entry", "sent", "tier", "rate"),
    [
        (LONG, 100, None, 2.0),
        (LONG, 101, None, 3.0),
        (LONG, 200_001, None, 5.0),
        (LONG, 50, "priority", 20.0),
        (LONG, 200_001, "priority", 50.0),
        (LONG, 50, "default", 2.0),
        (LONG | {"litellm_provider": "xai"}, 100, None, 3.0),
        (TIERED, 100, None, 1.0),
        (TIERED, 101, None, 2.0),
        (TIERED, 999, None, 2.0),
    ],
)
def test_prices_follow_the_length_of_the_prompt(
    entry: Mapping[str, Any], sent: int, tier: str | None, rate: float
) -> None:
    assert rates_for(entry, sent, tier)["input_cost_per_token"] == rate


def test_a_tier_without_a_price_for_answers_takes_the_models() -> None:
    assert rates_for(TIERED, 50)["output_cost_per_token"] == 9.0
    assert rates_for({"tiered_pricing": [{"range": [0, 9]}]}, 5) == {}
    assert rates_for({"tiered_pricing": []}, 0) == {}


# ---- where the list comes from


def test_the_snapshot_is_the_list_with_litellm_and_without(monkeypatch: pytest.MonkeyPatch) -> None:
    version, released = snapshot_head(read_snapshot())
    known = Catalog.load()
    assert known.source == f"litellm {version} of {released}"
    assert known.day == released
    assert known.window("openai/gpt-4o") == 128_000
    monkeypatch.setitem(sys.modules, "litellm", None)
    without = Catalog.load()
    assert (without.source, without.names()) == (known.source, known.names())


def test_every_line_of_the_snapshot_is_one_model() -> None:
    _, *lines = read_snapshot().decode().rstrip("\n").split("\n")
    names = [name for line in lines for name in json.loads(f"{{{line}}}")]
    assert names == sorted(set(names)) == Catalog.load().names()


def make_wheel(folder: Path, version: str) -> Path:
    wheel = folder / f"litellm-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr(f"litellm/{LITELLM_FILE}", json.dumps(ENTRIES))
    return wheel


def test_the_script_makes_a_snapshot_of_a_wheel_and_never_an_older_one(tmp_path: Path) -> None:
    out = tmp_path / "models.jsonl.gz"

    def build(version: str, released: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, BUILD, make_wheel(tmp_path, version), "--released", released, "--out", out]
        return subprocess.run(command, check=False, capture_output=True, text=True)

    assert build("1.2.3", "2026-05-06").returncode == 0
    assert snapshot_head(read_snapshot(out)) == ("1.2.3", "2026-05-06")
    known = Catalog(Index(read_snapshot(out), "", ""), {})
    assert known.price("openai/gpt-x") == (2.0, 4.0)
    older = build("1.2.2", "2026-05-05")
    assert older.returncode == 1
    assert older.stderr == "the snapshot of litellm 1.2.3 is newer: it came out on 2026-05-06\n"
    assert snapshot_head(read_snapshot(out)) == ("1.2.3", "2026-05-06")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a litellm of this version, with the list above, before the installed one."""
    monkeypatch.delitem(sys.modules, "litellm", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))

    def put(version: str) -> None:
        folder = tmp_path / "site" / "litellm"
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / LITELLM_FILE).write_text(json.dumps(ENTRIES), "utf-8")
        (folder.parent / f"litellm-{version}.dist-info").mkdir()
        os.utime(folder / LITELLM_FILE, (0, 0))

    return put


@pytest.mark.parametrize("version", ["999.0.0", "999.1.0rc1"])
def test_a_newer_litellm_goes_before_the_snapshot(install: Callable[[str], None], version: str) -> None:
    install(version)
    known = Catalog.load()
    assert known.source == f"litellm {version}, installed 1970-01-01"
    assert known.price("openai/gpt-x") == (2.0, 4.0)
    assert known.price("openai/gpt-4o") is None


@pytest.mark.parametrize("version", ["0.1.0", "same", "of no release"])
def test_an_older_litellm_does_not_however_late_it_was_installed(
    install: Callable[[str], None], version: str
) -> None:
    snapshot, released = snapshot_head(read_snapshot())
    install(snapshot if version == "same" else version)
    assert Catalog.load().source == f"litellm {snapshot} of {released}"


def test_the_lines_of_a_newer_litellm_are_kept_and_read_again(
    install: Callable[[str], None], tmp_path: Path
) -> None:
    install("999.0.0")
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    first = Catalog.load(env=env)
    kept = tmp_path / "promptops" / "catalogue.jsonl"
    written = kept.stat().st_mtime_ns
    assert Catalog.load(env=env).entry("openai/gpt-x") == first.entry("openai/gpt-x") is not None
    assert kept.stat().st_mtime_ns == written
    assert [file.name for file in kept.parent.iterdir()] == ["catalogue.jsonl"]


@pytest.mark.parametrize("damage", [b"", b"[0]\n", b"half"])
def test_damaged_or_old_lines_are_made_anew(
    install: Callable[[str], None], tmp_path: Path, damage: bytes
) -> None:
    install("999.0.0")
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    Catalog.load(env=env)
    kept = tmp_path / "promptops" / "catalogue.jsonl"
    whole = kept.read_bytes()
    kept.write_bytes(damage if damage != b"half" else whole[:200])
    assert Catalog.load(env=env).price("openai/gpt-x") is not None
    assert kept.read_bytes() == whole


def test_a_cache_folder_that_cannot_be_written_changes_nothing(
    install: Callable[[str], None], tmp_path: Path
) -> None:
    install("999.0.0")
    (tmp_path / "file").write_text("in the way")
    assert Catalog.load(env={"XDG_CACHE_HOME": str(tmp_path / "file")}).price("openai/gpt-x") is not None


def test_two_processes_at_once_are_fine(install: Callable[[str], None], tmp_path: Path) -> None:
    install("999.0.0")
    program = "from promptops.providers.catalog import Catalog; print(Catalog.load().window('openai/gpt-x'))"
    paths = os.pathsep.join([str(tmp_path / "site"), str(ROOT)])
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": paths}
    running = [
        subprocess.Popen([sys.executable, "-c", program], env=env, stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert {child.communicate()[0] for child in running} == {b"1000\n"}


def test_reading_it_imports_no_litellm() -> None:
    program = (
        "import sys\nfrom promptops.providers.catalog import Catalog\n"
        "Catalog.load().price('openai/gpt-4o')\nprint('litellm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_name_with_quotes_finds_nothing_wrong() -> None:
    assert catalog().entry('gpt-x":{"a') is None
    assert json.loads(b"{%s}" % build_lines({"a": {}}).strip()) == {"a": {}}


def test_where_the_cache_is(tmp_path: Path) -> None:
    assert cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/promptops")
    ours = cache_folder({"XDG_CACHE_HOME": "relative", "HOME": str(tmp_path)})
    assert ours.is_relative_to(tmp_path)
    assert ours.name == "promptops"
