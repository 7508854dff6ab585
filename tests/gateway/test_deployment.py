"""docs/gateway-deploy.md: each file of it can be read, and says what the program takes."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.front_door import Cli, Repo
from support.gateway_client import Client, serving_process
from support.greet_releases import ok
from support.provider import Provider

PAGE = Path(__file__).parents[2] / "docs" / "gateway-deploy.md"
INSTRUCTIONS = {"FROM", "RUN", "USER", "WORKDIR", "COPY", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK"}


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def dockerfile() -> dict[str, str]:
    (text,) = blocks("dockerfile")
    lines = text.replace("\\\n", " ").splitlines()
    return {line.partition(" ")[0]: line.partition(" ")[2] for line in lines}


def manifests() -> list[dict[str, Any]]:
    (_, text) = blocks("yaml")
    return list(yaml.safe_load_all(text))


def unit() -> ConfigParser:
    (text,) = blocks("ini")
    parser = ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
    parser.read_string(text)
    return parser


def containers() -> Iterator[dict[str, Any]]:
    for manifest in manifests():
        template = manifest["spec"].get("template")
        yield from template["spec"]["containers"] if template else ()


def commands() -> Iterator[list[str]]:
    """What promptops is started with, in each of the files."""
    yield json.loads(dockerfile()["CMD"])
    for container in containers():
        yield container["args"]
    yield shlex.split(unit()["Service"]["ExecStart"])[1:]
    for line in "".join(blocks("sh")).splitlines():
        words = shlex.split(line)
        if words[0] == "promptops" or "gateway" in words[:5]:
            yield words[words.index("gateway" if "gateway" in words[:5] else "promptops") + 1 :]


@pytest.mark.parametrize("arguments", [*commands()], ids=" ".join)
def test_commands_exist(cli: Cli, live: Repo, arguments: list[str]) -> None:
    ok(cli(*arguments, "--help"))


def test_the_image_and_its_compose_file() -> None:
    image = dockerfile()
    assert image.keys() - {"ENTRYPOINT", "CMD"} <= INSTRUCTIONS
    assert json.loads(image["ENTRYPOINT"]) == ["promptops"]
    compose = yaml.safe_load(blocks("yaml")[0])
    service = compose["services"]["gateway"]
    assert service["ports"][0].endswith(f":{image['EXPOSE']}")
    assert [mount.split(":") for mount in service["volumes"]] == [["registry", image["VOLUME"]]]
    assert image["ENV"].startswith(f"PROMPTOPS_REGISTRY={image['VOLUME']}/")
    assert "registry" in compose["volumes"]
    assert service["stop_grace_period"] == "40s"


def test_the_manifests_agree() -> None:
    found = {manifest["kind"]: manifest for manifest in manifests()}
    deployment, service = found["Deployment"]["spec"], found["Service"]["spec"]
    pod = deployment["template"]["spec"]
    (gateway,) = pod["containers"]
    assert deployment["selector"]["matchLabels"] == deployment["template"]["metadata"]["labels"]
    assert service["selector"] == deployment["selector"]["matchLabels"]
    assert gateway["ports"][0] == {"name": "http", "containerPort": int(dockerfile()["EXPOSE"])}
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    drain = float(gateway["args"][gateway["args"].index("--drain") + 1])
    assert pod["terminationGracePeriodSeconds"] > drain
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in gateway["volumeMounts"]} == volumes
    assert found["PersistentVolumeClaim"]["metadata"]["name"] in volumes
    assert float(unit()["Service"]["TimeoutStopSec"]) > drain


def test_probes_are_answered(live: Repo, provider: Provider) -> None:
    check = json.loads(dockerfile()["HEALTHCHECK"].removeprefix("CMD "))
    with serving_process(live.path) as (_, client):
        for container in containers():
            for name in ("startupProbe", "readinessProbe", "livenessProbe"):
                if name in container:
                    assert client.get(container[name]["httpGet"]["path"]).status == 200
        for port, code in ((client.port, 0), (1, 1)):
            run = [sys.executable, *(word.replace("4455", str(port)) for word in check[1:])]
            assert subprocess.run(run, capture_output=True, check=False).returncode == code


def test_the_first_key_is_made_without_a_repository(
    cli: Cli, live: Repo, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, data = tmp_path / "app", tmp_path / "data"
    app.mkdir()
    data.mkdir()
    ok(cli("release", "bundle", "--out", str(app / "bundle.json")))
    monkeypatch.setenv("PROMPTOPS_REGISTRY", str(data / "registry.db"))
    command = [sys.executable, "-m", "promptops", "keys", "new", "acme"]
    key = subprocess.run(command, cwd=app, capture_output=True, text=True, check=True).stdout.strip()
    options = ("--host", "0.0.0.0", "--bundle", "bundle.json", "--workers", "2")  # noqa: S104 - as the image does
    with serving_process(app, *options) as (_, everywhere):
        client = Client(everywhere.port)  # on the loopback address
        assert client.chat(headers={"Authorization": f"Bearer {key}"}).text == "Greet Ada."
        assert client.chat().status == 401
    assert [file.name for file in app.iterdir()] == ["bundle.json"]
