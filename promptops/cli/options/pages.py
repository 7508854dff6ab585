"""Options of the verbs that serve pages."""

from dataclasses import dataclass  # whose parameters become options
from ipaddress import ip_network
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from promptops.errors import Invalid

if TYPE_CHECKING:  # loaded where it serves
    from promptops.web.access import AccessOptions

PublicUrlOption = Annotated[
    str, typer.Option("--public-url", metavar="URL", help="How people's browsers name it, behind a proxy.")
]
ProxyHeaderOption = Annotated[
    str, typer.Option("--proxy-header", metavar="NAME", help="In which a proxy says who is there.")
]
ProxyFromOption = Annotated[
    list[str] | None,
    typer.Option("--proxy-from", metavar="NETWORK", help="From where that header is believed."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOptions:
    """By which name pages are reached, and who says who is there."""

    public_url: PublicUrlOption = ""
    proxy_header: ProxyHeaderOption = ""
    proxy_from: ProxyFromOption = None

    def access(self, host: str, port: int) -> "AccessOptions":
        """For a server that listens there. Raises Invalid for what cannot hold."""
        from promptops.web.access import AccessOptions

        url = urlsplit(self.public_url)
        if self.public_url and (url.scheme not in {"http", "https"} or not url.netloc or url.path.strip("/")):
            raise Invalid(
                f"`{self.public_url}` is not the address of a site",
                hint="--public-url https://prompts.example.org",
            )
        if bool(self.proxy_header) != bool(self.proxy_from):
            raise Invalid("--proxy-header and --proxy-from go together", hint="--proxy-from 10.0.0.0/8")
        try:
            networks = tuple(ip_network(text, strict=False) for text in self.proxy_from or ())
        except ValueError as error:
            raise Invalid(str(error), hint="--proxy-from 10.0.0.0/8") from None
        return AccessOptions(
            host=host,
            port=port,
            public_url=self.public_url.casefold(),
            proxy_header=self.proxy_header,
            proxy_networks=networks,
        )
