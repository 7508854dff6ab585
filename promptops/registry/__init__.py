"""The log of runs, and what is derived from it: the package's whole public interface.

Packages above import from here alone, in the words of the domain; which engine keeps the log (``sqlite``)
shows nowhere else, and neither does SQL: what every engine understands is in ``queries``, the rest with its
engine. A name is looked up when it is asked for, so that a verb that logs nothing loads no database.
"""

import re
from functools import cache
from importlib import import_module
from pathlib import Path

TYPE_CHECKING = False  # typing's own takes time to import, and type checkers know this one as well
if TYPE_CHECKING:
    from promptops.registry.api_keys import ApiKey, KeyLimits, hash_secret
    from promptops.registry.database import LogPosition, RegistryDatabase
    from promptops.registry.errors import EngineError
    from promptops.registry.filters import RunFilter, parse_time
    from promptops.registry.followed import FollowedRegistry
    from promptops.registry.group_writer import GroupErrors, GroupJournal, GroupWriter
    from promptops.registry.journal import (
        NoJournal,
        RegistryJournal,
        Spool,
        run_as_record,
        run_from_record,
    )
    from promptops.registry.leases import is_holder_dead, new_lease_holder
    from promptops.registry.line_problems import LineProblems
    from promptops.registry.log_redaction import (
        is_quick_to_redact,
        redact_finished_run,
        redact_started_run,
        without_quotes,
    )
    from promptops.registry.outcome_file import (
        Feedback,
        log_run_outcomes,
        open_with_waiting_runs,
        outcome_redaction,
        outcomes_of_feedback,
        read_outcomes,
        redact_outcomes,
    )
    from promptops.registry.personal_data import redact_text, redact_value
    from promptops.registry.queries.api_keys import (
        add_api_key,
        api_keys_stamp,
        list_api_keys,
        revoke_api_key,
        spent_by_key,
    )
    from promptops.registry.queries.copy import RegistryCopy, copy_registry
    from promptops.registry.queries.evals import (
        EvalRecord,
        LatestEval,
        evals_against,
        find_eval,
        latest_evals,
        list_evals,
        save_evals,
    )
    from promptops.registry.queries.history_index import (
        BranchKey,
        IndexedBranch,
        IndexedCommit,
        IndexedPrompt,
        IndexedVersion,
        PathChange,
        VersionStart,
        delete_indexed_branch,
        extend_indexed_branch,
        find_indexed_branch,
        find_indexed_prompt,
        open_in_memory_index,
        read_indexed_versions,
        read_path_changes,
        save_indexed_prompt,
    )
    from promptops.registry.queries.log_gaps import find_log_gaps, find_log_gaps_with_seq
    from promptops.registry.queries.meta import (
        count_runs,
        read_meta,
        read_registry_id,
        save_meta,
    )
    from promptops.registry.queries.monitoring.alerts import (
        AlertDelivery,
        StoredAlert,
        delivery_failed,
        delivery_sent,
        lease_delivery,
        open_alert,
        open_alerts,
        resolve_alert,
        times_opened,
        waiting_places,
        was_alerted,
    )
    from promptops.registry.queries.monitoring.failures import (
        FailureCounts,
        FailureKind,
        FailureWindow,
        count_failures,
    )
    from promptops.registry.queries.monitoring.monitors import (
        AlarmEnd,
        StoredAlarm,
        StoredMonitor,
        end_alarm,
        list_alarms,
        load_monitor,
        raise_alarm,
        save_monitor,
    )
    from promptops.registry.queries.monitoring.traffic import (
        MonitoredOutcome,
        find_channels,
        first_open_run,
        last_traffic_at,
        monitored_runs,
        newest_stable_run,
        outcomes_between,
        recent_inputs,
        run_ids_of,
        scan_traffic,
    )
    from promptops.registry.queries.provider_jobs import (
        JobState,
        StoredJob,
        StoredWork,
        add_provider_job,
        calls_of_job,
        close_provider_work,
        find_provider_job,
        find_provider_work,
        finish_provider_work,
        get_provider_work,
        hold_provider_work,
        jobs_of_work,
        list_provider_jobs,
        open_provider_jobs,
        open_provider_work,
        provider_job_ids,
        release_provider_work,
        remove_provider_job,
        run_states,
        unended_calls,
        update_provider_job,
    )
    from promptops.registry.queries.release.analysis_states import (
        decode_analysis_state,
        load_analysis_state,
        load_analysis_states,
        load_analysis_text,
        save_analysis_state,
    )
    from promptops.registry.queries.release.breaker import (
        FAILURES_TO_OPEN,
        breaker_reason,
        is_canary_failing,
        open_breaker,
        open_breakers,
    )
    from promptops.registry.queries.release.export import (
        ExportCheckpoint,
        export_release,
        read_export_checkpoint,
        save_export_checkpoint,
    )
    from promptops.registry.queries.release.exposure import (
        Exposure,
        add_exposed,
        count_exposure,
        read_exposure,
        read_exposures,
        save_exposure,
    )
    from promptops.registry.queries.release.import_ import ImportResult, import_files
    from promptops.registry.queries.release.import_coverage import describe_import_gaps
    from promptops.registry.queries.release.judge_queue import (
        JudgeQueueFilter,
        judge_versions_used,
        runs_to_judge,
    )
    from promptops.registry.queries.release.observations import (
        CALL_METRIC,
        LATE_PREFIX,
        CallOutcome,
        ObservationBlock,
        calls_after,
        calls_before,
        column,
        count_calls_since,
        count_distinct_inputs,
        count_reviewed_calls,
        delete_observations,
        earliest_start_from,
        exclusion_reasons,
        filter_ended_calls,
        find_first_rollout_run,
        has_outcome,
        last_outcome_id,
        last_seq,
        outcomes_after,
        pruned_calls,
        read_call_outcomes,
        read_channel_traffic,
        read_losses,
        read_observations,
        save_observations,
        scratch_analysis,
    )
    from promptops.registry.queries.review.candidates import Population, ReviewReason
    from promptops.registry.queries.review.held import (
        read_released_answer,
        without_held_text,
        without_rejected_text,
    )
    from promptops.registry.queries.review.labels import (
        LabelRecord,
        ReviewLabel,
        add_label,
        defer_item,
        frequent_codes,
        label_of_item,
        merge_codes,
        read_review_labels,
    )
    from promptops.registry.queries.review.queues import (
        LEASE_S,
        DrawnItem,
        ReviewItem,
        ReviewQueue,
        add_queue,
        add_rubric,
        claim_item,
        count_left,
        get_item,
        get_queue,
        get_rubric,
        list_queues,
    )
    from promptops.registry.queries.rows import parse_output_json, run_to_json
    from promptops.registry.queries.runs.batches import (
        BatchCallLog,
        BatchIdentity,
        batch_spent_usd,
        begin_batch,
        done_lines,
        end_batch,
        format_line_ranges,
        read_batch_run,
        redacted_lines,
        unfinished_batch,
    )
    from promptops.registry.queries.runs.cache import (
        CachedReply,
        ReplyCache,
        clear_cache,
        newest_run,
        read_cache_stats,
        reply_key,
    )
    from promptops.registry.queries.runs.daily_stats import CELL_KEY
    from promptops.registry.queries.runs.datasets import (
        UsedVersion,
        better_answers,
        inputs_of_runs,
        iterate_runs_by_inputs,
        used_versions,
    )
    from promptops.registry.queries.runs.erase import ErasureResult, erase_old_texts, erase_person
    from promptops.registry.queries.runs.find import FoundRuns, find_runs
    from promptops.registry.queries.runs.outcomes import (
        BINARY_OUTCOMES,
        REVIEW_CHOSEN,
        REVIEW_PASS,
        AddedOutcomes,
        RunOutcome,
        add_check_outcomes,
        add_outcome,
        add_run_outcomes,
        import_outcomes,
        make_outcome,
        normalize_outcome_value,
    )
    from promptops.registry.queries.runs.prune import PruneResult, parse_size, prune_runs, shrink_registry
    from promptops.registry.queries.runs.queries import (
        RunRecord,
        get_run,
        iterate_runs,
        last_runs,
        list_runs,
        logged_start,
        read_shadows_of,
        runs_by_seq,
        sample_runs,
        short_ids,
    )
    from promptops.registry.queries.runs.search import SearchHit, SearchResult, search_runs
    from promptops.registry.queries.runs.stats import (
        RunCell,
        StatsKey,
        StatsRow,
        cell_key,
        read_cells,
        read_guard_stats,
        read_non_traffic_stats,
        read_run_stats,
        spent_since,
        sum_cells,
        sum_outcomes,
        sum_up,
        version_stats,
    )
    from promptops.registry.queries.shadow.jobs import (
        INCOMPATIBLE,
        LiveShadowKey,
        ShadowCounts,
        ShadowJob,
        add_job,
        add_skipped_job,
        finish_all_jobs,
        finish_job,
        job_note,
        lease_jobs,
        live_pairs,
        live_shadow_spent_usd,
        next_live_shadow,
        read_shadow_counts,
        release_leases,
        skipped_job_examples,
    )
    from promptops.registry.queries.shadow.runs import (
        PREFERENCE,
        SIMILARITY,
        ReusableInput,
        StoredShadowRun,
        add_pair_outcome,
        begin_shadow_run,
        end_shadow_run,
        find_reusable_inputs,
        find_unfinished_shadow_run,
        frequent_tags,
        get_shadow_run,
        list_shadow_runs,
        list_shadow_runs_comparing,
        pair_runs,
        record_counted_pairs,
        resume_shadow_run,
        shadow_losses,
        shadow_run_spent_usd,
        short_shadow_ids,
        tags_of,
    )
    from promptops.registry.queries.versions import find_logged_versions
    from promptops.registry.records import (
        PARENT,
        CheckResult,
        FinishedRun,
        GuardDecision,
        GuardDeed,
        LogRow,
        RunKind,
        RunState,
        StartedRun,
    )
    from promptops.registry.run_export import RunExportFormat, export_runs
    from promptops.registry.run_messages import (
        load_run_prompt,
        messages_as_sent,
        rebuild_messages,
        stored_prompt,
    )
    from promptops.registry.sampling import is_sampled
    from promptops.registry.sqlite.recover import recover_registry, recover_to_file
    from promptops.registry.sqlite.shared_state import (
        NOT_KEPT,
        SharedRequest,
        SharedState,
        erase_shared_answers,
        remove_shared_state,
        shared_state_path,
    )
    from promptops.registry.sqlite.store import sqlite_version
    from promptops.registry.sqlite.swap import swap_registry
    from promptops.registry.ulid import ULID_LENGTH, derived_run_id, new_run_id
    from promptops.registry.unit_hash import UnitKey, known_unit_hashes, unit_key, unit_key_from_env

_IMPORT = re.compile(r"^    from promptops\.registry\.(\S+) import (?:\(([^)]*)\)|(.*))$", re.MULTILINE)


@cache
def _homes() -> dict[str, str]:
    """The module of each name, read from the imports above, which are not run."""
    found = _IMPORT.findall(Path(__file__).read_text(encoding="utf-8"))
    return {name: module for module, *names in found for name in re.findall(r"\w+", "".join(names))}


def __getattr__(name: str) -> object:
    if name not in _homes():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_homes()[name]}"), name)
    return value
