"""Fixtures: a real git repository, a real loopback provider, the command line as a function."""

import functools
import gc
import importlib
import ipaddress
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from promptops.cli.main import main
from support.forked_commands import run_forked
from support.front_door import GREET, Cli, Finished, Repo
from support.fuzzing import default_settings
from support.paths import ROOT, SHARED
from support.traced import TracedTests

hypothesis.settings.register_profile("any machine", default_settings())
hypothesis.settings.load_profile("any machine")


def _only_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return
    host = arguments[1][0]
    if host == "localhost" or ipaddress.ip_address(host).is_loopback:
        return
    raise AssertionError(f"a test connects to {host}")


sys.addaudithook(_only_loopback)


GIT_CONFIG = """\
[core]
	checkStat = minimal
	trustctime = false
[gc]
	auto = 0
[maintenance]
	auto = false
"""  # a copied repository is as clean as the first; nothing is tidied up behind a commit

TESTS = ROOT / "tests"
ASKED_FOR = ("simulation", "thorough")  # run where ``-m`` names them, as .ci/run does
SLOW_MARKERS = (*ASKED_FOR, "isolated", "embedded")
SLOW_FILES = (  # they kill, race, clone, release, wait or load much; whole files, so that nobody forgets one
    "acceptance/test_answers.py",
    "acceptance/test_gateway",
    "acceptance/test_kills.py",
    "acceptance/test_privacy.py",
    "acceptance/test_safety.py",
    "acceptance/test_two_gateways.py",
    "acceptance/test_verdicts.py",
    "api/test_python_page.py",
    "api/test_releases.py",
    "api/test_workspace.py",
    "checks/test_similarity.py",
    "cli/test_approvals.py",
    "cli/test_canary.py",
    "cli/test_chat_processes.py",
    "cli/test_completion.py",
    "cli/test_diff_shadow.py",
    "cli/test_doctor.py",
    "cli/test_faults.py",
    "cli/test_hooks.py",
    "cli/test_kept_texts.py",
    "cli/test_limits.py",
    "cli/test_precommit.py",
    "cli/test_promote_rollback.py",
    "cli/test_release.py",
    "cli/test_release_hints.py",
    "cli/test_run_channel.py",
    "cli/test_slice_signals.py",
    "cli/test_status_watch.py",
    "cli/test_tail_guard.py",
    "cli/test_tampering.py",
    "cli/test_tick.py",
    "config/test_locks.py",
    "config/test_safe_writes.py",
    "evaluation/shadow/",
    "evaluation/test_bisect.py",
    "evaluation/test_eval.py",
    "evaluation/test_faults.py",
    "evaluation/test_judge_calibration.py",
    "evaluation/test_judged.py",
    "evaluation/test_provider_batch_kills.py",
    "evaluation/test_recorded.py",
    "fuzz/test_gateway_requests.py",
    "gateway/",
    "git/test_remote.py",
    "guards/test_killed.py",
    "monitoring/test_recorded_changes.py",
    "providers/batches/",
    "providers/http/",
    "providers/local/",
    "providers/test_litellm_client.py",
    "providers/test_litellm_oracle.py",
    "registry/test_copy.py",
    "registry/test_faults.py",
    "registry/postgres/",
    "registry/test_postgres.py",
    "registry/test_swap.py",
    "release/actions/",
    "release/analysis/test_long_logs.py",
    "release/analysis/test_observations.py",
    "release/ledger/",
    "release/test_bundle.py",
    "release/test_clones.py",
    "release/test_faults.py",
    "release/test_recorded.py",
    "release/test_scripts.py",
    "runner/batch/",
    "runner/ray/test_cluster.py",
    "runner/ray/test_local.py",
    "service/",
    "simulations/",
    "stats/test_fixed_samples.py",
    "stats/test_recorded.py",
    "test_compat.py",
    "versions/test_history.py",
    "web/",
)


# Where slow tests reach lines that no fast one does. Elsewhere tracing would double their time for little.
COVERING_FOLDERS = ("cli/", "evaluation/", "gateway/", "providers/", "release/", "runner/", "web/")


@functools.cache
def is_in(beginnings: tuple[str, ...], path: Path) -> bool:
    return path.is_relative_to(TESTS) and path.relative_to(TESTS).as_posix().startswith(beginnings)


MEMORY = Path("/dev/shm")  # noqa: S108 - of folders in it pytest gives each user one of their own


def has_room_in_memory() -> bool:
    """For files, of which hooks are some that are started."""
    if not MEMORY.is_dir() or os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        return False
    return shutil.disk_usage(MEMORY).free > 4 << 30


FOREIGN = re.compile(  # what the program, git or OpenTelemetry would read of whoever runs the tests
    r"(?i:.*_API_KEY|.*_API_BASE|.*_BASE_URL|(HTTPS?|ALL|NO)_PROXY)|(GIT|GITHUB|GITLAB|CIRCLE|BUILDKITE|JENKINS|TF)_.*"
    r"|CIRCLECI|BUILDKITE|(OTEL|XDG|OPENAI|LITELLM)_.*|TRACEPARENT|PYTHONWARNINGS|COLUMNS|LINES|NO_COLOR|FORCE_COLOR"
    r"|PROMPTOPS_(CPU_SECONDS|GATEWAY_KEY|LOCAL_FAST|LOCAL_GGUF|PRIVACY_KEY|REGISTRY|TELEMETRY|TODAY|UNIT_KEY)"
)

TO_INSTALL = re.compile(r"(?i:(HTTPS?|ALL|NO)_PROXY)|XDG_.*")  # as tests of environments of their own do


def pytest_configure(config: pytest.Config) -> None:
    for name in filter(FOREIGN.fullmatch, list(os.environ)):
        if not (os.environ.get("PROMPTOPS_ISOLATED") and TO_INSTALL.fullmatch(name)):
            del os.environ[name]
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # as a shell leaves it to what a script starts by `&`
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # as `nohup` leaves it to all that it starts
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if has_room_in_memory():  # each commit of SQLite waits for a disk
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
    if config.pluginmanager.hasplugin("_cov"):
        config.pluginmanager.register(TracedTests())


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Nobody waits for the import of files that are left out as a whole."""
    return True if config.option.markexpr == "not slow" and is_in(SLOW_FILES, collection_path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = {name for name in ASKED_FOR if name not in config.option.markexpr}
    slow, fast = [], []
    other_engine = os.environ.get("PROMPTOPS_TEST_ENGINE", "sqlite") != "sqlite"
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if other_engine and "sqlite" in marks:
            item.add_marker(pytest.mark.skip(reason="is about the file of SQLite"))
        for name in marks & left_out:
            if not config.option.write_golden:
                item.add_marker(pytest.mark.skip(reason=f"takes minutes: pytest -m {name}"))
        if not marks.isdisjoint(SLOW_MARKERS) or is_in(SLOW_FILES, item.path):
            item.add_marker("slow")
            slow.append(item)
        else:
            (slow if "slow" in marks else fast).append(item)
    items[:] = [*slow, *fast]  # no worker ends long after others
    if fast:
        for item in slow:
            if not is_in(COVERING_FOLDERS, item.path):
                item.add_marker("no_cover")


def pytest_collection_finish() -> None:
    """What is loaded by now stays. Command lines say so as they start; what they leave here is garbage."""
    gc.collect()
    gc.freeze()
    gc.collect()  # Python looks for garbage when there is a quarter more than at the last collection
    gc.freeze = lambda: None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--write-golden", action="store_true", help="write the golden files of reports instead of comparing"
    )


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("needs the shared data (PROMPTOPS_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """New folders; one ``mktemp`` a test would look at the folders of all tests before it."""
    below = tmp_path_factory.mktemp("homes")
    return (below / str(number) for number in itertools.count())


@pytest.fixture(scope="session")
def _git_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new repository without a dozen examples of hooks."""
    template = tmp_path_factory.mktemp("git-template")
    for folder in ("hooks", "info"):
        (template / folder).mkdir()
    return template


@pytest.fixture(autouse=True)
def _isolated_environment(
    _homes: Iterator[Path], _git_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = next(_homes)
    home.mkdir()
    (home / ".gitconfig").write_text(GIT_CONFIG, "utf-8")
    monkeypatch.setenv("PROMPTOPS_REGISTRY", "")
    monkeypatch.delenv("PROMPTOPS_REGISTRY")  # that `--registry` sets goes with the test
    monkeypatch.setattr("promptops.redaction._sent", {})  # keys of other tests are none of this one
    monkeypatch.setattr("promptops.config.clock._behind_s", 0.0)  # nor is the clock of another's server
    monkeypatch.setenv("PROMPTOPS_TODAY", "2026-12-01")  # models of the tests retire later
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(_git_template))
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "ada@example.org")


@pytest.fixture(autouse=True)
def _engine(_isolated_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With PROMPTOPS_TEST_ENGINE=postgres each test logs to a registry of its own on a server."""
    if os.environ.get("PROMPTOPS_TEST_ENGINE") != "postgres":
        yield
        return
    from support.postgres import new_registry

    with new_registry() as url:
        monkeypatch.setenv("PROMPTOPS_REGISTRY", url)
        yield


@pytest.fixture(autouse=True)
def _modules_of_one_project() -> Iterator[None]:
    """Modules of a test's project, such as its checks in Python, go with it: another has the same names."""
    before = list(sys.path)
    yield
    if sys.path != before:
        added = tuple(f"{folder}{os.sep}" for folder in sys.path if folder not in before)
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(added):
                del sys.modules[name]
        sys.path[:] = before
        importlib.invalidate_caches()


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    new = Repo(tmp_path / "repo")
    new.start_as("empty", lambda: new.git("init", "-q", "-b", "main"))
    monkeypatch.chdir(new.path)
    return new


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    """Run a command line in this process: ``cli("run", "greet").out``."""

    def run(*arguments: str) -> Finished:
        capfd.readouterr()
        code = main(arguments)
        captured = capfd.readouterr()
        return Finished(code, captured.out, captured.err)

    return run


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command line in a process of its own."""

    def run(arguments: Sequence[str], **options: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "promptops", *arguments]
        return run_forked(command, capture_output=True, encoding="utf-8", check=False, **options)

    return run


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A loopback server that ``openai/…`` models are reached at."""
    from support.provider import Provider

    with Provider() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        yield server


@pytest.fixture
def greeting(repo: Repo) -> Repo:
    """A repository with one committed prompt, ``greet``."""
    repo.start_as("greeting", lambda: [repo.write("prompts/greet.yaml", GREET), repo.commit("Greet people")])
    return repo
