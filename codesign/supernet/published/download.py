"""One file from a public address: resumed where it broke off, over https only."""

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from functools import cache
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from hw_templates.foundation.errors import FetchError, StorageError

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes that are here and, where it is known, how many the file has."""

SCHEMES = ("https",)
MOST_BYTES = 4 << 30
"""Of a file whose size is not known."""
_TIMEOUT_S = 30
_CHUNK_BYTES = 1 << 18
# Only a strong tag may ask for the rest of a version (RFC 9110, section 13.1.5).
_STRONG_TAG = re.compile(r'"[!#-~]*"')


class _SameSchemes(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the allowed schemes only."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        _check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _check_scheme(address: str) -> None:
    if urlsplit(address).scheme not in SCHEMES:
        raise FetchError(f"{address}: is no {' or '.join(SCHEMES)} address, and only such are fetched from")


def _tag(text: str) -> str:
    """Return the tag that a text is, or nothing where it is none that a later request may name."""
    return text if _STRONG_TAG.fullmatch(text) else ""


def _request(address: str, have: int, validator: str) -> urllib.request.Request:
    """Ask for what is missing, or for all of it should it be another file by now."""
    headers = {"User-Agent": "codesign", "Accept-Encoding": "identity"}
    if have and validator:
        headers |= {"Range": f"bytes={have}-", "If-Range": validator}
    return urllib.request.Request(address, headers=headers)


@cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_SameSchemes)


def _opened(request: urllib.request.Request) -> http.client.HTTPResponse:
    try:
        response: http.client.HTTPResponse = _opener().open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            partly = request.has_header("Range")
            if partly and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return _opened(_request(request.full_url, 0, ""))
            raise FetchError(f"{request.full_url}: the server answered {error.code} {_shown(error.reason)}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = _shown(getattr(error, "reason", error))
        raise FetchError(
            f"{request.full_url}: cannot be reached ({reason}); try again once there is a connection"
        ) from error
    return response


def _shown(words: object) -> str:
    """Return a server's words on one line, without characters that a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(words))[:200]


def _length(response: http.client.HTTPResponse) -> int | None:
    """Return how many bytes the answer says that it has; None where it does not."""
    stated = response.headers.get("Content-Length")
    if stated is None:
        return None
    if not re.fullmatch(r"\s*[0-9]{1,18}\s*", stated, re.ASCII):
        raise FetchError(f"{response.url}: the server states a length of {_shown(stated)!r}, which is no number")
    return int(stated)


def _copy(
    response: http.client.HTTPResponse, file: IO[bytes], have: int, most_bytes: int, on_progress: OnProgress
) -> None:
    """Write the answer's body to the file, which already holds ``have`` bytes.

    Raises:
        FetchError: it broke off (what arrived is in the file), or the file has more than ``most_bytes``.
    """
    length = _length(response)
    total = None if length is None else have + length
    broken = None
    while broken is None:
        if max(have, total or 0) > most_bytes:
            raise FetchError(f"{response.url}: has more than the {most_bytes:,} bytes that the file has")
        try:
            chunk = response.read(_CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            broken = _shown(error) or type(error).__name__
            continue
        if not chunk:
            break
        file.write(chunk)
        have += len(chunk)
        on_progress(have, total)
    if broken is None and total is not None and have != total:
        broken = "the connection was closed"
    if broken is not None:
        raise FetchError(
            f"{response.url}: broke off after {have:,} bytes ({broken}); the same command goes on from there"
        )


def download(address: str, partial: Path, on_progress: OnProgress, most_bytes: int) -> None:
    """Complete ``partial`` to the file of that address; it is left as far as it came when anything goes wrong.

    A file ``.version`` in the same folder records which version of the file the server began to send (its ETag), so
    that a later call asks for the rest of that version only (RFC 9110, sections 13.1.5 and 14).

    Raises:
        FetchError: the address or one that it leads to is not of https, cannot be reached, answers otherwise,
            breaks off, or sends more than ``most_bytes``.
        StorageError: the folder cannot be written or the disk is full.
    """
    _check_scheme(address)
    version = partial.with_name(f"{partial.name}.version")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("ab") as file:
            have = file.tell()
            request = _request(address, have, _tag(version.read_text(errors="replace")) if version.exists() else "")
            with _opened(request) as response:
                rest = (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-")
                if response.status != http.HTTPStatus.PARTIAL_CONTENT or not rest:
                    have = file.truncate(0)
                    version.write_text(_tag(response.headers.get("ETag") or ""))
                _copy(response, file, have, most_bytes, on_progress)
            file.flush()
            os.fsync(file.fileno())
        version.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{partial}: cannot be written ({error.strerror or error}); free or unlock it") from error
