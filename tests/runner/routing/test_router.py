"""Placing calls: assignment, what is logged of it, breaker, and canaries that cannot be sent."""

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from promptops.config.clock import utc_now
from promptops.errors import NotFound
from promptops.registry import (
    FinishedRun,
    RegistryDatabase,
    StartedRun,
    breaker_reason,
    is_canary_failing,
    new_run_id,
    open_breaker,
    unit_key,
)
from promptops.release.assignment import on_canary
from promptops.runner.routing import GitSource, Router, RoutingDecision
from promptops.versions.references import Reference, parse_reference
from support.git_repositories import GitFolder, new_repository, prompt_text
from support.release_states import released, rollout, write_state

GREET = "prompts/greet.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> GitFolder:
    """Two committed versions of ``greet``; stable and canary of production."""
    folder = new_repository(tmp_path / "repo")
    folder.commit("1", {GREET: prompt_text("Hello")})
    folder.commit("2", {GREET: prompt_text("Goodbye")}, day=2)
    return folder


@pytest.fixture
def stable(folder: GitFolder) -> dict[str, Any]:
    return released(folder, "greet", "HEAD~1", "v1")


@pytest.fixture
def canary(folder: GitFolder) -> dict[str, Any]:
    return released(folder, "greet", "HEAD", "v2")


@pytest.fixture
def serving(folder: GitFolder, stable: dict[str, Any], canary: dict[str, Any]) -> Callable[..., Router]:
    def serve(with_canary: bool = True, **more: Any) -> Router:
        write_state(folder, "greet", stable, canary if with_canary else None, **more)
        settings = folder.settings()
        return Router(GitSource(settings), settings.registry)

    return serve


def at(folder: GitFolder, text: str = "greet:production") -> Reference:
    return parse_reference(text, folder.settings())


def facts(placed: RoutingDecision) -> tuple[str | None, ...]:
    return placed.version.version, placed.arm, placed.rollout


class TestPlacement:
    def test_a_channel_without_a_canary(self, folder: GitFolder, serving: Callable[..., Router]) -> None:
        with serving(with_canary=False) as place:
            placed = place.place(at(folder), "u1")
        assert facts(placed) == ("v1", None, None)
        assert (placed.version.channel, placed.version.reference) == ("production", "greet:production")
        with RegistryDatabase.open(folder.settings().registry) as registry:
            key = unit_key(registry)
        assert (placed.unit_hash, placed.unit_key_id) == (key.hash("u1"), key.id)

    @pytest.mark.no_cover
    def test_units_stick_and_fall_as_the_hash_says(
        self, folder: GitFolder, canary: dict[str, Any], serving: Callable[..., Router]
    ) -> None:
        salt = rollout(canary, "greet")["salt"]
        with serving(weight_bp=2500) as place:
            for number in range(200):
                placed, again = (place.place(at(folder), f"u{number}") for _ in range(2))
                assert facts(placed) == facts(again)
                meets = on_canary(salt, f"u{number}", 2500)
                assert facts(placed) == (("v2", "canary", "r-1") if meets else ("v1", "stable", "r-1"))
                assert (placed.weight_bp, placed.excluded, placed.fallback) == (2500, None, None)

    def test_the_unit_comes_from_the_metadata_where_none_is_given(
        self, folder: GitFolder, serving: Callable[..., Router]
    ) -> None:
        with serving(unit="session") as place:
            named = place.place(at(folder), "s7", {"session": "other"})
            found = place.place(at(folder), None, {"session": "s7", "user": "u"})
            number = place.place(at(folder), None, {"session": 7})
            nobody = place.place(at(folder), "", {"session": ["s7"], "user": "s7"})
        assert found.unit_hash == named.unit_hash is not None
        assert facts(found) == facts(named)
        assert number.unit_hash is not None
        assert (nobody.unit_hash, nobody.unit_key_id, nobody.excluded) == (None, None, None)

    def test_without_a_unit_each_call_is_drawn_anew(
        self, folder: GitFolder, serving: Callable[..., Router]
    ) -> None:
        with serving() as place:
            arms = Counter(place.place(at(folder)).arm for _ in range(400))
        assert 120 < arms["canary"] < 280

    def test_where_the_unit_is_the_call_a_user_meets_both(
        self, folder: GitFolder, serving: Callable[..., Router]
    ) -> None:
        with serving(unit="call") as place:
            placed = [place.place(at(folder), "ada") for _ in range(60)]
        assert {each.arm for each in placed} == {"stable", "canary"}
        assert len({each.unit_hash for each in placed}) == 1

    @pytest.mark.parametrize(
        "more", [{"weight_bp": 0}, {"phase": "eval"}, {"phase": "shadow", "weight_bp": 5000}]
    )
    def test_a_canary_that_no_unit_meets_is_not_logged(
        self, folder: GitFolder, serving: Callable[..., Router], more: dict[str, Any]
    ) -> None:
        with serving(**more) as place:
            for number in range(20):
                placed = place.place(at(folder), f"u{number}")
                assert facts(placed) == ("v1", None, None)
                assert placed.weight_bp is None
                assert placed.unit_hash

    @pytest.mark.parametrize("phase", ["awaiting", "paused", "invalid", "inconclusive"])
    def test_a_canary_that_waits_keeps_its_users(
        self, folder: GitFolder, serving: Callable[..., Router], phase: str
    ) -> None:
        with serving(phase=phase) as place:
            assert {place.place(at(folder), f"u{number}").arm for number in range(40)} == {"stable", "canary"}

    def test_the_key_of_the_environment_needs_no_registry(
        self, folder: GitFolder, serving: Callable[..., Router], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with serving() as place:
            own = place.place(at(folder), "u1")
        monkeypatch.setenv("PROMPTOPS_UNIT_KEY", "shared by all hosts")
        settings = folder.settings()
        with Router(GitSource(settings), folder.path / "missing" / "r.db") as place:
            shared = place.place(at(folder), "u1")
        assert (shared.arm, shared.excluded) == (own.arm, None)
        assert shared.unit_key_id != own.unit_key_id
        assert shared.unit_hash != own.unit_hash

    def test_a_unit_that_cannot_be_hashed_is_served_and_is_no_evidence(
        self, folder: GitFolder, serving: Callable[..., Router]
    ) -> None:
        with serving():
            pass
        settings = folder.settings()
        with Router(GitSource(settings), folder.path / "missing" / "r.db") as place:
            placed = place.place(at(folder), "u1")
        assert placed.arm in ("stable", "canary")
        assert (placed.unit_hash, placed.excluded) == (None, "unit not hashed")


class TestState:
    def test_what_serves_nothing(self, folder: GitFolder, serving: Callable[..., Router]) -> None:
        with serving() as place:
            with pytest.raises(NotFound, match="not live on staging") as caught:
                place.place(at(folder, "greet:staging"))
            assert "greet:production" in caught.value.hint
            with pytest.raises(NotFound, match="no version of other is released yet") as caught:
                place.place(at(folder, "other:production"))
            assert "promptops release sync" in caught.value.hint

    def test_a_state_that_moves_is_followed_when_refreshed(
        self,
        folder: GitFolder,
        stable: dict[str, Any],
        canary: dict[str, Any],
        serving: Callable[..., Router],
    ) -> None:
        with serving(with_canary=False) as place:
            source = place.source
            assert isinstance(source, GitSource)
            assert place.place(at(folder)).version.version == "v1"
            assert not source.refresh()
            write_state(folder, "greet", canary)
            assert place.place(at(folder)).version.version == "v1"
            assert source.refresh()
            assert place.place(at(folder)).version.version == "v2"
            folder.git("pack-refs", "--all")
            write_state(folder, "greet", stable)
            folder.git("pack-refs", "--all")
            assert source.refresh()
            assert place.place(at(folder)).version.version == "v1"
            folder.commit("other work", {"notes.txt": "x"})
            assert not source.refresh()

    def test_a_state_that_is_damaged_leaves_the_one_before_in_service(
        self, folder: GitFolder, serving: Callable[..., Router], caplog: pytest.LogCaptureFixture
    ) -> None:
        with serving(with_canary=False) as place:
            assert place.place(at(folder)).version.version == "v1"
            folder.branch_from_files("refs/heads/promptops-state", {"releases/greet.yaml": "channels: 7"})
            place.source.refresh()  # type: ignore[attr-defined]  # a GitSource
            assert "does not continue" in caplog.text
            assert place.place(at(folder)).version.version == "v1"

    def test_a_clone_that_has_only_the_remote_tracking_ref(
        self, folder: GitFolder, stable: dict[str, Any], tmp_path: Path
    ) -> None:
        write_state(folder, "greet", stable)
        clone = folder.clone(tmp_path / "clone")
        settings = clone.settings()
        with Router(GitSource(settings), settings.registry) as place:
            assert place.place(at(clone)).version.version == "v1"

    def test_a_prompt_deleted_in_the_tree_is_served_all_the_same(
        self, folder: GitFolder, serving: Callable[..., Router]
    ) -> None:
        folder.commit("gone", {GREET: None}, day=3)
        with serving() as place:
            assert {place.place(at(folder), f"u{n}").version.version for n in range(40)} == {"v1", "v2"}

    def test_no_git_process_once_it_has_been_read(
        self, folder: GitFolder, serving: Callable[..., Router], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with serving() as place:
            assert {place.place(at(folder), f"u{n}").arm for n in range(40)} == {"stable", "canary"}
            monkeypatch.setenv("PATH", "")
            place.source.refresh()  # type: ignore[attr-defined]  # a GitSource
            assert place.place(at(folder), "u1").version.version

    @pytest.mark.no_cover
    def test_threads_share_it(self, folder: GitFolder, serving: Callable[..., Router]) -> None:
        found: list[tuple[str | None, ...]] = []
        with serving() as place:
            work = lambda: found.extend(facts(place.place(at(folder), f"u{n}")) for n in range(40))
            threads = [Thread(target=work) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            alone = [facts(place.place(at(folder), f"u{n}")) for n in range(40)]
        assert Counter(found) == Counter(alone * 6)

    def test_a_canary_that_is_nowhere_falls_back_and_stays_the_canarys_failure(
        self, folder: GitFolder, stable: dict[str, Any], canary: dict[str, Any]
    ) -> None:
        lost = canary | {"digest": "sha256:" + "ab" * 32, "commit": "1" * 40}
        write_state(folder, "greet", stable, lost)
        settings = folder.settings()
        with Router(GitSource(settings), settings.registry) as place:
            placed = [place.place(at(folder), f"u{number}") for number in range(40)]
        assert {each.version.version for each in placed} == {"v1"}
        assert {each.arm for each in placed} == {"stable", "canary"}
        for each in placed:
            assert (each.fallback is not None) == (each.arm == "canary")


def log(registry: RegistryDatabase, arm: str, error: str | None = None, **more: Any) -> None:
    run = StartedRun(
        run_id=new_run_id(),
        started_at=utc_now(),
        reference="greet:production",
        prompt="greet",
        digest="0" * 64,
        request_model="m",
        messages_hash="",
        rollout="r-1",
        arm=arm,
        weight_bp=5000,
        **more,
    )
    state = "failed" if error else "finished"
    registry.record([(run, FinishedRun(finished_at=utc_now(), state=state, error_type=error))])  # type: ignore[arg-type]


class TestBreaker:
    def test_five_canary_errors_in_a_row_while_stable_does_not_fail(self, tmp_path: Path) -> None:
        with RegistryDatabase.open(tmp_path / "r.db") as registry:
            log(registry, "stable")
            for _ in range(4):
                log(registry, "canary", "server")
            assert not is_canary_failing(registry, "r-1")
            log(registry, "canary", fallback="template prompts/greet.yaml:3")
            assert not is_canary_failing(registry, "r-1"), "stable has not been heard of since"
            log(registry, "stable")
            assert is_canary_failing(registry, "r-1")
            log(registry, "stable", "server")
            assert not is_canary_failing(registry, "r-1"), "the provider is down"

    def test_what_is_no_failure_of_the_canary(self, tmp_path: Path) -> None:
        with RegistryDatabase.open(tmp_path / "r.db") as registry:
            for _ in range(4):
                log(registry, "canary", "server")
            log(registry, "canary")
            log(registry, "stable")
            assert not is_canary_failing(registry, "r-1")
            for _ in range(5):
                log(registry, "canary", "server", excluded="forced")
            log(registry, "stable")
            assert not is_canary_failing(registry, "r-1")

    def test_every_process_on_the_registry_sees_it(
        self, folder: GitFolder, serving: Callable[..., Router]
    ) -> None:
        units = [f"u{number}" for number in range(30)]
        with serving() as place, RegistryDatabase.open(folder.settings().registry) as other:
            assert {place.place(at(folder), unit).arm for unit in units} == {"stable", "canary"}
            open_breaker(other, "r-1", "five in a row")
            open_breaker(other, "r-1", "again")
            assert breaker_reason(other, "r-1") == "five in a row"
            time.sleep(0.3)
            placed = [place.place(at(folder), unit) for unit in units]
            assert {(each.version.version, each.arm, each.rollout) for each in placed} == {("v1", None, None)}

    @pytest.mark.sqlite
    def test_a_registry_that_takes_the_place_of_another_is_looked_at(
        self, folder: GitFolder, serving: Callable[..., Router]
    ) -> None:
        path = folder.settings().registry
        assert isinstance(path, Path)
        with serving() as place:
            place.place(at(folder), "u1")
            path.rename(path.with_name("moved.db"))
            with RegistryDatabase.open(path) as other:
                open_breaker(other, "r-1", "five in a row")
            time.sleep(0.3)
            assert {place.place(at(folder), f"u{number}").arm for number in range(30)} == {None}


def test_keys_of_other_registries_and_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with RegistryDatabase.open(tmp_path / "a.db") as a, RegistryDatabase.open(tmp_path / "b.db") as b:
        assert unit_key(a) == unit_key(a) != unit_key(b)
        assert len(unit_key(a).id) == 12
        assert unit_key(a).secret.decode() not in repr(unit_key(a))
        monkeypatch.setitem(os.environ, "PROMPTOPS_UNIT_KEY", "k")
        assert unit_key(a) == unit_key(b)
