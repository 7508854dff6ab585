"""The runs that the lines of a batch ask for: of one version, or of whatever a channel serves each unit."""

import time
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import PromptopsError
from promptops.log import PackageLogger, with_hint
from promptops.registry import BatchCallLog, UnitKey
from promptops.runner import RunContext
from promptops.runner.batch.engine import BatchItem
from promptops.runner.batch.input_file import InputLine
from promptops.runner.routing import GitSource, Router, prepare_routed_run
from promptops.versions.references import Reference
from promptops.versions.resolve import Version

_LOG = PackageLogger("promptops.runner")

_REFRESH_S = 1.0  # how often a release that has moved meanwhile is looked for


@dataclass(frozen=True, slots=True)
class VersionItems:
    version: Version
    overrides: Mapping[str, Any]
    key: UnitKey
    batch_id: str
    calls: BatchCallLog

    def item(self, line: InputLine) -> BatchItem:
        unit = line.unit
        origin = RunContext(
            kind="batch",
            overrides=self.overrides,
            metadata=line.metadata,
            unit_hash=None if unit is None else self.key.hash(unit),
            unit_key_id=None if unit is None else self.key.id,
            batch_id=self.batch_id,
            batch_line=line.number,
        )
        on_call = lambda: self.calls.begin(line.number)  # noqa: E731 - two words
        return BatchItem(version=self.version, inputs=line.inputs, origin=origin, on_call=on_call)


@dataclass(slots=True)
class ChannelItems:
    """Lines are placed when their turn comes, so that a long batch follows a rollout."""

    serving: Router
    source: GitSource
    channel: Reference
    batch_id: str
    calls: BatchCallLog
    _looked: float = field(default_factory=time.monotonic)
    _warned: str = ""

    def item(self, line: InputLine) -> BatchItem:
        self._follow()
        placement = self.serving.place(self.channel, line.unit, line.metadata)
        about: dict[str, Any] = {
            "kind": "batch",
            "metadata": line.metadata,
            "batch_id": self.batch_id,
            "batch_line": line.number,
        }
        return BatchItem(
            version=placement.version,
            inputs=line.inputs,
            ready=lambda runner: prepare_routed_run(runner, placement, line.inputs, **about),
            on_call=lambda: self.calls.begin(line.number),
            on_end=self.serving.ended,
        )

    def _follow(self) -> None:
        now = time.monotonic()
        if now - self._looked < _REFRESH_S:
            return
        self._looked = now
        try:
            self.source.refresh()
        except PromptopsError as error:  # what was known goes on being served
            if error.message != self._warned:
                self._warned = error.message
                _LOG.warning(with_hint(error.message, error.hint))
