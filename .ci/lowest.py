"""Print the lowest version that pyproject.toml allows of each dependency, as constraints for pip."""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

_LOWER_BOUND = re.compile(r"(?P<name>[\w.-]+)[^>]*>=(?P<version>[\w.]+)")


def lowest(requirements: list[str]) -> Iterator[str]:
    for requirement in requirements:
        if bound := _LOWER_BOUND.match(requirement):
            yield f"{bound['name']}=={bound['version']}"


project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
wanted = [*project["dependencies"], *(each for name in sys.argv[1:] for each in extras[name])]
sys.stdout.write("\n".join(lowest(wanted)) + "\n")
