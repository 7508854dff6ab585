"""Which runs a judge looks at: drawn by the run's id alone, as it was made before anything was answered."""

from hashlib import sha256

_PREFIX = b"promptops/sample/v1\0"


def is_sampled(run_id: str, name: str, share: float) -> bool:
    """Whether a run belongs to a judge's sample, in any process and whatever arm answered.

    Nested as weights are: a larger share only adds runs. ``name`` is the judge's; judges draw independently.
    """
    digest = sha256(_PREFIX + name.encode() + b"\0" + run_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
