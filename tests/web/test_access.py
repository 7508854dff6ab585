"""Who is let in, from where, and what is refused whoever asks."""

from collections.abc import Iterator
from ipaddress import ip_network
from urllib.parse import quote

import pytest

from promptops.web.sessions import IDLE_S, PageSession, Sessions
from support.front_door import Cli, Repo
from support.greet_releases import ok, told
from support.page_client import PageClient, serving_pages


def test_the_address_opens_one_session_and_no_second_one(live: Repo) -> None:
    with serving_pages(live.path) as client:
        address = client.address
        assert client.get("/ui/").status == 401
        opened = client.get(address)
        assert (opened.status, opened.headers["location"]) == (303, "/ui/")
        cookie = opened.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=Strict", "Path=/ui"} <= set(cookie.split("; "))
        assert client.get("/ui/").status == 200
        client.cookies.clear()
        assert client.get(address).status == 401
        assert client.get(client.address).status == 303


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "[::2]:80", "[::1", "[x]:1", "a@localhost"]
)
def test_a_name_that_is_not_this_machines_is_not_answered(pages: PageClient, host: str) -> None:
    assert pages.get("/ui/", Host=host).status in {400, 403}


def test_every_answer_forbids_what_no_page_needs(pages: PageClient) -> None:
    for path in ("/ui/", "/ui/nowhere", "/ui/sign-in", "/ui/?token=x"):
        headers = pages.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_of_another_site_does_nothing(pages: PageClient, headers: dict[str, str]) -> None:
    assert pages.post("/ui/sign-out", {}, **headers).status == 403


@pytest.mark.parametrize("token", ["", "x", "ü"])
def test_a_form_without_the_sessions_token_does_nothing(pages: PageClient, token: str) -> None:
    assert pages.post("/ui/sign-out", {"csrf": token}).status == 403


def test_people_elsewhere_sign_in_with_keys_of_their_own(cli: Cli, live: Repo) -> None:
    secret = ok(cli("keys", "new", "ada@example.org", "--role", "viewer")).out.strip()
    plain = ok(cli("keys", "new", "acme")).out.strip()
    with serving_pages(live.path, public_url="http://prompts.example") as client:
        client.headers = {"Host": "prompts.example"}
        origin = {"Origin": "http://prompts.example"}
        assert client.get(client.address).status == 401
        for wrong in ("", "x", plain):
            assert client.send("POST", "/ui/sign-in", f"key={wrong}".encode(), origin).status == 401
        assert client.send("POST", "/ui/sign-in", f"key={secret}".encode(), origin).status == 303
        assert "ada@example.org, viewer" in client.get("/ui/").html


PROXY = {"public_url": "https://prompts.example", "proxy_header": "X-Forwarded-Email"}
LOOPBACK = (ip_network("127.0.0.0/8"),)


@pytest.fixture
def proxied(cli: Cli, live: Repo) -> Iterator[PageClient]:
    """Behind a proxy that knows people, of whom Ada has a key as an approver."""
    ok(cli("keys", "new", "ada@example.org", "--role", "approver"))
    with serving_pages(live.path, proxy_networks=LOOPBACK, **PROXY) as client:
        client.headers = {"Host": "prompts.example"}
        yield client


def test_whom_a_trusted_proxy_names_has_the_role_of_their_key(proxied: PageClient) -> None:
    assert "ada@example.org, approver" in proxied.get("/ui/", **{"X-Forwarded-Email": "ada@example.org"}).html
    assert "eve@example.org, viewer" in proxied.get("/ui/", **{"X-Forwarded-Email": "eve@example.org"}).html
    assert proxied.get("/ui/").status == 401
    assert proxied.get(proxied.address).status == 401


@pytest.mark.parametrize("name", ["ada", "ada@example.org, eve@example.org", "a@b<c@d>", "x@y z"])
def test_a_proxy_that_names_nobody_lets_nobody_in(proxied: PageClient, name: str) -> None:
    assert proxied.get("/ui/", **{"X-Forwarded-Email": name}).status == 403


def test_a_form_behind_a_proxy_is_done_for_its_own_person_alone(proxied: PageClient) -> None:
    ada, eve = ({"X-Forwarded-Email": f"{name}@example.org"} for name in ("ada", "eve"))
    origin = {"Origin": "https://prompts.example"}
    token = proxied.get("/ui/", **ada).form_token
    for person, status in ((eve, 403), (ada, 200)):
        assert proxied.post("/ui/sign-out", {"csrf": token}, **origin, **person).status == status
    assert proxied.post("/ui/sign-out", {"csrf": token}, Origin="http://prompts.example", **ada).status == 403


def test_the_header_of_anybody_else_says_nothing(cli: Cli, live: Repo) -> None:
    ok(cli("keys", "new", "ada@example.org", "--role", "approver"))
    elsewhere = (ip_network("10.0.0.0/8"),)
    with serving_pages(live.path, proxy_networks=elsewhere, **PROXY) as client:
        client.headers = {"Host": "prompts.example", "X-Forwarded-Email": "ada@example.org"}
        assert client.get("/ui/").status == 401


def test_cookies_of_a_site_with_tls_never_leave_it_without(cli: Cli, live: Repo) -> None:
    secret = ok(cli("keys", "new", "ada@example.org", "--role", "viewer")).out.strip()
    with serving_pages(live.path, public_url="https://prompts.example") as client:
        client.headers = {"Host": "prompts.example", "Origin": "https://prompts.example"}
        answer = client.send("POST", "/ui/sign-in", f"key={secret}".encode(), {})
        assert "; Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("change", ["", "x", "{}x", "x{}", "{}.{}", "é"])
def test_a_forged_cookie_opens_nothing(pages: PageClient, change: str) -> None:
    (name, value), *_ = pages.cookies.items()
    pages.cookies[name] = quote(change.format(value, value)) if change else value[:-1]
    assert pages.get("/ui/").status == 401


def test_a_session_ends_by_itself() -> None:
    sessions = Sessions()
    session = sessions.open("local")
    cookie, began = sessions.cookie(session), session.began
    assert sessions.read(cookie, began + IDLE_S - 60) is not None
    assert sessions.read(cookie, began + IDLE_S + 60) is None
    kept = PageSession(session.id, session.holder, began - 8 * 86_400, began)
    assert sessions.read(sessions.cookie(kept)) is None  # however often it was used
    assert Sessions().read(cookie) is None  # of another server


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b'{"csrf": "x"}', 400),
        ("application/x-www-form-urlencoded", b"csrf=a&csrf=b", 400),
        ("application/x-www-form-urlencoded", b"csrf=%FF", 400),
        ("application/x-www-form-urlencoded", b"&".join(b"f%d=1" % n for n in range(300)), 400),
        ("application/x-www-form-urlencoded", b"csrf=" + b"a" * (3 * 1024 * 1024), 400),
        ("multipart/form-data; boundary=x", b"--x--", 400),
    ],
)
def test_a_form_that_cannot_be_read_does_nothing(
    pages: PageClient, kind: str, body: bytes, status: int
) -> None:
    headers = {"Origin": pages.origin, "Content-Type": kind}
    assert pages.send("POST", "/ui/sign-out", body, headers).status == status


@pytest.mark.parametrize(
    ("tenant", "role"), [("acme", "viewer"), ("@example.org", "viewer"), ("ada@example.org", "admin")]
)
def test_a_key_with_a_role_is_one_persons(cli: Cli, live: Repo, tenant: str, role: str) -> None:
    assert cli("keys", "new", tenant, "--role", role).code == 4


def test_a_key_of_a_person_calls_nothing(cli: Cli, live: Repo) -> None:
    ok(cli("keys", "new", "ada@example.org", "--role", "viewer"))
    (key,) = told(cli, "keys", "list")
    assert (key["limits"]["role"], key["limits"]["allow"]) == ("viewer", [])
    assert "viewer on pages" in ok(cli("keys", "list")).out


@pytest.mark.parametrize("name", ["Cookie", "X-CSRF-Token", "Host", "Origin"])
def test_headers_that_are_no_utf8_are_refused_as_wrong_ones_are(pages: PageClient, name: str) -> None:
    value = f"promptops-ui-{pages.port}=\xff.\xff" if name == "Cookie" else "\xff"
    answer = pages.post("/ui/sign-out", {}, **{name: value})
    assert answer.status in {400, 401, 403}
    assert pages.get("/ui/?token=%FF%ED%A0%80", Cookie="").status in {303, 401}


@pytest.mark.parametrize("referer", ["http://[::1", "http://evil.example/ui/x", "\xff", "x"])
def test_a_problem_leads_back_to_pages_of_this_server_alone(pages: PageClient, referer: str) -> None:
    answer = pages.post("/ui/sign-out", {"csrf": "x"}, Referer=referer)
    assert (answer.status, "Back to the page" in answer.html) == (403, False)
    own = pages.post("/ui/sign-out", {"csrf": "x"}, Referer=f"{pages.origin}/ui/trends?by=model")
    assert '<a href="/ui/trends?by=model">Back to the page' in own.html
