"""Keys and tokens in a text.

detect-secrets knows what they look like. It takes longer to import than a whole lint, so one regular
expression that is wider than all of its detectors looks first.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from string import ascii_letters, digits
from typing import Protocol

# Either a text holds one of these words in any case, or a login, or a long word that _SUSPECT matches
_WORDS = (
    (b"v", b"private key"),
    (b"_", b"_authtoken"),
    (b"=", b"accountkey="),
    (b"q", b"sq0csp-"),
    (b"j", b"eyj"),
    (b"x", b"xox"),
)  # each behind its rarest letter, which is found at once
_LOGIN = re.compile(r"://[^{}\s:/?#\[\]@]+:[^{}\s:/?#\[\]@]+@", re.ASCII)
_SUSPECT = re.compile(
    r"(?<![A-Za-z0-9])(?=[a-zA-Z]*\d)[A-Za-z0-9]{16,}|[A-Z0-9]{16,}|[A-Za-z0-9]{30,}|[\w-]{40,}|[\w/+]{40}"
    r"|sk-[a-z]|AIza|(?i:hooks\.slack)|gl[a-z]{2,5}-[\w-]{20}|GR1348941|SG\.[\w-]{20}"
    r"|\d{8}:[\w-]{35}|[MNO][\w-]{23,25}\.[\w-]{6}\.|PuTTY-User-Key|[rs]k_live_"
)
_LONG = 16
_LONG_WORDS = re.compile(rb"w{16,}+")
_IN_WORDS = bytes(
    ord("w") if chr(code) in f"{ascii_letters}{digits}_/+-" else ord(" ") for code in range(256)
)
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_BESIDE = 64  # bytes around a long word that _SUSPECT may look at
_PIECE, _OVERLAP = 4_000, 500  # characters; a secret is shorter than the second
_DETECTORS = (
    ("aws", "AWSKeyDetector"),
    ("azure_storage_key", "AzureStorageKeyDetector"),
    ("basic_auth", "BasicAuthDetector"),
    ("discord", "DiscordBotTokenDetector"),
    ("github_token", "GitHubTokenDetector"),
    ("gitlab_token", "GitLabTokenDetector"),
    ("ibm_cloud_iam", "IbmCloudIamDetector"),
    ("ibm_cos_hmac", "IbmCosHmacDetector"),
    ("jwt", "JwtTokenDetector"),
    ("mailchimp", "MailchimpDetector"),
    ("npm", "NpmDetector"),
    ("openai", "OpenAIDetector"),
    ("private_key", "PrivateKeyDetector"),
    ("pypi_token", "PypiTokenDetector"),
    ("sendgrid", "SendGridDetector"),
    ("slack", "SlackDetector"),
    ("softlayer", "SoftlayerDetector"),
    ("square_oauth", "SquareOAuthDetector"),
    ("stripe", "StripeDetector"),
    ("telegram_token", "TelegramBotTokenDetector"),
    ("twilio", "TwilioKeyDetector"),
)
_OPENAI, _IN_OPENAI_KEYS = "OpenAI Token", "T3BlbkFJ"  # what a text lacks that has many sk- and no key
_MODEL_KEYS = {  # keys of model providers that detect-secrets does not know
    "Anthropic API Key": r"sk-ant-[a-z]+\d\d-[\w-]{20,}",
    "GitHub Token": r"github_pat_\w{22}_\w{59}",
    "Google API Key": r"\bAIza[\w-]{35}",
    "Groq API Key": r"\bgsk_[A-Za-z0-9]{40,}",
    "Hugging Face Token": r"\b(?:hf|api_org)_[A-Za-z0-9]{30,}",
    "NVIDIA API Key": r"\bnvapi-[\w-]{60,}",
    _OPENAI: r"\bsk-(?:proj-|svcacct-|admin-)?[\w-]{0,80}[A-Za-z0-9]{20}T3BlbkFJ[\w-]{20}",
    "OpenRouter API Key": r"\bsk-or-v1-[0-9a-f]{40,}",
    "Perplexity API Key": r"\bpplx-[A-Za-z0-9]{40,}",
    "Replicate API Token": r"\br8_[A-Za-z0-9]{37}",
    "xAI API Key": r"\bxai-[A-Za-z0-9]{60,}",
}


class Detector(Protocol):
    secret_type: str

    def analyze_string(self, string: str) -> Iterator[str]: ...


def secrets_in_text(text: str) -> Iterator[tuple[str, str, int]]:
    """The kind of each, its text, and where it stands; each once a line."""
    if not may_hold_secret(text):
        return
    start = 0
    for line in text.split("\n"):
        plain = _NOT_ASCII.sub("~", line)  # a letter of another script beside a key is no part of it
        seen: set[str] = set()
        pieces = (piece for piece in _pieces(plain) if may_hold_secret(piece))
        for kind, secret in (found for piece in pieces for found in _secrets_in_line(piece)):
            if secret not in seen:
                seen.add(secret)
                at = max(plain.find(f":{secret}@") + 1, 0) or max(plain.find(secret), 0)  # that of a login
                yield kind, line[at : at + len(secret)], start + at
        start += len(line) + 1


def may_hold_secret(text: str) -> bool:
    """Whether it is worth a closer look: wider than all detectors."""
    written = text.encode("ascii", "replace")
    lower = written.lower()
    for letter, word in _WORDS:
        if letter in lower and word in lower:
            return True
    if b"@" in lower and b"://" in lower and _LOGIN.search(text):
        return True
    words = written.translate(_IN_WORDS)
    if b"w" * _LONG not in words:
        return False
    if lower == written.upper() and b":" not in written:
        return False  # every detector looks for a letter or a colon, and rows of digits are long words too
    return any(
        _SUSPECT.search(text, max(0, found.start() - _BESIDE), found.end() + _BESIDE)
        for found in _LONG_WORDS.finditer(words)
    )


def _pieces(line: str) -> Iterator[str]:
    """A long line in pieces that overlap: some detectors take the square of a text's length."""
    yield line[:_PIECE]
    for start in range(_PIECE - _OVERLAP, len(line) - _OVERLAP, _PIECE - _OVERLAP):
        yield line[start : start + _PIECE]


def _secrets_in_line(line: str) -> Iterator[tuple[str, str]]:
    openai = _IN_OPENAI_KEYS in line
    for kind, pattern in _MODEL_KEYS.items():
        if openai or kind != _OPENAI:
            yield from ((kind, found[0]) for found in re.finditer(pattern, line))
    for detector in _detectors():
        if openai or detector.secret_type != _OPENAI:
            yield from ((detector.secret_type, secret) for secret in detector.analyze_string(line))


@cache
def _detectors() -> Sequence[Detector]:
    from importlib import import_module

    return [getattr(import_module(f"detect_secrets.plugins.{module}"), name)() for module, name in _DETECTORS]
