"""The cases of one eval: read and checked once, then kept on disk, to be read again in any order."""

import hashlib
import json
import tempfile
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from promptops.config.closing import Closing
from promptops.prompt.cases import EXPECTED_NULL, Case, expected_json

_KEYS = ("id", "inputs", "expected", "checks", "tags")


class CaseStore(Closing):
    """Memory grows by eight bytes a case. Use as a context."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the set
        self._offsets = array("q")
        self._end = 0
        self._digest = hashlib.sha256()

    def close(self) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._offsets)

    @property
    def hash(self) -> str:
        """Of what the cases say, wherever they were read."""
        return self._digest.hexdigest()

    def add(self, case: Case) -> None:
        values = [expected_json(getattr(case, key)) for key in _KEYS]
        more = ["expects null"] if case.expected is EXPECTED_NULL else []
        content = json.dumps([*values, *more], sort_keys=True).encode()
        self._digest.update(content + b"\n")
        line = content + b"\t" + json.dumps(case.where).encode() + b"\n"
        self._offsets.append(self._end)
        self._end += self._file.write(line)

    def case(self, index: int) -> Case:
        self._file.seek(self._offsets[index])
        content, _, where = self._file.readline().rpartition(b"\t")
        values: list[Any] = json.loads(content)
        fields = dict(zip(_KEYS, values, strict=False))
        if len(values) > len(_KEYS):
            fields["expected"] = EXPECTED_NULL
        fields |= {"checks": tuple(fields["checks"]), "tags": tuple(fields["tags"])}
        return Case(**fields, where=json.loads(where))

    def cases(self, order: Sequence[int] | None = None) -> Iterator[tuple[int, Case]]:
        for index in range(len(self)) if order is None else order:
            yield index, self.case(index)
