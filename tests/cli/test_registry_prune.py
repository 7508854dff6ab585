"""What ``promptops registry prune`` says."""

import pytest

from promptops.cli.commands.registry.prune import print_prune_report
from promptops.registry.queries.runs.prune import PruneResult


@pytest.mark.parametrize(
    ("after", "dry_run", "said"),
    [
        (10_000_000, True, "would delete 7 runs started 2026-11-01 to 2026-11-02; the registry would shrink"),
        (10_000_000, False, "the registry shrank from 14.0 MB to 10.0 MB"),
        (14_400_000, False, "the registry has 14.4 MB, and uses the space again"),
    ],
)
def test_a_registry_that_has_not_shrunk_is_not_said_to_have(
    capsys: pytest.CaptureFixture[str], after: int, said: str, *, dry_run: bool
) -> None:
    pruned = PruneResult(
        runs=7,
        first_at="2026-11-01T00:00:00Z",
        last_at="2026-11-02T00:00:00Z",
        kept=0,
        bytes_before=14_000_000,
        bytes_after=after,
    )
    print_prune_report(pruned, dry_run=dry_run)
    assert said in capsys.readouterr().out
