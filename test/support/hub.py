"""A server on loopback that answers as the Hugging Face hub does."""

import base64
import contextlib
import hashlib
import json
from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple
from urllib.parse import unquote

from serving import QuietHandler, serving

TOKEN = "hf_a_token_of_a_user"


@dataclass
class Repository:
    """A repository of the hub.

    Attributes:
        revisions: files by the name of a branch or a tag, or by a commit.
        state: "public", "private" or "gated".
    """

    revisions: Dict[str, Dict[str, bytes]] = field(default_factory=dict)
    state: str = "public"

    def commit(self, revision: str) -> str:
        """The commit that a revision is at, from what it holds."""
        digest = hashlib.sha1()
        for name, content in sorted(self.revisions[revision].items()):
            digest.update(name.encode() + content)
        return digest.hexdigest()


@dataclass
class Hub:
    """The server's address, what it holds, and the requests that came.

    Attributes:
        fails: status that it answers whatever is asked with, if it is down.
    """

    address: str = ""
    repositories: Dict[str, Repository] = field(default_factory=dict)
    stored: Dict[str, bytes] = field(default_factory=dict)  # large files by checksum
    requests: List[Tuple[str, str]] = field(default_factory=list)
    fails: Optional[int] = None

    def put(self, name, revision="main", state="public", **files):
        """Put files into a repository; ``_`` in a name stands for a dot."""
        repository = self.repositories.setdefault(name, Repository())
        repository.state = state
        content = {key.replace("_", "."): value for key, value in files.items()}
        repository.revisions[revision] = content

    def downloads(self):
        """The checksums of the files that were downloaded, in their order."""
        return [path for method, path in self.requests if method == "GET" and "/cdn/" in path]


@contextlib.contextmanager
def hub_on_loopback():
    """A hub without any repositories."""
    hub = Hub()

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            hub.requests.append((self.command, self.path))
            path = unquote(self.path.partition("?")[0]).strip("/")
            if hub.fails is not None:
                return self.answer(hub.fails)
            if path.startswith("cdn/"):
                return self.file(path[len("cdn/") :])
            if path.startswith("api/") or path.endswith("info/lfs/objects/batch"):
                return self.api(path)
            return self.resolve(path)

        do_HEAD = do_POST = do_PUT = do_GET

        def api(self, path):
            if "/commit/" in path:  # lines of JSON
                return self.commit(path)
            said = json.loads(self.body or b"{}")
            if path == "api/validate-yaml":
                return self.json({"errors": [], "warnings": []})
            if path == "api/whoami-v2":
                return self.json({"name": "owner", "type": "user", "orgs": []})
            if path == "api/repos/create":
                name = f"{said.get('organization') or 'owner'}/{said['name']}"
                hub.repositories.setdefault(name, Repository({"main": {}}))
                return self.json({"url": f"{hub.address}/{name}", "name": name})
            if "/preupload/" in path:
                files = [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                        "shouldIgnore": False,
                    }
                    for file in said["files"]
                ]
                return self.json({"files": files})
            if path.endswith("info/lfs/objects/batch"):
                objects = [
                    {
                        **one,
                        "authenticated": True,
                        "actions": {"upload": {"href": f"{hub.address}/cdn/{one['oid']}"}},
                    }
                    for one in said["objects"]
                ]
                return self.json({"transfer": "basic", "objects": objects})
            return self.answer(404)

        def commit(self, path):
            _, _, owner, name, _, revision = path.split("/", 5)
            files = hub.repositories[f"{owner}/{name}"].revisions.setdefault(revision, {})
            for line in self.body.splitlines():
                entry = json.loads(line)
                value = entry["value"]
                if entry["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif entry["key"] == "lfsFile":
                    files[value["path"]] = hub.stored[value["oid"]]
            commit = hub.repositories[f"{owner}/{name}"].commit(revision)
            url = f"{hub.address}/{owner}/{name}/commit/{commit}"
            self.json({"commitUrl": url, "commitOid": commit, "success": True})

        def resolve(self, path):
            """Point to a file, as the hub does for large ones."""
            owner, name, _, rest = path.split("/", 3)
            repository = hub.repositories.get(f"{owner}/{name}")
            allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if self.headers.get("Authorization") and not allowed:
                why = "Invalid credentials in Authorization header"
                return self.answer(401, headers=[("X-Error-Message", why)])
            if repository is None or (repository.state == "private" and not allowed):
                return self.answer(404 if allowed else 401, error="RepoNotFound")
            if repository.state == "gated":
                return self.answer(403 if allowed else 401, error="GatedRepo")
            commits = {repository.commit(name): name for name in repository.revisions}
            revision, _, file = rest.partition("/")
            revision = commits.get(revision, revision)
            if revision not in repository.revisions:
                return self.answer(404, error="RevisionNotFound")
            commit = [("X-Repo-Commit", repository.commit(revision))]
            if file not in repository.revisions[revision]:
                return self.answer(404, error="EntryNotFound", headers=commit)
            content = repository.revisions[revision][file]
            digest = hashlib.sha256(content).hexdigest()
            hub.stored[digest] = content
            large = [("X-Linked-Etag", f'"{digest}"'), ("X-Linked-Size", str(len(content)))]
            # Large files lie on another host, so that the client does not ask it for their facts.
            elsewhere = hub.address.replace("127.0.0.1", "localhost")
            place = [("Location", f"{elsewhere}/cdn/{digest}")]
            self.answer(302, headers=[*commit, *large, *place])

        def file(self, digest):
            if self.command == "PUT":
                hub.stored[digest] = self.body
                assert hashlib.sha256(self.body).hexdigest() == digest
                return self.answer(200)
            content = hub.stored[digest]
            begin = 0
            if self.headers.get("Range"):
                begin = int(self.headers["Range"].partition("=")[2].partition("-")[0])
            self.answer(206 if begin else 200, content[begin:], [("ETag", f'"{digest}"')])

        def json(self, content):
            self.answer(200, json.dumps(content).encode(), [("Content-Type", "application/json")])

        def answer(self, status, content=b"", headers=(), error=""):
            self.send_response(status)
            for name, value in [*headers, *([("X-Error-Code", error)] if error else [])]:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

    with serving(Handler) as hub.address:
        yield hub
