"""What a Prompty file says of the model.

The first format does so under api, configuration and parameters, the second under id, provider, apiType,
options and connection.
"""

from collections.abc import Mapping
from typing import Any

from promptops.config.yaml import YamlPath
from promptops.interop.accounts import KeyAccounts
from promptops.interop.pins import NO_MODEL, pin_model
from promptops.interop.prompty.references import read_reference
from promptops.interop.target import ImportTarget
from promptops.lint.context import LintProject

_PROVIDERS = {
    "azure": "azure",
    "azure_openai": "azure",
    "azure_openai_beta": "azure",
    "foundry": "azure",
    "serverless": "azure_ai",
    "openai": "openai",
    "anthropic": "anthropic",
}
OPTIONS = {
    "temperature": "temperature",
    "maxOutputTokens": "max_tokens",
    "topP": "top_p",
    "topK": "top_k",
    "frequencyPenalty": "frequency_penalty",
    "presencePenalty": "presence_penalty",
    "seed": "seed",
    "stopSequences": "stop",
    "allowMultipleToolCalls": "parallel_tool_calls",
    "reasoningEffort": "reasoning_effort",
}
_NOT_PARAMETERS = frozenset({"messages", "model", "stream", "tools"})
NO_COUNTERPART = "no counterpart in a prompt file; kept under metadata.imported"
_NO_CHAT = "promptops calls chat models: the text is versioned, and a run of it is not what Prompty does"
_ELSEWHERE = "addresses and keys come from the provider's environment variables; kept under metadata.imported"


class ModelReader:
    def __init__(self, accounts: KeyAccounts, target: ImportTarget, project: LintProject) -> None:
        self.accounts = accounts
        self.target = target
        self.project = project
        self.parameters: dict[str, Any] = {}
        self.tools: Any = None  # the first format has them among the parameters
        self.model = NO_MODEL
        self.note = ""  # where no key of the file says which model

    def read(self, model: Any) -> None:
        if isinstance(model, str):
            self.pin(model, "", ("model",))
        elif isinstance(model, Mapping) and {"api", "configuration", "parameters"}.isdisjoint(model):
            self.second(model)
        elif isinstance(model, Mapping):
            self.first(model)
        else:
            self.pin("", "", ())
            if model is not None:
                self.accounts.lose(("model",), "neither a name nor a mapping")

    def pin(self, name: str, provider: str, path: YamlPath) -> None:
        prefix = _PROVIDERS.get(provider.lower(), provider)
        written = f"{prefix}/{name}" if prefix and not name.startswith(f"{prefix}/") else name
        if self.target.model:
            self.model = self.target.model
            self.say(path, f"{self.model} is pinned in its place")
        elif read_reference(name):
            self.say(path, f"it is a reference: {NO_MODEL} is pinned, and --model pins another")
        elif not (pin := pin_model(written, self.project) if name else None):
            what = "no model is known by that name" if name else "none is named"
            self.say(path, f"{what}: {NO_MODEL} is pinned, and --model pins another")
        else:
            self.model = pin.model
            if pin.note:
                self.say(path, pin.note)
            elif path:
                self.accounts.keep(*path)

    def say(self, path: YamlPath, note: str) -> None:
        if path:
            self.accounts.change(path, note)
        else:
            self.note = note

    def second(self, model: Mapping[str, Any]) -> None:
        name, provider = (model.get(key) for key in ("id", "provider"))
        path: YamlPath = ("model", "id") if "id" in model else ()
        self.pin(name if isinstance(name, str) else "", provider if isinstance(provider, str) else "", path)
        if "provider" in model:
            self.accounts.keep("model", "provider")
        self.api(model, "apiType")
        self.options(model.get("options"))
        self.rest(model, {"id", "provider", "apiType", "options"})

    def api(self, model: Mapping[str, Any], key: str) -> None:
        if key not in model:
            return
        if model[key] in ("chat", "agent"):
            self.accounts.keep("model", key)
        elif model[key] in ("responses", "completion"):
            self.accounts.change(("model", key), "the chat completions of the same model are called")
        else:
            self.accounts.lose(("model", key), _NO_CHAT)

    def options(self, options: Any) -> None:
        for key, value in options.items() if isinstance(options, Mapping) else ():
            path = ("model", "options", key)
            if key in OPTIONS:
                self.parameters[OPTIONS[key]] = value
                self.keep_as(path, OPTIONS[key])
            elif key == "additionalProperties" and isinstance(value, Mapping):
                for name, each in value.items():
                    self.parameter((*path, name), name, each)
            else:
                self.accounts.lose(path, "no parameter is known by that name")

    def keep_as(self, path: YamlPath, name: str) -> None:
        if path[-1] == name:
            self.accounts.keep(*path)
        else:
            self.accounts.change(path, f"parameters.{name}")

    def parameter(self, path: YamlPath, name: str, value: Any) -> None:
        if name in _NOT_PARAMETERS:
            self.accounts.lose(
                path, "whoever runs a prompt says so" if name == "stream" else "no parameter here"
            )
        else:
            self.parameters[name] = value
            self.accounts.keep(*path)

    def first(self, model: Mapping[str, Any]) -> None:
        found = model.get("configuration")
        configuration: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        kind = configuration.get("type")
        key = next((key for key in ("azure_deployment", "model", "name") if key in configuration), "")
        provider = kind if isinstance(kind, str) else "azure_openai" if key == "azure_deployment" else ""
        path = ("model", "configuration", key) if key else ()
        name = configuration.get(key)
        self.pin(name if isinstance(name, str) else "", provider, path)
        if "type" in configuration:
            self.accounts.keep("model", "configuration", "type")
        for name in configuration:
            if name not in ("type", key):
                self.accounts.lose(("model", "configuration", name), _ELSEWHERE)
        if "configuration" in model and not configuration:
            self.accounts.lose(("model", "configuration"), "no mapping of keys to values")
        self.api(model, "api")
        self.first_parameters(model.get("parameters"))
        self.rest(model, {"api", "configuration", "parameters"})

    def first_parameters(self, parameters: Any) -> None:
        for name, value in parameters.items() if isinstance(parameters, Mapping) else ():
            path = ("model", "parameters", name)
            if name == "tools" and isinstance(value, list):
                self.tools = value
                self.accounts.change(path, "tools of the prompt")
            else:
                self.parameter(path, name, value)

    def rest(self, model: Mapping[str, Any], known: set[str]) -> None:
        for key in model:
            if key == "connection":
                self.accounts.lose(("model", key), _ELSEWHERE)
            elif key not in known:
                self.accounts.lose(("model", key), NO_COUNTERPART)
