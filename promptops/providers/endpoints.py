"""The providers that are called directly, and where litellm's environment variables say they are.

They are those that litellm marks as OpenAI-compatible and sends an unchanged body, with openai and
openrouter. Left to litellm although marked: ai21, azure_ai, baseten, docker_model_runner and xinference
(the address depends on more than a variable), chatgpt, github_copilot and sarvam (another way to sign in),
clarifai and ragflow (the model's name holds an address), codestral and mistral (other parameter names).
"""

import re
from collections.abc import Mapping
from dataclasses import field

from promptops.dataclass import dataclass

MARKED_CACHES = frozenset({"dashscope", "litellm_proxy", "openrouter", "vercel_ai_gateway"})
"""The providers that take ``cache_control`` on messages and parts; litellm knows its own."""

# The endpoint; the variables that may hold its key, and those that may move it, first one set first.
DIRECT_PROVIDERS: dict[str, tuple[str, str, str]] = {
    "abliteration": ("https://api.abliteration.ai/v1", "ABLITERATION_API_KEY", ""),
    "aihubmix": ("https://aihubmix.com/v1", "AIHUBMIX_API_KEY", "AIHUBMIX_API_BASE"),
    "aiml": ("https://api.aimlapi.com/v1", "AIML_API_KEY", "AIML_API_BASE"),
    "apertis": ("https://api.stima.tech/v1", "STIMA_API_KEY", ""),
    "assemblyai": ("https://llm-gateway.assemblyai.com/v1", "ASSEMBLYAI_API_KEY", ""),
    "cerebras": ("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", "CEREBRAS_API_BASE"),
    "charity_engine": (
        "https://api.charityengine.services/remotejobs/v2/inference",
        "CHARITY_ENGINE_API_KEY",
        "",
    ),
    "chutes": ("https://llm.chutes.ai/v1/", "CHUTES_API_KEY", ""),
    "cognition": ("https://api.cognition.ai/v1", "COGNITION_API_KEY", "COGNITION_API_BASE"),
    "cometapi": ("https://api.cometapi.com/v1", "COMETAPI_KEY", "COMETAPI_API_BASE"),
    "cortecs": ("https://api.cortecs.ai/v1", "CORTECS_API_KEY", "CORTECS_API_BASE"),
    "crusoe": ("https://managed-inference-api-proxy.crusoecloud.com/v1", "CRUSOE_API_KEY", "CRUSOE_API_BASE"),
    "darkbloom": ("https://api.darkbloom.dev/v1", "DARKBLOOM_API_KEY", "DARKBLOOM_API_BASE"),
    "dashscope": (
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        "DASHSCOPE_API_BASE",
    ),
    "deepinfra": ("https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY", "DEEPINFRA_API_BASE"),
    "deepseek": ("https://api.deepseek.com/beta", "DEEPSEEK_API_KEY", "DEEPSEEK_API_BASE"),
    "edenai": ("https://api.edenai.run/v3", "EDENAI_API_KEY", "EDENAI_API_BASE"),
    "empiriolabs": ("https://api.empiriolabs.ai/v1", "EMPIRIOLABS_API_KEY", "EMPIRIOLABS_API_BASE"),
    "empower": ("https://app.empower.dev/api/v1", "EMPOWER_API_KEY", "EMPOWER_API_BASE"),
    "featherless_ai": (
        "https://api.featherless.ai/v1",
        "FEATHERLESS_AI_API_KEY FEATHERLESS_API_KEY",
        "FEATHERLESS_AI_API_BASE FEATHERLESS_API_BASE",
    ),
    "fireworks_ai": (
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY FIREWORKS_AI_API_KEY FIREWORKSAI_API_KEY FIREWORKS_AI_TOKEN",
        "FIREWORKS_API_BASE",
    ),
    "friendliai": (
        "https://api.friendli.ai/serverless/v1",
        "FRIENDLIAI_API_KEY FRIENDLI_TOKEN",
        "FRIENDLI_API_BASE",
    ),
    "galadriel": ("https://api.galadriel.com/v1", "GALADRIEL_API_KEY", "GALADRIEL_API_BASE"),
    "github": ("https://models.inference.ai.azure.com", "GITHUB_API_KEY", "GITHUB_API_BASE"),
    "gmi": ("https://api.gmi-serving.com/v1", "GMI_API_KEY", ""),
    "groq": ("https://api.groq.com/openai/v1", "GROQ_API_KEY", "GROQ_API_BASE"),
    "helicone": ("https://ai-gateway.helicone.ai/", "HELICONE_API_KEY", ""),
    "hosted_vllm": ("", "HOSTED_VLLM_API_KEY", "HOSTED_VLLM_API_BASE"),
    "hyperbolic": ("https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY", "HYPERBOLIC_API_BASE"),
    "inception": ("https://api.inceptionlabs.ai/v1", "INCEPTION_API_KEY", "INCEPTION_API_BASE"),
    "lambda_ai": ("https://api.lambda.ai/v1", "LAMBDA_API_KEY", "LAMBDA_API_BASE"),
    "libertai": ("https://api.libertai.io/v1", "LIBERTAI_API_KEY", "LIBERTAI_API_BASE"),
    "litellm_proxy": ("", "LITELLM_PROXY_API_KEY", "LITELLM_PROXY_API_BASE"),
    "llamafile": ("http://127.0.0.1:8080/v1", "LLAMAFILE_API_KEY", "LLAMAFILE_API_BASE"),
    "llamagate": ("https://api.llamagate.dev/v1", "LLAMAGATE_API_KEY", ""),
    "lm_studio": ("", "LM_STUDIO_API_KEY", "LM_STUDIO_API_BASE"),
    "meta": ("https://api.meta.ai/v1", "META_API_KEY", "META_API_BASE"),
    "meta_llama": ("https://api.llama.com/compat/v1", "LLAMA_API_KEY", "LLAMA_API_BASE"),
    "modelscope": ("https://api-inference.modelscope.cn/v1", "MODELSCOPE_API_KEY", "MODELSCOPE_API_BASE"),
    "moonshot": ("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", "MOONSHOT_API_BASE"),
    "morph": ("https://api.morphllm.com/v1", "MORPH_API_KEY", "MORPH_API_BASE"),
    "nano-gpt": ("https://nano-gpt.com/api/v1", "NANOGPT_API_KEY", ""),
    "nebius": ("https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY", "NEBIUS_API_BASE"),
    "neosantara": ("https://api.neosantara.xyz/v1", "NEOSANTARA_API_KEY", "NEOSANTARA_API_BASE"),
    "novita": ("https://api.novita.ai/v3/openai", "NOVITA_API_KEY", "NOVITA_API_BASE"),
    "nscale": ("https://inference.api.nscale.com/v1", "NSCALE_API_KEY", "NSCALE_API_BASE"),
    "nvidia_nim": ("https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY", "NVIDIA_NIM_API_BASE"),
    "openai": ("https://api.openai.com/v1", "OPENAI_API_KEY", "OPENAI_BASE_URL OPENAI_API_BASE"),
    "openrouter": ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY OR_API_KEY", "OPENROUTER_API_BASE"),
    "parasail": ("https://api.parasail.io/v1", "PARASAIL_API_KEY", "PARASAIL_API_BASE"),
    "perplexity": (
        "https://api.perplexity.ai",
        "PERPLEXITYAI_API_KEY PERPLEXITY_API_KEY",
        "PERPLEXITY_API_BASE",
    ),
    "pinstripes": ("https://pinstripes.io/v1", "PINSTRIPES_API_KEY", "PINSTRIPES_API_BASE"),
    "poe": ("https://api.poe.com/v1", "POE_API_KEY", ""),
    "prism": ("https://api.prisminference.com/v1", "PRISM_API_KEY", "PRISM_API_BASE"),
    "publicai": ("https://api.publicai.co/v1", "PUBLICAI_API_KEY", "PUBLICAI_API_BASE"),
    "qwen_ai_platform": (
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
        "QWEN_AI_PLATFORM_API_KEY DASHSCOPE_API_KEY",
        "QWEN_AI_PLATFORM_API_BASE",
    ),
    "qwencloud": (
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        "QWENCLOUD_API_KEY DASHSCOPE_API_KEY",
        "QWENCLOUD_API_BASE",
    ),
    "reka": ("https://api.reka.ai/v1", "REKA_API_KEY", "REKA_API_BASE"),
    "sail": ("https://api.sailresearch.com/v1", "SAIL_API_KEY", "SAIL_API_BASE"),
    "sambanova": ("https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY", "SAMBANOVA_API_BASE"),
    "scaleway": ("https://api.scaleway.ai/v1", "SCW_SECRET_KEY", ""),
    "scx-ai": ("https://api.scx.ai/v1", "SCX_API_KEY", "SCX_API_BASE"),
    "synthetic": ("https://api.synthetic.new/openai/v1", "SYNTHETIC_API_KEY", ""),
    "tencent": ("https://tokenhub-intl.tencentcloudmaas.com/v1", "TENCENT_API_KEY", "TENCENT_API_BASE"),
    "tensormesh": (
        "https://serverless.tensormesh.ai/v1",
        "TENSORMESH_INFERENCE_API_KEY",
        "TENSORMESH_SERVERLESS_BASE_URL",
    ),
    "together_ai": (
        "https://api.together.ai/v1",
        "TOGETHER_API_KEY TOGETHER_AI_API_KEY TOGETHERAI_API_KEY TOGETHER_AI_TOKEN",
        "TOGETHER_AI_API_BASE",
    ),
    "v0": ("https://api.v0.dev/v1", "V0_API_KEY", "V0_API_BASE"),
    "veniceai": ("https://api.venice.ai/api/v1", "VENICE_AI_API_KEY", ""),
    "vercel_ai_gateway": (
        "https://ai-gateway.vercel.sh/v1",
        "VERCEL_AI_GATEWAY_API_KEY VERCEL_OIDC_TOKEN",
        "VERCEL_AI_GATEWAY_API_BASE",
    ),
    "volcengine": ("https://ark.cn-beijing.volces.com/api/v3", "VOLCENGINE_API_KEY", "VOLCENGINE_API_BASE"),
    "wandb": ("https://api.inference.wandb.ai/v1", "WANDB_API_KEY", "WANDB_API_BASE"),
    "xai": ("https://api.x.ai/v1", "XAI_API_KEY", "XAI_API_BASE"),
    "xiaomi_mimo": ("https://api.xiaomimimo.com/v1", "XIAOMI_MIMO_API_KEY", ""),
    "zai": ("https://api.z.ai/api/paas/v4", "ZAI_API_KEY", "ZAI_API_BASE"),
}
KEYLESS_PROVIDERS = frozenset({"hosted_vllm", "llamafile", "lm_studio"})
"""Usually on one's own machine, without a key."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    base_url: str
    key: str | None = field(repr=False)
    key_name: str  # empty where no key is needed


def is_direct(provider: str) -> bool:
    return provider in DIRECT_PROVIDERS


def key_variable(provider: str) -> str:
    """The environment variable that holds a provider's key; for litellm's, what it mostly is."""
    known = DIRECT_PROVIDERS[provider][1] if is_direct(provider) else ""
    return known.partition(" ")[0] or f"{re.sub(r'[^A-Z0-9]', '_', provider.upper())}_API_KEY"


def resolve_endpoint(provider: str, env: Mapping[str, str]) -> Endpoint:
    """Address and key of a provider of the table; ModelError when nothing says where it is."""
    default, key_names, base_names = DIRECT_PROVIDERS[provider]
    name, key = _first_set_variable(key_names, env)
    _, base = _first_set_variable(base_names, env)
    if not base and not default:
        hint = f"set {base_names}, as in http://host:8000/v1"
        from promptops.providers.types import ModelError  # lint asks which providers there are

        raise ModelError("bad_request", f"no address for {provider}", hint=hint)
    needed = key or provider not in KEYLESS_PROVIDERS
    return Endpoint(base or default, key or None, name if needed else "")


def require_key(endpoint: Endpoint, provider: str) -> None:
    """Raise ModelError where a key is needed and none is set."""
    if endpoint.key_name and not endpoint.key:
        from promptops.providers.types import ModelError  # as above

        raise ModelError("authentication", f"no key for {provider}: {endpoint.key_name} is not set")


def api_url(base_url: str, path: str) -> str:
    """A path below a base URL, whose query stays behind it."""
    base, mark, query = base_url.partition("?")
    return f"{base.rstrip('/')}/{path}{mark}{query}"


def endpoint_model_name(provider: str, rest: str) -> str:
    """What the endpoint calls a model that litellm's notation calls ``provider/rest``."""
    if provider == "fireworks_ai" and not rest.startswith("accounts/"):
        return f"accounts/fireworks/models/{rest}"
    if provider == "openrouter" and "/" not in rest:
        return f"openrouter/{rest}"
    return rest


def _first_set_variable(names: str, env: Mapping[str, str]) -> tuple[str, str]:
    """The first of the variables that is set, with its value; else the first name, and nothing."""
    for name in names.split():
        if value := env.get(name, "").strip():
            return name, value
    return names.partition(" ")[0], ""
