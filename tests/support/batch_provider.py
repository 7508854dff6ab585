"""A loopback provider with a batch service: OpenAI's wire and Anthropic's, faults by script, and a bill.

    with BatchProvider(Faults(expire_after=3), Faults()) as provider: ...

The n-th accepted job has the n-th faults; the last ones hold for all that follow. ``provider.bill`` is what
it charges, as a provider counts and not as promptops does. Direct calls are answered as well, at twice the
price. By hand, in ``tests/``: ``python -m support.batch_provider --port 4500 --polls 3``.
"""

import argparse
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import fields
from fractions import Fraction
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from support.batch_jobs import Charge, Faults, Job, Outcome, State, Usage, Wire, count_tokens, echo
from support.batch_wires import (
    anthropic_file,
    anthropic_problem,
    anthropic_reply,
    openai_file,
    openai_files,
    openai_reply,
    openai_requests,
    shown,
)
from support.provider import Answer, Provider, Received, as_json, body, reset, status

PICO = 10**12  # picodollars in a dollar


class BatchProvider:
    """``jobs`` in the order of their acceptance; ``charges`` is the ledger behind ``bill``."""

    def __init__(
        self,
        *faults: Faults,
        answer: Callable[[Mapping[str, Any]], str] = echo,
        usage: Callable[[Mapping[str, Any], str], Usage] = count_tokens,
        port: int = 0,
        provider: Provider | None = None,
    ) -> None:
        """``provider`` is the server that answers; a new one without it."""
        self.faults = faults or (Faults(),)
        self.answer = answer
        self.usage = usage
        self.without_batches = False
        self.refusal = ""  # of each job, with a 400, where it is set
        self.jobs: list[Job] = []
        self.charges: list[Charge] = []
        self.uploads: dict[str, bytes] = {}
        self.provider = provider or Provider(port=port)
        self.provider.script = self._respond
        self._lock = threading.RLock()
        self._made = 0

    def __enter__(self) -> Self:
        self.provider.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.provider.__exit__()

    @property
    def base_url(self) -> str:
        return self.provider.base_url

    @property
    def env(self) -> dict[str, str]:
        return env_of(self.base_url)

    @property
    def requests(self) -> list[Received]:
        return self.provider.requests

    @property
    def bill(self) -> Fraction:
        """Dollars, exactly."""
        return Fraction(sum(charge.picodollars for charge in self.charges), PICO)

    @property
    def billed(self) -> Counter[str]:
        """How many answers were billed for each custom_id."""
        return Counter(charge.custom_id for charge in self.charges if charge.job)

    def _respond(self, request: Received) -> Answer:
        url = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        with self._lock:
            for method, pattern, handle in _ROUTES:
                if self.without_batches and "batches" in url.path:
                    break
                if method == request.method and (found := re.fullmatch(pattern, url.path)):
                    return handle(self, request, query, *found.groups())
        return status(404, f"no route for {request.method} {url.path}")

    def _id(self, kind: str) -> str:
        self._made += 1
        return f"{kind}_{self._made:04d}"

    def _shown(self, job: Job) -> Answer:
        return as_json(shown(job, self.base_url))

    def _accept(self, wire: Wire, requests: list[tuple[str, Any]], **more: Any) -> Answer:
        if self.refusal:
            return status(400, self.refusal)
        faults = self.faults[min(len(self.jobs), len(self.faults) - 1)]
        job = Job(self._id("batch"), wire, requests, faults, **more)
        self.jobs.append(job)
        if faults.lose_answer:
            return reset()
        return status(500, "the answer is lost") if faults.server_error else self._shown(job)

    def _job(self, name: str) -> Job | None:
        return next((job for job in self.jobs if job.id == name), None)

    def _finish(self, job: Job, most: int, state: State) -> None:
        job.state = state
        for number, (custom_id, request) in enumerate(job.requests, 1):
            ending, model = job.ending(number, most, state), request["model"]
            outcome = Outcome(custom_id, ending, model)
            if ending == "answered":
                text = self.answer(request)
                used = self.usage(request, text)
                outcome = Outcome(custom_id, ending, model, text, used)
                self.charges.append(Charge(job.id, custom_id, used.picodollars(model)))
            job.outcomes.append(outcome)
        job.files = openai_files(job) if job.wire == "openai" else anthropic_file(job)

    def upload(self, request: Received, query: dict[str, str]) -> Answer:
        del query
        boundary = request.headers["content-type"].partition("boundary=")[2].encode()
        name = self._id("file")
        for part in request.raw.split(b"--" + boundary):
            head, _, value = part.partition(b"\r\n\r\n")
            if b'name="file"' in head:
                self.uploads[name] = value.removesuffix(b"\r\n")
            elif b'name="purpose"' in head and value.strip() != b"batch":
                return status(400, "Invalid purpose")
        return as_json(openai_file(name, len(self.uploads[name])))

    def delete_file(self, request: Received, query: dict[str, str], name: str) -> Answer:
        del request, query
        gone = self.uploads.pop(name, None) is None
        return status(404) if gone else as_json({"id": name, "object": "file", "deleted": True})

    def results_file(self, request: Received, query: dict[str, str], name: str) -> Answer:
        del request, query
        for job in self.jobs:
            if name in job.files and not job.faults.files_gone:
                job.downloads += 1
                cut = job.downloads <= job.faults.cut_downloads
                return body(job.files[name][:-20] if cut else job.files[name])
        return status(404, "No such File object")

    def create(self, request: Received, query: dict[str, str]) -> Answer:
        del query
        asked = request.body
        content = self.uploads.get(asked["input_file_id"])
        if content is None or not asked["endpoint"].endswith("/chat/completions"):
            return status(400, "Invalid input_file_id or endpoint")
        requests, problem = openai_requests(content)
        return self._accept("openai", requests, metadata=asked.get("metadata") or {}, problem=problem)

    def create_messages(self, request: Received, query: dict[str, str]) -> Answer:
        del query
        requests = [(each["custom_id"], each["params"]) for each in request.body["requests"]]
        if problem := anthropic_problem(requests):
            return status(400, problem, type="invalid_request_error")
        return self._accept("anthropic", requests)

    def list_jobs(self, request: Received, query: dict[str, str]) -> Answer:
        """Newest first. Each list counts as one in which a job may not be shown yet."""
        wire = "anthropic" if "messages" in request.path else "openai"
        jobs = [job for job in reversed(self.jobs) if job.wire == wire]
        for job in jobs:
            job.lists += 1
        listed = [job for job in jobs if job.lists > job.faults.listed_after]
        after = query.get("after") or query.get("after_id")
        start = [job.id for job in listed].index(after) + 1 if after else 0
        page = listed[start : start + int(query.get("limit", 20))]
        more = len(listed) > start + len(page)
        rows = [shown(job, self.base_url) for job in page]
        last = page[-1].id if page else None
        return as_json({"object": "list", "data": rows, "has_more": more, "last_id": last})

    def retrieve(self, request: Received, query: dict[str, str], name: str) -> Answer:
        del request, query
        if (job := self._job(name)) is None:
            return status(404, "No batch found")
        job.polls += 1
        if job.polls <= job.faults.rate_limited_polls:
            return status(429, "slow down", retry_after=job.faults.retry_after)
        job.advance(self._finish)
        return self._shown(job)

    def cancel(self, request: Received, query: dict[str, str], name: str) -> Answer:
        del request, query
        if (job := self._job(name)) is None:
            return status(404, "No batch found")
        if job.state not in {"pending", "cancelling"}:
            return status(409, f"Cannot cancel a batch with status '{job.state}'.")
        job.state = "cancelling"
        return self._shown(job)

    def message_results(self, request: Received, query: dict[str, str], name: str) -> Answer:
        return self.results_file(request, query, f"{name}-results")

    def direct_call(self, request: Received, query: dict[str, str]) -> Answer:
        """A direct call, at the direct price."""
        del query
        asked = request.body
        text = self.answer(asked)
        used = self.usage(asked, text)
        self.charges.append(Charge("", text, 2 * used.picodollars(asked["model"])))
        reply = openai_reply if "/chat/completions" in request.path else anthropic_reply
        return as_json(reply(asked["model"], text, used))


def env_of(base_url: str) -> dict[str, str]:
    """What points promptops to a provider, for both wires."""
    return {
        "OPENAI_API_KEY": "sk-openai-of-the-stub",
        "OPENAI_BASE_URL": base_url,
        "ANTHROPIC_API_KEY": "sk-ant-of-the-stub",
        "ANTHROPIC_BASE_URL": base_url.removesuffix("/v1"),
    }


_BASE = "/(?:v1|openai)"  # the second is Azure's
_ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("POST", f"{_BASE}/files", BatchProvider.upload),
    ("DELETE", f"{_BASE}/files/([^/]+)", BatchProvider.delete_file),
    ("GET", f"{_BASE}/files/([^/]+)/content", BatchProvider.results_file),
    ("POST", f"{_BASE}/batches", BatchProvider.create),
    ("POST", "/v1/messages/batches", BatchProvider.create_messages),
    ("GET", f"{_BASE}(?:/messages)?/batches", BatchProvider.list_jobs),
    ("GET", f"{_BASE}(?:/messages)?/batches/([^/]+)", BatchProvider.retrieve),
    ("POST", f"{_BASE}(?:/messages)?/batches/([^/]+)/cancel", BatchProvider.cancel),
    ("GET", "/v1/messages/batches/([^/]+)/results", BatchProvider.message_results),
    ("POST", "/v1/messages|.*/chat/completions", BatchProvider.direct_call),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    for option in fields(Faults):
        if option.type in {int, float, int | None}:
            kind = float if option.type is float else int
            parser.add_argument(f"--{option.name.replace('_', '-')}", type=kind, default=option.default)
        elif option.type is bool:
            parser.add_argument(f"--{option.name.replace('_', '-')}", action="store_true")
    asked = vars(parser.parse_args())
    with BatchProvider(port=asked.pop("port")) as provider:
        provider.faults = (Faults(**asked),)
        for name, value in provider.env.items():
            _say(f"export {name}={value}")
        charged = 0
        while True:  # until Ctrl-C
            time.sleep(1)
            if len(provider.charges) > charged:
                charged = len(provider.charges)
                _say(f"# {charged} answers, ${float(provider.bill):.6f}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
