"""The embedded model: what it says without engine or weights, and a real model answering in this process."""

import asyncio
import hashlib
import http.client
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from promptops.errors import Invalid, NotFound
from promptops.providers.local import server as embedded
from promptops.providers.local import weights
from promptops.providers.local.server import EmbeddedClient
from promptops.providers.types import Completion, CompletionRequest, ModelError
from support.paths import ROOT

MODEL = "local/smollm2-135m-instruct"
TINY = b"GGUF and a little more"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A cache folder with nothing in it."""
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(NotFound, match=f"no embedded model local/gpt; there is {MODEL}"):
        EmbeddedClient("local/gpt", {})


def test_what_is_installed_is_told_without_fetching(tmp_path: Path, env: dict[str, str]) -> None:
    status = embedded.embedded_status(env)
    assert (status.present, status.verified, status.overridden) == (False, False, False)
    status.weights.parent.mkdir(parents=True)
    status.weights.write_bytes(TINY)
    damaged = embedded.embedded_status(env)
    assert (damaged.present, damaged.verified) == (True, False)
    other = embedded.embedded_status({**env, "PROMPTOPS_LOCAL_GGUF": str(status.weights)})
    assert (other.present, other.verified, other.overridden) == (True, True, True)
    assert other.weights == tmp_path / "cache/promptops/models/SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.mark.parametrize(
    ("system", "machine", "libc", "complaint"),
    [
        ("linux", "x86_64", "glibc", r"needs the embedded model: pip install 'git-promptops\[local\]'"),
        ("darwin", "arm64", "", r"needs the embedded model: pip install 'git-promptops\[local\]'"),
        ("linux", "x86_64", "", "no wheel of xllamacpp is known for linux-x86_64"),
        ("linux", "aarch64", "glibc", "no wheel of xllamacpp is known for linux-aarch64-glibc"),
    ],
)
def test_without_the_extra(system: str, machine: str, libc: str, complaint: str) -> None:
    with pytest.raises(Invalid, match=complaint) as told:
        raise embedded.missing_engine(MODEL, system, machine, libc)
    assert ("--model" in told.value.hint) == ("no wheel" in complaint)


BARE = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from promptops.errors import Invalid
from promptops.providers.local.server import EmbeddedClient, embedded_status
assert embedded_status({{}}).engine is None
try:
    EmbeddedClient({MODEL!r}, {{}})
except Invalid as error:
    print(error.message)
"""


def test_a_python_without_any_package_names_the_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", BARE], capture_output=True, encoding="utf-8", check=False
    )
    assert done.stdout.startswith(f"{MODEL} needs the embedded model"), done.stderr


def test_an_engine_that_does_not_load_says_why(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "xllamacpp.py").write_text(
        "raise ImportError('libgomp.so.1: cannot open shared object file')"
    )
    (tmp_path / "x.gguf").write_bytes(TINY)
    env |= {"PYTHONPATH": str(tmp_path), "PROMPTOPS_LOCAL_GGUF": str(tmp_path / "x.gguf")}
    done = subprocess.run(
        [sys.executable, "-c", TWICE], cwd=ROOT, env=env, capture_output=True, encoding="utf-8", check=False
    )
    assert "ModelError: xllamacpp cannot be loaded: libgomp.so.1" in done.stderr


def test_errors_of_the_server_are_put_into_words() -> None:
    plain = ModelError(
        "timeout", "http://127.0.0.1:4/v1 did not finish within 3 s", partial="The", hint="wait"
    )
    told = embedded.translate_server_error(plain, "http://127.0.0.1:4/v1", MODEL)
    assert (told.type, told.message, told.partial, told.hint) == (
        "timeout",
        f"{MODEL} did not finish within 3 s",
        "The",
        "wait",
    )


# With the real model


@pytest.fixture(scope="session")
def real_env() -> Mapping[str, str]:
    """The environment as it is, with the user's cache: weights are fetched once, not for each test."""
    pytest.importorskip("xllamacpp", reason="no xllamacpp on this platform")
    return REAL_ENV


REAL_ENV = {name: value for name, value in os.environ.items() if name != "PROMPTOPS_LOCAL_GGUF"}


@pytest.fixture
def ask(real_env: Mapping[str, str]) -> Iterator[Callable[..., Completion]]:
    adapter = EmbeddedClient(MODEL, real_env)

    def call(text: str, on_text: Callable[[str], None] | None = None, **options: Any) -> Completion:
        return asyncio.run(adapter.complete(request(text, **options), on_text))

    yield call
    asyncio.run(adapter.aclose())


def request(text: str | list[Any], **options: Any) -> CompletionRequest:
    parameters = {"temperature": 0, "max_tokens": 16, **options.pop("parameters", {})}
    return CompletionRequest(
        model=MODEL, messages=({"role": "user", "content": text},), parameters=parameters, **options
    )


@pytest.mark.embedded
def test_the_real_weights_come_from_the_package_index(tmp_path: Path, real_env: Mapping[str, str]) -> None:
    env = {**real_env, "XDG_CACHE_HOME": str(tmp_path)}
    said: list[str] = []
    found = weights.ensure_weights(MODEL, env, said.append)
    again = weights.ensure_weights(MODEL, env, said.append)
    assert found == again
    assert len(said) == 1
    assert hashlib.sha256(found.path.read_bytes()).hexdigest() == found.sha256
    found.path.write_bytes(b"GGUF, damaged")
    assert embedded.embedded_status(env).verified is False


@pytest.mark.embedded
def test_it_answers_and_says_by_which_weights(ask: Callable[..., Completion]) -> None:
    answer = ask("Name a colour of the rainbow.")
    assert answer.text
    assert answer.response_model == f"{MODEL}@sha256:{weights.WEIGHTS_PACKAGES[MODEL].sha256}"
    assert (answer.input_tokens or 0) > 5
    assert answer.output_tokens


@pytest.mark.embedded
def test_streamed_text_is_the_same_text(ask: Callable[..., Completion]) -> None:
    pieces: list[str] = []
    streamed = ask("Say hello to Ada.", pieces.append, stream=True)
    assert len(pieces) > 3
    assert "".join(pieces) == streamed.text == ask("Say hello to Ada.").text
    assert (streamed.first_token_ms or 0) > 0


@pytest.mark.embedded
def test_temperature_0_is_bit_exact_whatever_came_between(ask: Callable[..., Completion]) -> None:
    first = ask("Tell me about the sea.")
    ask("Tell me about the mountains, and what grows there.")
    assert ask("Tell me about the sea.").text == first.text
    assert first.cached_tokens == 0


TWICE = textwrap.dedent(
    f"""
    import asyncio, os
    from promptops.providers.local.server import EmbeddedClient
    from promptops.providers.types import CompletionRequest
    messages = ({{"role": "user", "content": "Tell me about the sea."}},)
    parameters = {{"temperature": 0, "max_tokens": 16}}
    request = CompletionRequest(model={MODEL!r}, messages=messages, parameters=parameters)
    def print_part(text): print(text, flush=True)
    print(asyncio.run(EmbeddedClient({MODEL!r}, os.environ).complete(request)).text, end="")
    """
)


@pytest.mark.embedded
def test_another_process_gives_the_same_text_and_ends_quietly(
    ask: Callable[..., Completion], real_env: Mapping[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TWICE],
        cwd=ROOT,
        env=dict(real_env),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ask("Tell me about the sea.").text


@pytest.mark.embedded
def test_an_output_schema_is_kept_to(ask: Callable[..., Completion]) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "green"]}, "count": {"type": "integer"}},
        "required": ["colour", "count"],
        "additionalProperties": False,
    }
    answer = json.loads(ask("Three green apples.", output_schema=schema, parameters={"max_tokens": 48}).text)
    assert answer["colour"] in {"red", "green"}
    assert isinstance(answer["count"], int)


@pytest.mark.embedded
def test_a_grammar_is_kept_to(ask: Callable[..., Completion]) -> None:
    assert ask("Is water wet?", parameters={"grammar": 'root ::= "yes" | "no"'}).text in {"yes", "no"}


@pytest.mark.embedded
def test_log_probabilities_and_a_server_that_wants_its_key(real_env: Mapping[str, str]) -> None:
    path = weights.ensure_weights(MODEL, real_env).path
    server = embedded.get_server(path)
    assert embedded.get_server(path) is server
    body = {
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 2,
        "logprobs": True,
        "top_logprobs": 3,
    }
    status, reply = post(server.base_url, json.dumps(body), server.key)
    assert status == 200
    assert len(reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 3
    assert post(server.base_url, json.dumps(body), "guessed")[0] == 401


def post(base_url: str, body: str, key: str) -> tuple[int, Any]:
    link = http.client.HTTPConnection(base_url.split("/")[2])
    link.request(
        "POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {key}", "Connection": "close"}
    )
    with link.getresponse() as reply:
        assert "access-control-allow-origin" not in {
            name.lower() for name, value in reply.getheaders() if value
        }
        found = reply.status, json.loads(reply.read())
    link.close()
    return found


@pytest.mark.embedded
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("dog " * 5000, r"the messages are 50\d\d tokens long; .* holds 4096"),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}],
            "takes no images",
        ),
    ],
)
def test_what_it_cannot_take_is_said(
    real_env: Mapping[str, str], text: str | list[Any], complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint) as told:
        asyncio.run(EmbeddedClient(MODEL, real_env).complete(request(text)))
    assert told.value.exit_code == 4


@pytest.mark.embedded
def test_many_calls_at_once_take_turns(real_env: Mapping[str, str]) -> None:
    adapter = EmbeddedClient(MODEL, real_env)

    async def four() -> list[Completion]:
        asked = [request(f"Say {word}.", parameters={"max_tokens": 4}) for word in ("a", "b", "a", "b")]
        return await asyncio.gather(*map(adapter.complete, asked))

    texts = [answer.text for answer in asyncio.run(four())]
    assert texts[:2] == texts[2:]


@pytest.mark.embedded
def test_a_file_that_is_no_model(tmp_path: Path, real_env: Mapping[str, str]) -> None:
    (tmp_path / "broken.gguf").write_bytes(TINY)
    adapter = EmbeddedClient(MODEL, {**real_env, "PROMPTOPS_LOCAL_GGUF": str(tmp_path / "broken.gguf")})
    with pytest.raises(ModelError, match="cannot load") as told:
        asyncio.run(adapter.complete(request("Hi")))
    assert told.value.type == "bad_request"


@pytest.mark.embedded
def test_identity_names_weights_and_mode_and_no_port(real_env: Mapping[str, str]) -> None:
    name, place, body = EmbeddedClient(MODEL, real_env).identity(request("Hi"))
    assert (name, place) == ("embedded", f"local:sha256:{weights.WEIGHTS_PACKAGES[MODEL].sha256}")
    assert json.loads(body)["model"] == "smollm2-135m-instruct"
    fast = EmbeddedClient(MODEL, {**real_env, "PROMPTOPS_LOCAL_FAST": "1"})
    assert fast.identity(request("Hi"))[1:] == (place + "+fast", body)


@pytest.mark.embedded
def test_fast_mode_keeps_the_common_beginning(real_env: Mapping[str, str]) -> None:
    adapter = EmbeddedClient(MODEL, {**real_env, "PROMPTOPS_LOCAL_FAST": "1"})
    asked = request("A common beginning of some length. " * 3, parameters={"max_tokens": 2})
    asyncio.run(adapter.complete(asked))
    assert (asyncio.run(adapter.complete(asked)).cached_tokens or 0) > 10


LONG = TWICE.replace('"max_tokens": 16', '"max_tokens": 3000').replace(
    ".complete(request)",
    '.complete(__import__("dataclasses").replace(request, stream=True), print_part)',
)


@pytest.mark.embedded
def test_ctrl_c_in_the_middle_of_an_answer_ends_at_once(real_env: Mapping[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LONG],
        cwd=ROOT,
        env=dict(real_env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout
        assert process.stdout.readline()
        process.send_signal(2)
        _, said = process.communicate(timeout=60)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode in {130, -2}
