"""The page of drumblender-app, served to tests as to a person, and sounds that it sends."""

import contextlib
import io
import threading

import requests
import soundfile

from drumblender.app.incoming import NAME
from drumblender.app.pages import TOKEN, application
from drumblender.app.serving import address_of, listen, server_of


@contextlib.contextmanager
def serving_page(voice, drums=(), host="127.0.0.1", password=None):
    """Serve the page in a thread; gives its address and what people have on it."""
    app = application(voice, "test", drums)
    server = server_of(app, host, password)
    with listen(host, 0) as opened:
        thread = threading.Thread(target=server.run, args=([opened],), daemon=True)
        thread.start()
        try:
            yield address_of(opened, host), app.state.sessions
        finally:
            server.should_exit = True
            thread.join(30)


class Visitor(requests.Session):
    """A person's page without the browser: requests with the token of a session.

    Args:
        address: of the page.
    """

    def __init__(self, address):
        super().__init__()
        self.address = address
        self.headers[TOKEN] = self.ask("POST", "session").json()["token"]

    def ask(self, method, path, **options):
        """Ask for something below ``api/``."""
        return self.request(method, f"{self.address}api/{path}", timeout=60, **options)

    def drop(self, slot, path, name=None):
        """Put a file into a slot."""
        headers = {NAME: requests.utils.quote(name or path.name)}
        return self.ask("PUT", f"drums/{slot}", data=path.read_bytes(), headers=headers)

    def make(self, weights=(1, 0, 0, 0), **recipe):
        """Make a sound; gives what the server says of it."""
        answer = self.ask("POST", "sounds", json={"weights": list(weights), **recipe})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def samples(self, name, part="whole"):
        """The samples of a sound."""
        return read(self.ask("GET", f"sounds/{name}/{part}.wav").content)


def read(data):
    """The samples in the bytes of a file."""
    return soundfile.read(io.BytesIO(data), dtype="float32")[0]
