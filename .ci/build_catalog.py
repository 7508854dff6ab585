"""Makes ``promptops/providers/models.jsonl.gz`` of the list of models in a wheel of litellm.

    pip download --no-deps --dest /tmp/litellm litellm
    python .ci/build_catalog.py /tmp/litellm/litellm-*.whl --released YYYY-MM-DD

The day is the one on which that release came out, as its page on the package index says: the times inside
a wheel may be any.
"""

import argparse
import json
import sys
import zipfile
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from promptops.providers.catalog_index import (
    LITELLM_FILE,
    SNAPSHOT,
    build_snapshot,
    read_snapshot,
    snapshot_head,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--released", type=date.fromisoformat, required=True)
    parser.add_argument("--out", type=Path, default=SNAPSHOT)
    asked = parser.parse_args()
    version = asked.wheel.name.split("-")[1]
    with zipfile.ZipFile(asked.wheel) as wheel:
        catalogue = json.loads(wheel.read(f"litellm/{LITELLM_FILE}"))
    lines = build_snapshot(catalogue, version, asked.released.isoformat())
    if asked.out.exists():
        _refuse_older(snapshot_head(read_snapshot(asked.out)), asked.released.isoformat())
    asked.out.write_bytes(lines)


def _refuse_older(kept: tuple[str, str], released: str) -> None:
    version, day = kept
    if released < day:
        sys.exit(f"the snapshot of litellm {version} is newer: it came out on {day}")


if __name__ == "__main__":
    main()
