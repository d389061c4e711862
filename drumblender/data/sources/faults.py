"""Errors of the network, as sentences, or as faults that may go away by themselves.

No text of a library is passed on, because it may hold an address or a header.
"""

import contextlib
from typing import Any, Iterator, Optional

from drumblender.data.sources.credentials import ACCESS_KEY, SECRET_KEY, how_to_get_credentials
from drumblender.data.sources.transfer import Busy, Fault, network_timeout
from drumblender.errors import DrumblenderError, UsageError

# 409 is what a store says while others change the same object.
MAY_GO_AWAY = (408, 409, 429, 500, 502, 503, 504)
_BUSY = (429, 503)  # what a store says that wants fewer requests


@contextlib.contextmanager
def store_errors(name: str, client: Any) -> Iterator[None]:
    """Turn the errors of an object store into sentences, or into faults that may go away.

    Args:
        name: name of the object in messages.
        client: client that asks the store.

    Raises:
        Fault: if the error may go away. It is `Busy` if the store wants fewer requests.
        DrumblenderError: if it will not.
    """
    from boto3.exceptions import Boto3Error
    from botocore import UNSIGNED
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ClientError as error:
        status, code = status_of(error), error.response.get("Error", {}).get("Code", "")
        if status in MAY_GO_AWAY:
            kind = Busy if status in _BUSY else Fault
            raise kind(f"the object store answered {status}") from None
        anonymous = client.meta.config.signature_version is UNSIGNED
        if anonymous and status in (400, 401, 403):
            raise UsageError(f"{name} is not for everyone: {how_to_get_credentials()}") from None
        remedy = {
            301: "check url and region in the configuration",
            400: "check url and region in the configuration",
            401: f"check {ACCESS_KEY} and {SECRET_KEY}",
            403: f"check {ACCESS_KEY} and {SECRET_KEY}, and that they may use this bucket",
            404: "check bucket and archive in the configuration",
        }.get(status or 0, "run the command again later")
        what = f"{status} ({code})" if code and code != str(status) else str(status)
        raise DrumblenderError(f"The object store answered {what} for {name}; {remedy}.") from None
    except ParamValidationError:
        raise UsageError(
            f"{name} names no object; correct bucket and archive in the configuration."
        ) from None
    except (BotoCoreError, Boto3Error, HTTPError, OSError) as error:
        raise Fault(in_words(error)) from None


def status_of(error: Any) -> Optional[int]:
    """Return the HTTP status of a ``ClientError``."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")


def in_words(error: BaseException) -> str:
    """Say what went wrong, without the text of the library."""
    name = type(error).__name__
    if "Timeout" in name:
        return f"nothing came for {network_timeout():g} s"
    if name in ("EndpointConnectionError", "ConnectionError", "ConnectTimeout", "ProxyError"):
        return f"there is no connection ({name})"
    return f"the connection broke ({name})"
