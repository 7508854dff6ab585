import os
import re
from pathlib import Path

import pytest

from promptops.config.model_schema import ABILITY_KEYS, MODEL_SCHEMA, PRICE_KEYS, PRICE_VARIANT
from promptops.config.settings import (
    LogSettings,
    SettingsFile,
    TelemetrySettings,
    current_settings,
    decode_settings,
    find_settings,
)
from promptops.config.settings_schema import LINT_RULE_IDS, SETTINGS_SCHEMA
from promptops.errors import Invalid
from promptops.lint import RULES
from promptops.providers.catalog_index import _ABILITIES, _FIELDS, read_snapshot
from promptops.providers.pricing import RATES, is_price
from support.git_repositories import GitFolder, new_repository


@pytest.fixture
def repository(tmp_path: Path) -> GitFolder:
    return new_repository(tmp_path / "r")


def test_outside_of_a_repository_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="not inside a git repository") as caught:
        find_settings(tmp_path, {})
    assert caught.value.hint == "git init && promptops init"


def test_defaults_at_the_top_and_below(repository: GitFolder) -> None:
    (repository.path / "prompts" / "a b ü").mkdir(parents=True)
    for below in (".", "prompts/a b ü", ".git", ".git/refs"):
        settings = find_settings(repository.path / below, {})
        assert settings.root == settings.top == repository.path
        assert settings.prompts == repository.path / "prompts"
        assert settings.registry == repository.path / "registry.db"
        assert (settings.prefix, settings.prompts_path) == ("", "prompts")
        assert settings.channels == ("staging", "production")
        assert settings.log == LogSettings("full", "full", "spool")
        assert (settings.models, settings.lint, settings.plans, settings.release) == ({}, {}, {}, {})
        assert settings.releases == ()
        assert settings.document is None


def test_here_is_the_current_folder(repository: GitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository.path)
    assert current_settings().root == repository.path


def test_a_settings_file_makes_its_folder_the_root(repository: GitFolder) -> None:
    text = "registry: var/runs.db\nchannels: {beta: {plan: quick}}\nlog: {inputs: hash}\nlint: {}\n"
    repository.write({"services/a/promptops.yaml": text, "services/a/prompts/x/y.yaml": ""})
    settings = find_settings(repository.path / "services/a/prompts/x", {})
    assert settings.root == repository.path / "services/a"
    assert (settings.prefix, settings.prompts_path) == ("services/a", "services/a/prompts")
    assert settings.registry == repository.path / "services/a/var/runs.db"
    assert settings.channels == ("staging", "production", "beta")
    assert settings.log == LogSettings(inputs="hash")
    assert settings.document is not None
    assert settings.document.path == "services/a/promptops.yaml"
    assert find_settings(repository.path / "services", {}).root == repository.path


def test_a_settings_file_above_the_repository_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "promptops.yaml").write_text("registry: x.db\n")
    inner = new_repository(tmp_path / "r")
    assert find_settings(inner.path, {}).registry == inner.path / "registry.db"


def test_flag_beats_environment_beats_file(repository: GitFolder) -> None:
    repository.write({"promptops.yaml": "registry: file.db\n", "sub/x": ""})
    start = repository.path / "sub"
    assert find_settings(start, {}).registry == repository.path / "file.db"
    assert find_settings(start, {"PROMPTOPS_REGISTRY": ""}).registry == repository.path / "file.db"
    env = {"PROMPTOPS_REGISTRY": "env.db"}
    assert find_settings(start, env).registry == start / "env.db"
    assert find_settings(start, env, registry=Path("flag.db")).registry == start / "flag.db"
    assert find_settings(start, env, registry=Path("/x/flag.db")).registry == Path("/x/flag.db")


def test_linked_worktrees_share_the_registry_of_the_main_one(repository: GitFolder, tmp_path: Path) -> None:
    repository.commit("a", {"services/a/promptops.yaml": "lint: {}\n", "promptops.yaml": "registry: r.db\n"})
    repository.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "other")
    settings = find_settings(tmp_path / "linked", {})
    assert settings.root == settings.top == tmp_path / "linked"
    assert settings.common_dir == repository.path / ".git"
    assert settings.git_dir == repository.path / ".git/worktrees/linked"
    assert settings.registry == repository.path / "r.db"
    service = find_settings(tmp_path / "linked/services/a", {})
    assert service.registry == repository.path / "services/a/registry.db"


def test_a_bare_repository_and_its_worktrees(repository: GitFolder, tmp_path: Path) -> None:
    repository.commit("a", {"s/promptops.yaml": "lint: {}\n"})
    bare = repository.clone(tmp_path / "bare.git", "--bare")
    settings = find_settings(bare.path / "refs", {})
    assert settings.top is None
    assert settings.root == settings.git_dir == bare.path
    assert settings.registry == bare.path / "registry.db"
    bare.git("worktree", "add", "-q", str(tmp_path / "linked"), "main")
    assert find_settings(tmp_path / "linked", {}).registry == bare.path / "registry.db"
    assert find_settings(tmp_path / "linked/s", {}).registry == bare.path / "registry-s.db"


def test_a_submodule_is_a_repository_of_its_own(repository: GitFolder, tmp_path: Path) -> None:
    repository.commit("a", {"x": "1"})
    outer = new_repository(tmp_path / "outer")
    outer.git("submodule", "add", "-q", str(repository.path), "inner")
    settings = find_settings(outer.path / "inner", {})
    assert settings.top == settings.root == outer.path / "inner"
    assert settings.git_dir == settings.common_dir == outer.path / ".git/modules/inner"
    assert settings.registry == outer.path / "inner/registry.db"
    GitFolder(outer.path / "inner").git("worktree", "add", "-q", str(tmp_path / "w"), "-b", "w")
    assert find_settings(tmp_path / "w", {}).registry == outer.path / "inner/registry.db"
    in_hook = {"GIT_DIR": str(outer.path / ".git/modules/inner")}
    assert find_settings(tmp_path, in_hook).top == outer.path / "inner"


def test_git_environment_is_honoured(repository: GitFolder, tmp_path: Path) -> None:
    other = new_repository(tmp_path / "other")
    env = {"GIT_DIR": "../other/.git"}
    assert find_settings(repository.path, env).git_dir == other.path / ".git"
    assert find_settings(repository.path, env).top == repository.path
    env["GIT_WORK_TREE"] = "../other"
    assert find_settings(repository.path, env).top == other.path
    assert find_settings(other.path / ".git", {"GIT_WORK_TREE": ".."}).top == other.path
    bare = new_repository(tmp_path / "bare", "--bare")
    assert find_settings(repository.path, {"GIT_DIR": str(bare.path)}).top is None
    with pytest.raises(Invalid, match="GIT_DIR names no git repository"):
        find_settings(repository.path, {"GIT_DIR": "nowhere"})


def test_a_separate_git_folder(tmp_path: Path) -> None:
    folder = new_repository(tmp_path / "work", "--separate-git-dir", str(tmp_path / "store"))
    settings = find_settings(folder.path, {})
    assert (settings.top, settings.git_dir) == (folder.path, tmp_path / "store")
    assert settings.registry == folder.path / "registry.db"


def test_a_broken_pointer_file(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: gone\n")
    with pytest.raises(Invalid, match="is missing"):
        find_settings(tmp_path, {})
    (tmp_path / ".git").write_text("what\n")
    with pytest.raises(Invalid, match="neither a git folder"):
        find_settings(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lgo: {}", r"p.yaml:1:1: unknown key `lgo` \(did you mean `log`\?\)"),
        ("xyzzy: 1", "p.yaml:1:1: unknown key `xyzzy`\npromptops schema shows"),
        ("log:\n  input: full", r"p.yaml:2:3: unknown key `input` \(did you mean `inputs`\?\)"),
        ("log: {inputs: all}", r"p.yaml:1:7: `inputs` must be one of full, hash, none; it is `all`"),
        ("registry: 3", r"`registry` must be a string"),
        ("- a", r"the file must be a mapping"),
        ("releases: {}", r"`releases` must be a list"),
        ("releases: [{prompts: x}]", r"the key `plan` is missing"),
        ("channels: {beta: {paln: x}}", r"unknown key `paln`"),
        ("models: [1]", r"`models` must be a mapping"),
        (
            "models: {m: {input_cost_per_tokn: 1}}",
            r"unknown key `input_cost_per_tokn` \(did you mean `input_cost_per",
        ),
        ("models: {m: {base-model: x}}", r"unknown key `base-model` \(did you mean `base_model`\?\)"),
        (
            "models: {m: {supports_vison: true}}",
            r"unknown key `supports_vison` \(did you mean `supports_vision`",
        ),
        ("models: {m: {supports_vision: 1}}", "`supports_vision` must be true or false"),
        ("models: {m: {input_cost_per_token_above_200k_tokens: x}}", "must be a number"),
        ("models: {m: {max_tokens: true}}", "`max_tokens` must be a whole number"),
        ("models: {m: 3}", "`m` must be a mapping"),
        ("lint: {retirement_days: true}", "`retirement_days` must be a whole number"),
        ("lint: {retirement_days: -1}", "`retirement_days` must be 0 or more; it is -1"),
        ("lint: {rules: {crfl: 'off'}}", r"p.yaml:1:16: unknown key `crfl` \(did you mean `crlf`\?\)"),
        ("releases: [3]", r"`releases\[0\]` must be a mapping"),
        ("plans: {x: {stpes: []}}", r"p.yaml:1:13: unknown key `stpes` \(did you mean `steps`\?\)"),
        ("plans: {x: {steps: [{wieght: 3}]}}", r"unknown key `wieght` \(did you mean `weight`\?\)"),
        (
            "plans: {x: {observe: {call_timeuot: 3}}}",
            r"unknown key `call_timeuot` \(did you mean `call_timeout",
        ),
        ("models: {m: {input_cost_per_token: -1}}", "must be 0 or more; it is -1"),
        ("models: {m: {input_cost_per_token_flexx: 1}}", "unknown key `input_cost_per_token_flexx`"),
        ("models: {m: {max_tokens: 0}}", "`max_tokens` must be 1 or more; it is 0"),
        (
            "models: {m: {deprecation_date: 2027-13-01}}",
            "must be a day such as 2027-01-31; it is `2027-13-01`",
        ),
        ("models: {m: {tiered_pricing: [3]}}", r"`tiered_pricing\[0\]` must be a mapping"),
        ("models: {m: {tiered_pricing: [{range: [a, b]}]}}", r"`range\[0\]` must be a number"),
        ("models: {m: {tiered_pricing: [{input_cost_per_token: 1}]}}", "the key `range` is missing"),
        ("a: b: c", r"p.yaml:1"),
    ],
)
def test_mistakes_in_the_file_are_named(text: str, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        decode_settings(text.encode(), "p.yaml")


def test_every_key_is_decoded() -> None:
    text = b"""\
registry: r.db
channels: {production: {plan: strict}, beta: {}}
releases: [{prompts: "medical/**", plan: strict}]
release: {from: origin/main}
plans: {strict: {unit: user}}
models: {openai/x: {input_cost_per_token: 1.0e-6}}
log: {inputs: none, outputs: hash, on_error: fail}
lint: {rules: {crlf: 'off'}}
serve: {caller_parameters: refuse}
retention: {inputs: 30d}
probes: {"a:production": {tag: probe, cases: 5, repeats: 2}}
slices: {a: [pro]}
telemetry: {otlp: true, content: true}
alerts: {deadline_hours: 2}
"""
    file = decode_settings(text, "promptops.yaml")
    assert file.document is not None
    assert set(file.document.data) == set(SETTINGS_SCHEMA["properties"])
    assert file.log == LogSettings("none", "hash", "fail")
    assert file.channels == {"production": {"plan": "strict"}, "beta": {}}
    assert file.releases == ({"prompts": "medical/**", "plan": "strict"},)
    assert (file.release, file.plans["strict"]) == ({"from": "origin/main"}, {"unit": "user"})
    assert list(file.models) == ["openai/x"]
    assert file.retention == {"inputs": "30d"}
    assert file.probes == {"a:production": {"tag": "probe", "cases": 5, "repeats": 2}}
    assert file.slices == {"a": ["pro"]}
    assert file.serve == {"caller_parameters": "refuse"}
    assert file.alerts == {"deadline_hours": 2}
    assert file.telemetry == TelemetrySettings(otlp=True, content=True)


def test_all_that_is_read_of_the_catalogue_may_be_said_of_a_model() -> None:
    assert set(PRICE_KEYS) == set(RATES)
    assert set(ABILITY_KEYS) == set(_ABILITIES)
    names = {*RATES, *_ABILITIES, *_FIELDS, "tiered_pricing"}
    assert names <= MODEL_SCHEMA["properties"].keys()
    for key in (f"input_cost_per_token_{end}" for end in ("above_200k_tokens", "flex", "batches")):
        assert is_price(key)
        decode_settings(f"models: {{m: {{{key}: 1}}}}".encode(), "p.yaml")


def test_the_rules_and_tiers_of_the_settings_are_those_there_are() -> None:
    assert set(LINT_RULE_IDS) == set(RULES)
    keys = set(re.findall(r'"(\w+)":', read_snapshot().decode()))
    assert [key for key in keys if is_price(key) and not key_is_known(key)] == []


def key_is_known(key: str) -> bool:
    return key in MODEL_SCHEMA["properties"] or bool(re.search(PRICE_VARIANT, key))


def test_an_empty_file_means_defaults() -> None:
    assert decode_settings(b"# nothing\n", "promptops.yaml").log == LogSettings()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(repository: GitFolder) -> None:
    repository.write({"promptops.yaml": ""})
    (repository.path / "promptops.yaml").chmod(0)
    with pytest.raises(Invalid, match="cannot read"):
        find_settings(repository.path, {})


def test_a_registry_is_a_file_that_others_can_stand_beside(repository: GitFolder) -> None:
    for settings in (
        find_settings(repository.path, {}, registry=Path("/")),
        find_settings(repository.path, {"PROMPTOPS_REGISTRY": "/"}),
        find_settings(repository.path, {}, file=SettingsFile(registry="/")),
    ):
        with pytest.raises(Invalid, match="the registry / "):
            _ = settings.registry
