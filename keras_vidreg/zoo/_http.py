"""A download over HTTP that goes on where it broke off."""

import contextlib
import email.utils
import errno
import json
import math
import re
import shutil
import time
import urllib.parse

import requests
import urllib3
from rich.console import Console
from rich.markup import escape
from rich.progress import DownloadColumn, Progress, TransferSpeedColumn

from keras_vidreg._atomic import write_json

CHUNK = 64 * 1024  # bytes
LARGEST = 4 * 1024**3  # bytes of a file
SLOWEST = 1024  # bytes a second
LONGEST_WAIT = 60  # seconds that a server may ask for
PASSING = (408, 425, 429, 500, 502, 503, 504)
MEANING = {
    401: "it wants a login",
    403: "access is refused; the file may be private, or the server may block this network",
    404: "there is no such file, or no longer; look for its new address",
    407: "the proxy wants a login; see the variable HTTPS_PROXY",
    408: "the server lost patience; try again",
    410: "the file has been withdrawn; look for its new address",
    429: "too many requests came from here; try again later",
}


class FetchError(OSError):
    """A file could not be fetched. The message says why, and what to do."""


_ANOTHER = object()


class _PassingTrouble(Exception):
    """Something that another attempt may cure, after `wait` seconds if the server named them."""

    def __init__(self, message, wait=None):
        super().__init__(message)
        self.wait = wait


def download(
    url, part, *, attempts=5, backoff=1.0, timeout=30, progress=True,
    largest=LARGEST, slowest=SLOWEST,
):  # fmt: skip
    """Write what an address gives into a file, going on where an earlier call broke off.

    Bytes are only added to those that are there when the server says, by its ETag or the date of
    the last change, that the file is still the same. Attempts are counted anew with every one that
    brings the download forward.

    Args:
        url: `http:` or `https:` address. The usual variables (`HTTPS_PROXY`) name a proxy.
        part: Path of the file. `<part>.json` beside it remembers what the bytes belong to.
        attempts: How often to try when the connection breaks or the server is busy (429, 5xx).
        backoff: Seconds before the second attempt, doubled each time; `Retry-After` goes first.
        timeout: Seconds without a byte after which a connection counts as broken.
        progress: Whether to show a bar on a terminal.
        largest: Most bytes that are taken.
        slowest: Fewest bytes a second that are put up with, over the seconds of `timeout`.

    Raises:
        FetchError: For everything that the network or the server does wrong.
        OSError: If the file cannot be written.
    """
    failures, furthest = 0, _size(part)
    columns = (*Progress.get_default_columns(), DownloadColumn(), TransferSpeedColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=not progress)
    with requests.Session() as session, bar:
        task = bar.add_task(escape(urllib.parse.unquote(url.rpartition("/")[2])), total=None)

        def show(done, total):
            bar.update(task, completed=done, total=total)

        while True:
            try:
                return _attempt(session, url, part, timeout, largest, slowest, show)
            except _PassingTrouble as trouble:
                failures = 1 if _size(part) > furthest else failures + 1
                furthest = max(furthest, _size(part))
                if failures >= attempts:
                    raise FetchError(f"{trouble} Gave up after {failures} attempts.") from None
                wait = backoff * 2 ** (failures - 1) if trouble.wait is None else trouble.wait
                time.sleep(wait)


def _attempt(session, url, part, timeout, largest, slowest, show):
    have, known = _kept(part, url)
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": known["validator"]}
    host = urllib.parse.urlsplit(url).netloc
    try:
        with session.get(url, headers=headers, timeout=timeout, stream=True) as response:
            _check_answer(response, url)
            total = _total(response, have, known)
            if total is _ANOTHER:
                _forget(part)
                raise _PassingTrouble(f"{host} did not send the part that was asked for.")
            start = have if response.status_code == requests.codes.partial_content else 0
            _check_size(part, url, start, total, largest)
            pace = _pace(url, timeout, slowest)
            _save(response, url, part, start, total, largest, pace, show)
    except requests.exceptions.SSLError as error:
        raise FetchError(
            f"The certificate of {host} is not trusted ({error}). Check the clock and the proxy; "
            "the variable REQUESTS_CA_BUNDLE names further authorities."
        ) from None
    except requests.exceptions.ProxyError as error:
        raise FetchError(
            f"The proxy does not answer ({error}). Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
        ) from None
    except (
        requests.ConnectionError,
        requests.Timeout,
        urllib3.exceptions.HTTPError,
    ) as error:
        if _unreachable(error):
            raise FetchError(f"There is no connection to {host} ({error}).") from None
        raise _PassingTrouble(
            f"The connection to {host} broke off after {_size(part)} bytes ({error})."
        ) from None
    except requests.RequestException as error:
        raise FetchError(f"{url} cannot be fetched: {error}.") from None


def _check_answer(response, url):
    """Raise unless the answer is a file, or a part of one."""
    code = response.status_code
    if url.startswith("https:") and not response.url.startswith("https:"):
        raise FetchError(f"{url} leads to {response.url}, which is not encrypted.")
    if code in PASSING:
        wait = _retry_after(response)
        reason = MEANING.get(code, "the server is out of order; try again later")
        if wait is not None and wait > LONGEST_WAIT:
            reason += f", in {wait:.0f} seconds as it says"
            raise FetchError(f"{url} answers {code}: {reason}.")
        raise _PassingTrouble(f"{url} answers {code}: {reason}.", wait)
    if code not in (200, 206, 416):
        raise FetchError(f"{url} answers {code}: {MEANING.get(code, response.reason)}.")
    kind = response.headers.get("Content-Type", "")
    if code == 200 and kind.startswith("text/html") and not url.endswith((".html", ".htm")):
        raise FetchError(
            f"{url} gives a web page instead of the file, perhaps a login or a notice. "
            "Open it in a browser to see what it wants."
        )


def _total(response, have, known):
    """Bytes of the whole file, `None` if not stated, `_ANOTHER` if this is not what was wanted."""
    if response.status_code == requests.codes.ok:
        length = response.headers.get("Content-Length", "")
        encoded = response.headers.get("Content-Encoding", "identity") != "identity"
        return int(length) if length.isdecimal() and not encoded else None
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", ""))
    if response.status_code != requests.codes.partial_content or not found or not have:
        return _ANOTHER
    begin, end, total = map(int, found.groups())
    same = _validator(response) == known["validator"] and known["total"] in (total, None)
    return total if same and begin == have <= end < total else _ANOTHER


def _check_size(part, url, start, total, largest):
    if total == 0:
        raise FetchError(f"{url} gives an empty file.")
    if total is not None and total > largest:
        raise FetchError(f"{url} has {total} bytes, and at most {largest} are taken.")
    free = shutil.disk_usage(part.parent).free
    if total is not None and total - start > free:
        raise OSError(errno.ENOSPC, f"{total - start} bytes are wanted and {free} are free")


def _save(response, url, part, start, total, largest, pace, show):
    with open(part, "ab" if start else "wb") as file:
        if start == 0:
            encoded = response.headers.get("Content-Encoding", "identity") != "identity"
            _remember(part, url, None if encoded else _validator(response), total)
        show(start, total)
        while chunk := response.raw.read1(CHUNK, decode_content=True):
            if file.tell() == 0 and chunk.lstrip()[:14].lower().startswith(
                (b"<!doctype html", b"<html")
            ):
                raise FetchError(f"{url} gives a web page instead of the file. Open it to see why.")
            if file.tell() + len(chunk) > (largest if total is None else total):
                _forget(part)
                raise FetchError(f"{url} gives more than the {total or largest} bytes it may have.")
            file.write(chunk)
            pace(len(chunk))
            show(file.tell(), total)
        done = file.tell()
    if total is not None and done != total:
        raise _PassingTrouble(f"{url} broke off after {done} of {total} bytes.")
    if not done:
        raise FetchError(f"{url} gives an empty file.")
    _state(part).unlink(missing_ok=True)


def _pace(url, seconds, slowest):
    """A function of the bytes that came; it raises when they are too few for `seconds`."""
    begin, count = time.monotonic(), 0

    def came(size):
        nonlocal begin, count
        count += size
        if (passed := time.monotonic() - begin) > seconds:
            if count < slowest * passed:
                raise FetchError(
                    f"{url} sends {count / passed:.0f} bytes a second, fewer than {slowest}; try "
                    "again later. What came so far is kept."
                )
            begin, count = time.monotonic(), 0

    return came


def _validator(response):
    """What changes when the file does: a strong ETag, else the date of the last change."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _state(part):
    return part.with_name(part.name + ".json")


def _remember(part, url, validator, total):
    if validator is None:
        _state(part).unlink(missing_ok=True)
    else:
        write_json(_state(part), {"url": url, "validator": validator, "total": total})


def _kept(part, url):
    """How many bytes are there already, and what they belong to."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(_state(part).read_text())
        if known["url"] == url and 0 < _size(part) < (known["total"] or math.inf):
            return _size(part), {"validator": known["validator"], "total": known["total"]}
    return 0, None


def _forget(part):
    _state(part).unlink(missing_ok=True)
    part.unlink(missing_ok=True)


def _size(part):
    return part.stat().st_size if part.is_file() else 0


def _retry_after(response):
    """Seconds that the server asks for, as a number or a date, or `None`."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return int(text)
    with contextlib.suppress(ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    return None


def _unreachable(error):
    """Whether no connection came about, as against one that broke."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    refused = isinstance(reason, urllib3.exceptions.NewConnectionError)
    return refused or isinstance(error, requests.ConnectTimeout)
