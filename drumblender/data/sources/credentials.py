"""The credentials of an object store, from the environment or a ``.env`` file."""

import os
import re
from typing import Optional, Tuple

from drumblender.errors import UsageError

ACCESS_KEY = "CLOUDFLARE_ACCESS_KEY_ID"
SECRET_KEY = "CLOUDFLARE_ACCESS_SECRET_KEY"


def credentials() -> Tuple[Optional[str], Optional[str]]:
    """Read the access key and the secret key. Both are None if nobody set them.

    Raises:
        UsageError: if one of them is missing, or cannot be a key.
    """
    from dotenv import dotenv_values, find_dotenv

    file = find_dotenv(usecwd=True)
    try:
        stored = dotenv_values(file)
    except (UnicodeDecodeError, OSError):
        raise UsageError(f"{file} cannot be read as text in UTF-8; correct or remove it.") from None
    values = {
        name: (os.environ.get(name) or stored.get(name) or "").strip()
        for name in (ACCESS_KEY, SECRET_KEY)
    }
    missing = [name for name, value in values.items() if not value]
    if len(missing) == 1:
        raise UsageError(f"{missing[0]} is not set: {how_to_get_credentials()}")
    for name, value in values.items():
        # It would go into a header, and from there into an error.
        if not re.fullmatch(r"[\x21-\x7e]*", value):
            raise UsageError(f"{name} holds characters that no key has; copy it again.")
    return (None, None) if missing else (values[ACCESS_KEY], values[SECRET_KEY])


def how_to_get_credentials() -> str:
    """Say what to do if credentials are missing."""
    return (
        f"set {ACCESS_KEY} and {SECRET_KEY} in the environment or in a .env file "
        "(Cloudflare dashboard, R2, Manage API tokens; or those of your store)."
    )
