"""Kinds of personal data that have a form: where they stand in a text.

A pattern proposes, and what values of the kind must satisfy decides: the checksum of a card or an IBAN, the
ranges of a social security number, the plans of telephone numbers.
"""

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from itertools import chain
from string import hexdigits

from promptops.privacy.plain_text import text_shape

Span = tuple[int, int]
Finder = Callable[[str], Iterator[Span]]

_LOCAL_REVERSED = re.compile(r"[\w.+-]++(?:'[\w.+-]++){0,3}")
_MAX_LOCAL = 320  # characters before the @; the standard has 64
_DOMAIN = re.compile(r"(?:[\w-]{1,63}\.){1,8}[\w-]{2,63}")
# patterns begin with a digit, and look back from there: so they are tried at digits alone
_NUMBER = re.compile(
    r"[0-9](?<![0-9A-Za-z][0-9])(?<![0-9][.,][0-9])[0-9]*+(?:[ ()./\t-]{1,4}[0-9]++){0,15}(?: ?x[0-9]{2,6})?"
    r"(?![0-9A-Za-z])"
)
_WRAPPED_NUMBER = re.compile(
    r"\+ ?[0-9](?:[ ()./-]{0,3}[0-9]){0,6}[ -]?\r?\n ?[0-9](?:[ ()./-]{0,3}[0-9]){3,11}(?![0-9])"
)
_GROUP = re.compile(r"[0-9]+")
_BEFORE_NUMBER = re.compile(r"\(?(?:\+ ?)?\(?\Z")
_CALL = re.compile(
    r"\b(?:call|phone|tel|telephone|telefon|mobile?|mobil|cell|fax|desk|office|reach|contact|whatsapp|sms|dial"
    r"|number|nummer|anrufen|handy|portable)\b[^\n\d]{0,30}\Z",
    re.IGNORECASE,
)
_NAMED = re.compile(  # what stands right before a plain row of digits that is a number to call
    r"(?:\b|_)(?:tele?(?:ph|f)on[eo]?|tel|phone|mobile?|cell|fax|whatsapp|handy|portable)"
    r"(?:[ _-]?(?:number|num|no|nr|nummer))?\W{0,4}(?: (?:is|ist))?\W{0,3}\Z|\bwa\.me/\Z",
    re.IGNORECASE,
)
_CALLED = re.compile(r"[ (-]{0,3}(?:mobile?|cell|fax|desk|office|home|work)\b", re.IGNORECASE)
_ROW = re.compile(r"[0-9]++(?:[ .-][0-9]++)*+")
_GAP = r"[\s.+/_-]"
_PRINTED_CARD = re.compile(  # in groups as on a card, also among other numbers and at the end of a line
    rf"[0-9](?<![0-9][0-9])[0-9]{{3}}(?:(?:{_GAP}{{1,3}}[0-9]{{4}}){{3}}(?:{_GAP}{{1,3}}[0-9]{{3}})?+"
    rf"|{_GAP}{{1,3}}[0-9]{{6}}{_GAP}{{1,3}}[0-9]{{4,5}}|[0-9]{{9,15}})(?![0-9])"
)
_IBAN = re.compile(r"(?:(?<![A-Za-z0-9])|(?<=IBAN))[A-Za-z]{2}[0-9]{2}(?:[\s.+/_-]{0,3}[A-Za-z0-9]){11,30}")
_SPACED_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2} [0-9]{2}(?: ?[0-9]){11,30}")  # DE 89 …, as some write it
_IP4 = re.compile(r"[0-9](?<![0-9.][0-9])[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?!\.?[0-9])")
_IP6_CORE = re.compile(r":[0-9A-Fa-f]{0,4}:")
_IP6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f.]{0,15}(?![\w:])")
_SSN = re.compile(r"[0-9](?<![0-9-][0-9])[0-9]{2}([ .-]| - )[0-9]{2}\1[0-9]{4}(?!-?[0-9])")
_SSN_PLAIN = re.compile(r"\b(?:ssn|ss ?#|social[ _-]?security)\D{0,20}(\d{9})(?!\d)", re.IGNORECASE)
_SSN_WORDS = ("ssn", "ss#", "ss #", "social")
_IN_QUERY = (
    "key|token|secret|password|passwd|pwd|sig|signature|auth|code|session|sid|jwt|otp|ticket|nonce|credential"
)
_URL_TOKEN = re.compile(rf"(?i)[?&;#](?:[\w.\[\]-]{{0,40}}(?:{_IN_QUERY}))=((?!\[)[^&\s#\"'<>;]+)")
_LOGIN = re.compile(r"://((?!\[)[^/?#\s\"'<>@]{1,200})@")
_PEM = re.compile(
    r"-----?+ ?BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?+ ?-----?+"
    r".*?(?:-----?+ ?END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?+ ?-----?+|\Z)"
    r"|PuTTY-User-Key-File-[0-9].*?(?:Private-MAC: ?[0-9a-f]{0,128}|\Z)",
    re.DOTALL,
)
_DATE = re.compile(r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})(?: \d{1,2})?")
_DECIMAL = re.compile(r"[0-9]+\.[0-9]+")
_POINT = re.compile(r"[0-9]\.")
_TOKEN = re.compile(r"[\w-]*")
_MIN_PHONE, _MAX_PHONE = 7, 15  # digits
_MIN_CARD, _MAX_CARD, _MAX_CARD_WRITTEN = 12, 19, 40
_MIN_COLONS = 6  # of an address of version 6 that is written whole, maybe with one of version 4 at its end
_BESIDE = 8  # characters after a row that patterns look at
_MAX_TOKEN = 4_000  # characters
_MIN_KEY = 20
_MIN_SHARED = 8  # characters of a secret that is struck out wherever it stands
_LETTER_VALUES = {chr(ord("a") + n): str(10 + n) for n in range(26)} | {str(n): str(n) for n in range(10)}
_IBAN_LENGTHS = {
    length: countries.split()
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FK FO FI GL NL SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU MN XK",
        21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA",
        23: "AE GI IL IQ OM SO TL",
        24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST",
        26: "IS TR",
        27: "BI DJ FR GR IT MC MR SM",
        28: "AL AZ BY CY DO GT HN HU LB NI PL SV",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
}
_IBAN_LENGTH = {country: length for length, countries in _IBAN_LENGTHS.items() for country in countries}


def _within_rows(pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """Matches that begin in rows of seven digits or more, which most texts do not hold."""
    for start, end in text_shape(text).number_rows:
        for found in pattern.finditer(text, start, end + _BESIDE):
            if found.start() >= end:
                break
            yield found


def find_emails(text: str) -> Iterator[Span]:
    at = text.find("@")
    while at >= 0:
        if domain := _DOMAIN.match(text, at + 1):
            local = _LOCAL_REVERSED.match(text[max(0, at - _MAX_LOCAL) : at][::-1])
            if local:
                yield at - local.end(), domain.end()
        at = text.find("@", at + 1)


def find_phones(text: str) -> Iterator[Span]:
    """Numbers that are written as telephone numbers are; a plain row of digits is one only after a + or 0."""
    for found in _within_rows(_NUMBER, text):
        start, end = found.span()
        if end - start >= _MIN_PHONE:
            before = _BEFORE_NUMBER.search(text, max(0, start - 3), start)
            first = before.start() if before else start
            if first < start or text[start] == "0" or not found[0].isdigit() or _is_named(text, start):
                yield from _phone(text, first, end)
    if "+" in text and "\n" in text:
        yield from (found.span() for found in _WRAPPED_NUMBER.finditer(text))


def _phone(text: str, start: int, end: int) -> Iterator[Span]:
    """The number; where others follow it, as much as can be one."""
    whole, _, extension = text[start:end].partition("x")
    groups = _GROUP.findall(whole)
    digits = "".join(groups)
    if len(digits) <= _MAX_PHONE:
        if len(digits) >= _MIN_PHONE and _is_phone_number(text, (start, end), groups, bool(extension)):
            yield start, end
        return
    if whole[0] not in "+(0":
        return
    ends = [start + found.end() for found in _GROUP.finditer(whole)]
    while len(digits) > _MAX_PHONE:
        digits = digits[: -len(groups.pop())]
    while groups and len(digits) >= _MIN_PHONE:
        if _is_phone_number(text, (start, ends[len(groups) - 1]), groups, False):
            yield start, ends[len(groups) - 1]
            return
        digits = digits[: -len(groups.pop())]


def _is_phone_number(text: str, span: Span, groups: list[str], extended: bool) -> bool:
    start, end = span
    whole = text[start:end].partition("x")[0]
    if _DATE.fullmatch(whole):
        return False
    if (
        extended
        or (len(groups) == 1 and _is_named(text, start))
        or (_is_phone(whole, "".join(groups), groups) and not _DECIMAL.fullmatch(whole))
    ):
        return True
    if len(groups) == 1:
        return False
    asked = _CALL.search(text, max(0, start - 60), start) or _CALLED.match(text, end)
    return asked is not None


def _is_named(text: str, start: int) -> bool:
    return _NAMED.search(text, max(0, start - 40), start) is not None


def _is_phone(whole: str, digits: str, groups: list[str]) -> bool:
    if whole.startswith(("+", "(+")):
        return len(digits) >= 8  # with the code of a country
    if digits.startswith("00") and len(digits) >= 10 and digits[2] != "0":
        return True
    if whole[0] == "(" and ")" in whole:
        return True
    if digits[0] == "0":
        return digits[1] != "0" and 9 <= len(digits) <= (11 if len(groups) == 1 else 14)
    return _is_grouped_phone(digits, [len(group) for group in groups], dashed=whole[-5] == "-")


def _is_grouped_phone(digits: str, sizes: list[int], *, dashed: bool) -> bool:
    """The plan of North America, 9 digits as in Spain and Poland, and those of Brazil, China and Russia."""
    if (digits[0] == "1" and digits[1] in "3456789" and sizes == [3, 4, 4]) or (
        digits[0] == "8" and sizes == [1, 3, 3, 2, 2]
    ):
        return True
    if sizes in ([3, 4], [3, 3, 3], [2, 3, 2, 2], [3, 3, 2, 2]) or (
        dashed and sizes in ([2, 4, 4], [2, 5, 4])
    ):
        return digits[0] in "123456789" if sizes[0] == 2 else digits[0] in "23456789"
    national = digits.removeprefix("1") if len(digits) == 11 else digits
    return sizes[-3:] == [3, 3, 4] and len(national) == 10 and {national[0], national[3]} <= set("23456789")


def find_cards(text: str) -> Iterator[Span]:
    for found in chain(_within_rows(_ROW, text), _within_rows(_PRINTED_CARD, text)):
        if _MIN_CARD <= found.end() - found.start() <= _MAX_CARD_WRITTEN:
            if _is_decimal(text, *found.span()):
                continue
            digits = [int(letter) for letter in found[0] if letter.isdigit()]
            if _MIN_CARD <= len(digits) <= _MAX_CARD and _is_issued_card(digits) and _luhn(digits):
                yield found.span()


def _is_decimal(text: str, start: int, end: int) -> bool:
    """Whether it is a number with a point in it, or what stands behind the point of one."""
    return _DECIMAL.fullmatch(text, start, end) is not None or (
        text[start:end].isdigit() and _POINT.fullmatch(text, max(0, start - 2), start) is not None
    )


def _is_issued_card(digits: list[int]) -> bool:
    """The ranges of cards of payment; Maestro alone has 12 digits, and old ones of JCB begin with 1800."""
    if len(digits) == 12:
        return digits[0] in (5, 6)
    return 2 <= digits[0] <= 6 or (len(digits) == 15 and digits[:4] == [1, 8, 0, 0])


def _luhn(digits: list[int]) -> bool:
    doubled = (digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def find_ibans(text: str) -> Iterator[Span]:
    for start in text_shape(text).country_codes:
        length = _IBAN_LENGTH.get(text[start : start + 2].upper())
        pattern = _SPACED_IBAN if text[start + 2] == " " else _IBAN
        found = pattern.match(text, start) if length else None
        if found and length:
            places = [place for place, letter in enumerate(found[0]) if letter.isalnum()]
            if len(places) >= length:
                end = start + places[length - 1] + 1
                letters = [text[start + place].lower() for place in places[:length]]
                number = "".join(_LETTER_VALUES.get(letter, "") for letter in (*letters[4:], *letters[:4]))
                if int(number) % 97 == 1 and not _follows(text, end):
                    yield start, end


def _follows(text: str, end: int) -> bool:
    """Whether a digit or a letter that a number may hold goes on there."""
    after = text[end : end + 1]
    return after.isascii() and after.isalnum()


def find_ip_addresses(text: str) -> Iterator[Span]:
    for found in chain(_IP4.finditer(text) if text_shape(text).dotted else (), _long_addresses(text)):
        address = found[0].rstrip(".")
        if ":" in address and "::" not in address and address.count(":") < _MIN_COLONS:
            continue  # a time of day
        try:
            ip_address(address)
        except ValueError:
            continue
        if address != "::":
            yield found.start(), found.start() + len(address)


def _long_addresses(text: str) -> Iterator[re.Match[str]]:
    """What may be an address of version 6, begun where its first group does."""
    end = 0
    for core in _IP6_CORE.finditer(text):
        if core.start() >= end:
            start = core.start()
            while start > max(end, core.start() - 4) and text[start - 1] in hexdigits:
                start -= 1
            if found := _IP6.match(text, start):
                end = found.end()
                yield found


def find_social_security_numbers(text: str) -> Iterator[Span]:
    if not text_shape(text).number_rows:
        return
    for found in _within_rows(_SSN, text):
        if _is_issued("".join(filter(str.isdigit, found[0]))):
            yield found.span()
    lower = text.lower()
    for found in _SSN_PLAIN.finditer(text) if any(map(lower.__contains__, _SSN_WORDS)) else ():
        if _is_issued(found[1]):
            yield found.span(1)


def _is_issued(digits: str) -> bool:
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def find_secret_texts(text: str) -> Iterator[Span]:
    from promptops.privacy.secrets import may_hold_secret, secrets_in_text

    if not may_hold_secret(text):
        return
    if "PRIVATE KEY" in text or "PuTTY-User-Key" in text:
        yield from (found.span() for found in _PEM.finditer(text))
    for _, secret, start in secrets_in_text(text):
        yield _whole_token(text, start, start + len(secret))
        if len(secret) >= _MIN_SHARED:
            yield from (_whole_token(text, *found.span()) for found in re.finditer(re.escape(secret), text))
        else:  # the head that all keys of a kind have, such as GitHub's
            yield from _long_tokens(text, secret)


def _long_tokens(text: str, part: str) -> Iterator[Span]:
    end = 0
    for found in re.finditer(re.escape(part), text):
        if found.start() >= end:
            start, end = _whole_token(text, *found.span())
            if end - start >= _MIN_KEY:
                yield start, end


def _whole_token(text: str, start: int, end: int) -> Span:
    """Of some keys a detector gives a part: all that is written together is the key."""
    before = _TOKEN.match(text[max(0, start - _MAX_TOKEN) : start][::-1])
    after = _TOKEN.match(text, end, end + _MAX_TOKEN)
    return start - (before.end() if before else 0), after.end() if after else end


def find_url_tokens(text: str) -> Iterator[Span]:
    if "=" in text:
        yield from (found.span(1) for found in _URL_TOKEN.finditer(text))
    if "://" in text and "@" in text:
        yield from (found.span(1) for found in _LOGIN.finditer(text))


FINDERS: dict[str, Finder] = {
    "email": find_emails,
    "phone": find_phones,
    "card": find_cards,
    "iban": find_ibans,
    "ip": find_ip_addresses,
    "ssn": find_social_security_numbers,
    "secret": find_secret_texts,
    "url_token": find_url_tokens,
}
NUMBERS = frozenset({"phone", "card", "iban", "ssn"})
"""Kinds that have digits."""
