"""The providers of a configuration: which model a prompt pins, and with which settings."""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.interop.accounts import KeyAccounts, SourceNode
from promptops.interop.pins import pin_model
from promptops.interop.promptfoo.reading import NEVER_RUN, ConfigReading, is_code, is_reference
from promptops.interop.promptfoo.settings import ProviderSettings, read_settings

_SEVERAL = "one prompt file pins one model: this one is for `eval --model`"
_ECHO = "`echo` asks no model and repeats the prompt, as `promptops render` does; --model pins one"
_OTHER_SETTINGS = "the prompt file has the settings of the provider that is pinned"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderPlan:
    """``model`` is empty for the provider that repeats its prompt. ``prompts``: labels of those it is for."""

    node: SourceNode
    model: str
    note: str
    config: SourceNode | None
    prompts: tuple[str, ...] | None = None

    def is_for(self, names: AbstractSet[str]) -> bool:
        return self.prompts is None or not names.isdisjoint(self.prompts)


class ProviderReader:
    def __init__(self, reading: ConfigReading) -> None:
        self.reading = reading
        self._settings: dict[int, ProviderSettings] = {}

    def all(self, node: SourceNode | None) -> list[ProviderPlan]:
        return [plan for each in (node.elements() if node else ()) for plan in self._entry(each)]

    def _entry(self, node: SourceNode) -> Iterator[ProviderPlan]:
        if is_reference(node.value) and not is_code(node.value):
            found = self.reading.lookup(node)
            for each in found.elements() if found else ():
                yield from self._entry(each)
        elif isinstance(node.value, str):
            yield from self._plan(node, node)
        elif isinstance(node.value, dict):
            yield from self._mapping(node)
        else:
            node.lose("no name of a provider")

    def _mapping(self, node: SourceNode) -> Iterator[ProviderPlan]:
        named = node.get("provider") or node.get("id") or node.get("model")
        if named is None and len(node.value) == 1:
            ((name, options),) = node.members()
            if isinstance(options.value, dict):
                yield from self._plan(options, SourceNode(name, options.path, options.accounts))
                return
        if named is None:
            node.lose("it names no provider")
            return
        yield from self._plan(node, named)

    def _plan(self, node: SourceNode, named: SourceNode) -> Iterator[ProviderPlan]:
        name = str(named.value)
        for key in ("label", "prompts", "id"):
            if given := node.get(key):
                given.keep()
        if name == "echo":
            yield self._made(node, "", "")
        elif is_code(name) or name.startswith(("python:", "exec:", "javascript:", "http", "webhook")):
            self._refuse(node, named, f"a provider that is a program or an address: {NEVER_RUN}")
        elif pin := pin_model(name, self.reading.project):
            yield self._made(node, pin.model, pin.note)
        else:
            self._refuse(node, named, "no model that is known by this name; pin one with --model")

    @staticmethod
    def _refuse(node: SourceNode, named: SourceNode, why: str) -> None:
        named.lose(why)
        if config := node.get("config"):
            config.lose("settings of a provider that is not pinned")

    def _made(self, node: SourceNode, model: str, note: str) -> ProviderPlan:
        labels = node.get("prompts")
        listed = tuple(map(str, labels.value)) if labels and isinstance(labels.value, list) else None
        return ProviderPlan(node=node, model=model, note=note, config=node.get("config"), prompts=listed)

    def settings(self, plan: ProviderPlan) -> ProviderSettings:
        """What the provider's ``config`` says, read once."""
        if id(plan) not in self._settings:
            self._settings[id(plan)] = self._read(plan.config)
        return self._settings[id(plan)]

    def _apart(self, config: SourceNode | None) -> ProviderSettings:
        """What a ``config`` says, without accounts being kept of it."""
        value = config.value if config else {}
        return self._read(SourceNode(value, (), KeyAccounts(value, "")))

    def _read(self, config: SourceNode | None) -> ProviderSettings:
        try:
            return read_settings(config, self.reading)
        except Invalid as error:
            if config:
                config.lose(error.message)
            return ProviderSettings()

    @staticmethod
    def _note(node: SourceNode, note: str) -> None:
        if isinstance(node.value, dict):
            node.accounts.change_alone(node.path, note or "its name is the key")
        elif note:
            node.change(note)
        else:
            node.keep()

    def account(self, plans: list[ProviderPlan], pinned: list[ProviderPlan]) -> None:
        """Say of every provider whether a prompt pins it."""
        settings = [self._apart(plan.config) for plan in pinned]
        for plan in plans:
            named = plan.node.get("provider") or plan.node.get("id") or plan.node.get("model") or plan.node
            if any(plan is each for each in pinned):
                self._account_pinned(plan, named)
                continue
            self._note(named, _SEVERAL)
            if plan.config is None:
                continue
            if self._apart(plan.config) in settings:
                self._read(plan.config)  # which says of each key whether it is in force
            else:
                plan.config.lose(_OTHER_SETTINGS)

    def _account_pinned(self, plan: ProviderPlan, named: SourceNode) -> None:
        self._note(named, plan.note if plan.model else _ECHO)
