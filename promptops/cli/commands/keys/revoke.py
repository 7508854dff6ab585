"""``promptops keys revoke``: a key that is refused from now on."""

from typing import Annotated

import typer

from promptops.config.settings import current_registry
from promptops.console import print_text
from promptops.registry import RegistryDatabase, revoke_api_key

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The key's id, as keys list shows it.")]


def keys_revoke(key: KeyArgument) -> None:
    """Revoke a key of the gateway. It is refused within a second; its runs stay logged."""
    with RegistryDatabase.open_existing(current_registry()) as registry:
        revoked = revoke_api_key(registry, key)
    print_text(f"revoked {revoked.key_id} of {revoked.tenant}")
