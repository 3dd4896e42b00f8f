"""Identity tokens of Google Cloud's metadata server, for a service behind Cloud Run's own door.

Cloud Run asks for a token whose audience is the service's URL. Whatever runs on Google Cloud gets
one from the metadata server that only it can reach; no key is kept anywhere.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from lavra_driver.exceptions import OperationalError

if TYPE_CHECKING:
    import urllib3

METADATA_HOST = "metadata.google.internal"
_PATH = "/computeMetadata/v1/instance/service-accounts/default/identity"
_FLAVOR = {"Metadata-Flavor": "Google"}
_EARLY_S = 225.0
"""A token is renewed so long before its end, as Google's own libraries do."""
_TRIES = 3


def audience_of(url: str) -> str:
    """Return a service's URL as Cloud Run knows it: without a path, or the port of its scheme."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    port = "" if parts.port in {None, usual} else f":{parts.port}"
    return f"{parts.scheme}://{shown}{port}"


class IdentityTokens:
    """Returns a valid identity token at each call; a new one is fetched before the old one ends.

    While the metadata server does not answer, a token that is still valid is used on. Threads may
    share it: one of them fetches, the others wait.

    Args:
        audience: Whom the token is for: the URL of the service.
        host: The metadata server, if not Google's own.
    """

    def __init__(self, audience: str, host: str | None = None) -> None:
        self.audience = audience
        self._host = host or METADATA_HOST
        self._lock = threading.Lock()
        self._token = ""
        self._ends_at = 0.0  # seconds since the epoch

    def __call__(self) -> str:
        """Return a token.

        Raises:
            OperationalError: there is none, and the metadata server gives none.
        """
        with self._lock:
            if time.time() < self._ends_at - _EARLY_S:
                return self._token
            try:
                token = self._fetch()
                self._token, self._ends_at = token, _end_of(token)
            except OperationalError:
                if time.time() >= self._ends_at:
                    raise
            return self._token

    def _fetch(self) -> str:
        import urllib3

        query = urlencode({"audience": self.audience, "format": "full"})
        with urllib3.PoolManager(timeout=urllib3.Timeout(total=5), retries=False) as pool:
            for left in reversed(range(_TRIES)):
                try:
                    response = pool.request(
                        "GET", f"http://{self._host}{_PATH}?{query}", headers=_FLAVOR
                    )
                except urllib3.exceptions.HTTPError as error:
                    failed = OperationalError(
                        f"no metadata server at {self._host}: auth=google works on Google Cloud "
                        f"alone ({getattr(error, 'reason', None) or error})"
                    )
                else:
                    if response.status == 200:
                        return self._read(response)
                    failed = OperationalError(
                        f"the metadata server gives no identity token for {self.audience}: HTTP "
                        f"{response.status} {response.data[:200].decode(errors='replace').strip()}"
                    )
                    if response.status < 500 and response.status != 429:
                        break
                if left:
                    time.sleep(0.2 * (_TRIES - left))
        raise failed

    def _read(self, response: urllib3.BaseHTTPResponse) -> str:
        if response.headers.get("Metadata-Flavor") != _FLAVOR["Metadata-Flavor"]:
            raise OperationalError(f"{self._host} is not Google's metadata server")
        return response.data.decode().strip()


def _end_of(token: str) -> float:
    """Return when a token ends, in seconds since the epoch; it is not verified here.

    Raises:
        OperationalError: it is no token.
    """
    try:
        claims = token.split(".")[1]
        decoded = base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))
        return float(json.loads(decoded)["exp"])
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise OperationalError("the metadata server answered something that is no token") from error
