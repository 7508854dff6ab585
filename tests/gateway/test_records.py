"""Feedback, runs, metrics, and requests that are sent again."""

import gc
import time
import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from promptops import Limits
from support.front_door import Cli, Repo
from support.gateway_client import Client, Response, running_gateway
from support.greet_releases import ok, runs, told
from support.provider import Answer, Provider, cut_off, events, slow, status, text
from support.provider import chunk as chunk_of
from support.workspace_clients import until


def feedback(client: Client, body: Any, **headers: str) -> Response:
    return client.send("POST", "/v1/feedback", body, headers)


def again(client: Client, key: str = "k1", **body: Any) -> Response:
    return client.chat(headers={"Idempotency-Key": key}, **body)


def test_feedback_is_logged_once(cli: Cli, client: Client) -> None:
    run_id = client.chat().headers["x-promptops-run-id"]
    said = {"run_id": run_id, "thumbs": "up", "comment": "good"}
    assert feedback(client, said).body == {"new": 1, "known": 0}
    assert feedback(client, said).body == {"new": 0, "known": 1}
    many = [{"run_id": run_id, "metric": "correct", "value": 1}, {"run_id": run_id, "edit": "Hello Ada"}]
    assert feedback(client, {"feedback": many}).body == {"new": 2, "known": 0}
    outcomes = told(cli, "runs", "show", run_id)["outcomes"]
    assert [(each["name"], each["value"], each["text"]) for each in outcomes] == [
        ("thumbs", 1.0, "good"),
        ("correct", 1.0, ""),
        ("edited", 1.0, "Hello Ada"),
    ]


@pytest.mark.parametrize(
    ("item", "code", "said"),
    [
        ({}, 400, "what was the answer like"),
        ({"thumbs": "sideways"}, 400, "thumbs"),
        ({"metric": "correct"}, 400, "a metric and its value"),
        ({"metric": "correct", "value": 7}, 400, "correct"),
        ({"thumb": "up"}, 400, "no key `thumb`"),
        ({"thumbs": "up", "comment": 3}, 400, "`comment` must be a string"),
        ({"thumbs": "up", "occurred_at": "soon"}, 400, "soon"),
        ({"thumbs": "up", "run_id": "01J"}, 404, "no run 01J"),
        ({"thumbs": "up", "run_id": "0" * 26}, 404, "no run"),
    ],
)
def test_feedback_that_cannot_be(client: Client, live: Repo, item: Any, code: int, said: str) -> None:
    run_id = client.chat().headers["x-promptops-run-id"]
    good = {"run_id": run_id, "thumbs": "down"}
    answer = feedback(client, {"feedback": [good, {"run_id": run_id, **item}]})
    assert (answer.status, said in answer.error["message"]) == (code, True)
    assert feedback(client, good).body["new"] == 1  # nothing of the list was logged
    assert feedback(client, {"feedback": "up"}).status == 400


def test_a_run_is_shown_to_its_own_tenant_alone(cli: Cli, live: Repo, provider: Provider) -> None:
    keys = [ok(cli("keys", "new", name)).out.strip() for name in ("acme", "other")]
    ours, theirs = ({"Authorization": f"Bearer {key}"} for key in keys)
    with running_gateway(live.path) as client:
        run_id = client.chat(headers=ours).headers["x-promptops-run-id"]
        shown = client.get(f"/v1/runs/{run_id}", **ours)
        assert shown.body.items() <= told(cli, "runs", "show", run_id).items()
        assert (shown.body["run_id"], shown.body["output"]) == (run_id, "Greet Ada.")
        for path, headers in ((run_id, theirs), (run_id[:12], ours), ("0" * 26, ours)):
            hidden = client.get(f"/v1/runs/{path}", **headers)
            assert (hidden.status, hidden.error["code"], hidden.error["param"]) == (
                404,
                "run_not_found",
                "run_id",
            )
        refused = feedback(client, {"run_id": run_id, "thumbs": "up"}, **theirs)
        assert (refused.status, refused.error["code"]) == (404, "run_not_found")
        assert client.get(f"/v1/runs/{run_id}").status == 401


# metrics


def samples(client: Client, **headers: str) -> dict[str, float]:
    lines = client.get("/metrics", **headers).raw.decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
    }


def test_metrics_count_what_was_answered(live: Repo, provider: Provider) -> None:
    provider.script = [
        text("Hi", usage={"prompt_tokens": 9, "completion_tokens": 3}),
        text("Hi", usage={"prompt_tokens": 9, "completion_tokens": 3}),
        status(400, "no"),
    ]
    with running_gateway(live.path, limits=Limits(retries=0)) as client:
        for stream in (False, True, False):
            client.chat(stream=stream)
        client.chat("great:production")
        found = samples(client)
    labels = 'prompt="greet",channel="production",version="v1"'
    assert found[f'gen_ai_client_token_usage_sum{{{labels},gen_ai_token_type="input"}}'] == 18
    assert found[f'gen_ai_client_token_usage_sum{{{labels},gen_ai_token_type="output"}}'] == 6
    assert found[f"gen_ai_client_operation_duration_seconds_count{{{labels}}}"] == 3
    assert found[f'gen_ai_client_operation_duration_seconds_bucket{{{labels},le="+Inf"}}'] == 3
    assert found[f'promptops_errors_total{{{labels},error_type="bad_request"}}'] == 1
    assert found[f"promptops_cost_usd_total{{{labels}}}"] == pytest.approx(2 * (9 * 0.15e-6 + 3 * 0.6e-6))
    assert found["promptops_gateway_calls_in_flight"] == 0
    assert found['promptops_gateway_answers_total{status="200"}'] == 2
    assert found['promptops_gateway_answers_total{status="404"}'] == 1


def test_metrics_of_all_tenants_are_for_keys_that_may_read_them(cli: Cli, live: Repo) -> None:
    one, reader = (ok(cli("keys", "new", *words)).out.strip() for words in (["acme"], ["ops", "--metrics"]))
    with running_gateway(live.path) as client:
        client.chat(headers={"Authorization": f"Bearer {one}"})
        assert client.get("/metrics").status == 401
        assert client.get("/metrics", Authorization=f"Bearer {one}").status == 403
        assert any('tenant="acme"' in name for name in samples(client, Authorization=f"Bearer {reader}"))


def test_large_counts_keep_their_digits() -> None:
    from promptops.gateway.metrics import GatewayMetrics
    from support.logged_runs import a_run

    metrics = GatewayMetrics()
    with metrics.call(a_run(prompt="p")):
        pass
    counts = metrics.counts()
    counts["calls"][0][1]["input_tokens"] = 12_345_678_901
    line = 'gen_ai_client_token_usage_sum{prompt="p",gen_ai_token_type="input"} 12345678901'
    assert line in GatewayMetrics().text([counts]).splitlines()


def test_labels_are_bounded() -> None:
    from promptops.gateway.metrics import GatewayMetrics
    from support.logged_runs import a_run

    metrics = GatewayMetrics()
    for number in range(1_500):
        with metrics.call(a_run(prompt=f'p"{number}\n')):
            pass
    lines = metrics.text().splitlines()
    assert len([line for line in lines if line.startswith("promptops_cost_usd_total")]) == 1_001
    assert 'promptops_cost_usd_total{prompt="p\\"7\\n"} 0.0' in lines


# requests that are sent again


def test_a_request_that_is_sent_again_makes_no_other_call(
    client: Client, provider: Provider, live: Repo
) -> None:
    first, second = again(client), again(client)
    assert (second.body["id"], second.text) == (first.body["id"], first.text)
    assert (second.headers["x-promptops-repeated"], "x-promptops-repeated" in first.headers) == (
        "true",
        False,
    )
    streamed = again(client, stream=True).events
    assert (streamed[0]["id"], streamed[0]["choices"][0]["delta"]["content"]) == (
        first.body["id"],
        "Greet Ada.",
    )
    assert again(client, inputs={"name": "Grace"}).status == 422
    assert again(client, "k2").body["id"] != first.body["id"]
    assert again(client, "k" * 300).status == 400
    assert (len(provider.requests), len(runs(live))) == (2, 2)


def test_an_answer_that_is_sent_again_later_is_the_same_to_the_byte(client: Client) -> None:
    first = again(client)
    time.sleep(1)
    assert again(client).raw == first.raw
    assert again(client, stream=True).events[0]["created"] == first.body["created"]


def test_one_that_comes_meanwhile_waits_for_the_first(client: Client, provider: Provider) -> None:
    provider.script = slow(0.3, text("late"))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: again(client), range(4)))
    assert Counter(answer.status for answer in answers) == {200: 4}
    assert (len({answer.body["id"] for answer in answers}), len(provider.requests)) == (1, 1)


def test_a_failed_call_is_not_made_again(live: Repo, provider: Provider) -> None:
    provider.script = [status(503, "down"), text("up again")]
    with running_gateway(live.path, limits=Limits(retries=0)) as client:
        assert [again(client).status for _ in range(3)] == [502, 502, 502]
        assert again(client, "k2").text == "up again"
    assert len(provider.requests) == 2


def test_a_stream_that_broke_is_not_made_again(client: Client, provider: Provider) -> None:
    provider.script = [cut_off("Hel"), events(chunk_of({"content": "Hello"}), chunk_of({}, "stop"))]
    assert "error" in again(client, stream=True).events[-1]
    assert again(client, stream=True).error["code"] == "provider_cut_off"
    assert len(provider.requests) == 1


def test_what_was_never_called_may_be_sent_again(client: Client, provider: Provider) -> None:
    assert again(client, inputs={}).status == 400
    assert again(client).status == 200
    assert len(provider.requests) == 1


@pytest.mark.parametrize("answer", [text("Hi"), status(400, "no")])
def test_what_repeatable_requests_sent_is_not_kept(
    client: Client, provider: Provider, answer: Answer
) -> None:
    provider.script = answer
    large = {"name": "a" * 400_000}
    again(client, key="first", inputs=large)
    provider.requests.clear()
    tracemalloc.start()
    try:
        for number in range(20):
            again(client, key=str(number), inputs=large)
            provider.requests.clear()
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert again(client, key="19", inputs=large).headers.get("x-promptops-repeated") or answer.status != 200
    assert provider.requests == []
    assert kept < 10 * len(large["name"])


def test_keys_of_two_callers_are_two(cli: Cli, live: Repo, provider: Provider) -> None:
    keys = [ok(cli("keys", "new", name)).out.strip() for name in ("acme", "other")]
    with running_gateway(live.path) as client:
        sent = [{"Authorization": f"Bearer {key}", "Idempotency-Key": "k1"} for key in keys]
        ids = {client.chat(headers=headers).body["id"] for headers in sent}
    assert len(ids) == 2


def test_one_whose_client_hung_up_may_be_sent_again(client: Client, provider: Provider) -> None:
    import json
    import socket

    provider.script = [slow(30, text("late")), text("soon")]
    body = json.dumps({"model": "greet:production", "inputs": {"name": "Ada"}}).encode()
    with socket.create_connection(("127.0.0.1", client.port)) as connection:
        head = f"Host: localhost\r\nContent-Length: {len(body)}\r\nIdempotency-Key: k1\r\n"
        start = f"POST /v1/chat/completions HTTP/1.1\r\n{head}Content-Type: application/json\r\n\r\n"
        connection.sendall(start.encode() + body)
        until(lambda: provider.requests)
    assert provider.hung_up.wait(10)
    until(lambda: again(client).status == 200, 5)
