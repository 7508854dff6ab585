"""All benchmarks, or those named: ``python tests/bench [NAME]...``. Figures are ratios within one run."""

import os
import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled

NAMES = sorted(file.stem.removeprefix("bench_") for file in HERE.glob("bench_*.py"))

names, sys.argv[1:] = sys.argv[1:] or NAMES, []  # a benchmark may have options of its own
for name in names:
    if name not in NAMES:
        sys.exit(f"no such benchmark: {name}; there are {', '.join(NAMES)}")
    print(f"== {name}", flush=True)
    import_module(f"bench_{name}").main()
