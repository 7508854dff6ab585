"""calls.py KEY UNITS URL…: each unit calls greet:production once at each gateway; counts of the answers."""

import json
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen


def wait_until_ready(url: str) -> None:
    for _ in range(300):
        try:
            urlopen(f"{url}/readyz").close()
        except URLError:
            time.sleep(0.2)
        else:
            return
    sys.exit(f"{url} does not answer")


def call(url: str, key: str, unit: str) -> str:
    body = {"model": "greet:production", "user": unit, "inputs": {"name": "Ada"}}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    try:
        answer = urlopen(Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers))
    except HTTPError as error:
        answer = error
    with answer:
        told = answer.headers
        return f"{told['X-Promptops-Version']} {told['X-Promptops-Arm'] or 'released'} {answer.status}"


def main() -> None:
    key, units, *urls = sys.argv[1:]
    for url in urls:
        wait_until_ready(url)
    asked = [(url, key, f"u{unit}") for unit in range(int(units)) for url in urls]
    with ThreadPoolExecutor(8) as pool:
        counts = Counter(pool.map(lambda each: call(*each), asked))
    for answer, count in sorted(counts.items()):
        print(f"{count:4} x {answer}")


if __name__ == "__main__":
    main()
