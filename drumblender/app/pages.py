"""Answers to the requests of the page. Sounds are made one after the other, in a thread of its own.

A request for anything of a session brings the session's token in a header. What a person sends is
read in a temporary folder that is removed at once.
"""

import asyncio
import contextlib
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, AsyncIterator, Callable, Dict, List, Sequence, TypeVar
from urllib.parse import quote

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from drumblender.app.incoming import (
    LARGEST_RECORDING,
    LARGEST_REQUEST,
    TooLarge,
    name_of,
    read,
    read_json,
    renamed,
    save,
)
from drumblender.app.recipe import SLOTS, Recipe, describe_controls
from drumblender.app.result import download, wav_of
from drumblender.app.sessions import Gone, Session, Sessions
from drumblender.errors import DrumblenderError, UsageError, trace
from drumblender.files.text import printable
from drumblender.sound import Changes, Sound, Voice

STATIC = Path(__file__).parent / "static"
TOKEN = "X-Drumblender-Session"
NOTES = "X-Drumblender-Notes"
_CLEANING_S = 5.0
_SEED = 0

T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    """The page of one server.

    Attributes:
        voice: voice that takes drums apart.
        model: words that say which model it is.
        sessions: what people have on the page.
        limiter: lets one sound be made at a time.
    """

    voice: Voice
    model: str
    sessions: Sessions
    limiter: anyio.CapacityLimiter

    def routes(self) -> List[Any]:
        """List what the page asks for."""
        return [
            Route("/", self.index),
            Route("/api/about", self.about),
            Route("/api/session", self.open_session, methods=["POST"]),
            Route("/api/session", self.session),
            Route("/api/session/leave", self.leave, methods=["POST"]),
            Route("/api/drums/{slot:int}", self.put_drum, methods=["PUT"]),
            Route("/api/drums/{slot:int}", self.remove_drum, methods=["DELETE"]),
            Route("/api/drums/{slot:int}/recording.wav", self.recording),
            Route("/api/sounds", self.make, methods=["POST"]),
            Route("/api/sounds/{name}/picture/{part}", self.picture),
            Route("/api/sounds/{name}/{part}.wav", self.samples),
            Route("/api/takes/{name}", self.keep, methods=["POST"]),
            Route("/api/takes/{name}", self.drop, methods=["DELETE"]),
            Route("/api/download", self.download, methods=["POST"]),
            Route("/api/parts", self.save_parts, methods=["POST"]),
            Route("/api/preset", self.write_preset, methods=["POST"]),
            Route("/api/preset", self.read_preset, methods=["PUT"]),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    async def index(self, request: Request) -> Response:
        """Send the page."""
        return FileResponse(STATIC / "index.html")

    async def about(self, request: Request) -> Response:
        """Say what the page is made for: the model, its parts, and the controls."""
        return JSONResponse(
            {
                "model": self.model,
                "is_measured": self.voice.engine.is_measured,
                "parts": list(self.voice.parts),
                "controls": describe_controls(self.voice.parts),
                "slots": SLOTS,
                "largest": LARGEST_RECORDING,
            }
        )

    async def open_session(self, request: Request) -> Response:
        """Open a session."""
        return JSONResponse({"token": self.sessions.open()}, 201)

    async def session(self, request: Request) -> Response:
        """Say which drums are in a session."""
        drums = self._session(request).drums
        return JSONResponse({"drums": {slot: _describe(drum) for slot, drum in drums.items()}})

    async def leave(self, request: Request) -> Response:
        """Let a session end, because its page is closed. The token is the body."""
        body = await read(request, LARGEST_REQUEST)
        self.sessions.leave(body.decode("utf-8", "replace"))
        return Response(status_code=204)

    async def put_drum(self, request: Request) -> Response:
        """Take a recording apart, and put it into a slot."""
        session, slot = self._session(request), _slot(request)
        name = name_of(request)
        with tempfile.TemporaryDirectory(prefix="drumblender-app-") as folder:
            path = Path(folder) / "recording"
            await save(request, path, name)
            drum = await self._work(lambda: self._take_apart(path, name))
        session.put(slot, drum)
        return JSONResponse(_describe(drum))

    def _take_apart(self, path: Path, name: str) -> Sound:
        """Read a file that came under a name."""
        try:
            return self.voice.read(path, _SEED, stereo=True, whole=False, name=name)
        except DrumblenderError as error:
            raise renamed(error, path, name) from error

    async def remove_drum(self, request: Request) -> Response:
        """Take a drum out of its slot."""
        self._session(request).remove(_slot(request))
        return Response(status_code=204)

    async def recording(self, request: Request) -> Response:
        """Send a drum as it was recorded."""
        session, slot = self._session(request), _slot(request)
        drum = session.drums.get(slot)
        if drum is None:
            raise Gone("There is no drum here any more; drop one.")
        samples = drum.recording
        if samples is None:  # it was saved as parts
            samples = await self._work(drum.render)
        return Response(wav_of(samples, drum.sample_rate), media_type="audio/wav")

    async def make(self, request: Request) -> Response:
        """Make a sound by a recipe."""
        session, recipe = self._session(request), Recipe.of(await read_json(request))

        def work() -> Dict[str, Any]:
            """Make it, and say what it is."""
            name, result = session.make(recipe)
            return {"name": name, **result.describe(recipe.muted)}

        return JSONResponse(await self._work(work))

    async def samples(self, request: Request) -> Response:
        """Send a part of a sound, or the whole sound, as floats."""
        result = self._session(request).result(request.path_params["name"])
        part = request.path_params["part"]
        rate = result.sound.sample_rate
        return Response(
            await self._work(lambda: wav_of(result.signal(part), rate)), media_type="audio/wav"
        )

    async def picture(self, request: Request) -> Response:
        """Send what is drawn of a part of a sound, or of the whole sound."""
        result = self._session(request).result(request.path_params["name"])
        part = request.path_params["part"]
        return JSONResponse(await self._work(lambda: result.picture(part)))

    async def keep(self, request: Request) -> Response:
        """Keep a sound as a take, and say how loud it is without the parts that are muted."""
        session, content = self._session(request), await read_json(request)
        muted = content.get("muted", []) if isinstance(content, dict) else []
        result = session.keep(request.path_params["name"])
        return JSONResponse(await self._work(lambda: result.describe(muted)))

    async def drop(self, request: Request) -> Response:
        """Keep a take no longer."""
        self._session(request).drop(request.path_params["name"])
        return Response(status_code=204)

    async def download(self, request: Request) -> Response:
        """Send a sound as a WAV file, or with its stems and its preset as a ZIP file."""
        session, content = self._session(request), await read_json(request)
        recipe = Recipe.of(content.get("recipe") if isinstance(content, dict) else None)
        bits, with_stems = content.get("bits", 24), bool(content.get("stems"))
        if bits not in (16, 24, 32):
            raise UsageError(f"There are no files of {bits} bits; take 16, 24 or 32.")

        def work() -> Any:
            """Make the file."""
            _, result = session.make(recipe)
            return download(result, recipe.muted, bits, recipe.preset if with_stems else None)

        data, notes = await self._work(work)
        kind = "application/zip" if with_stems else "audio/wav"
        return Response(data, media_type=kind, headers={NOTES: quote(" ".join(notes))})

    async def save_parts(self, request: Request) -> Response:
        """Send a sound as a file of parts."""
        session, recipe = self._session(request), Recipe.of(await read_json(request))

        def work() -> bytes:
            """Make the file."""
            sound = session.make(recipe)[1].sound
            sound = sound.with_gain(**dict.fromkeys(recipe.muted, -math.inf))
            with tempfile.TemporaryDirectory(prefix="drumblender-app-") as folder:
                path = Path(folder) / "sound.drum"
                sound.save(path)
                return path.read_bytes()

        return Response(await self._work(work), media_type="application/octet-stream")

    async def write_preset(self, request: Request) -> Response:
        """Send the controls of a recipe as a preset."""
        self._session(request)
        preset = Recipe.of(await read_json(request)).preset
        with tempfile.TemporaryDirectory(prefix="drumblender-app-") as folder:
            path = Path(folder) / "preset.yaml"
            preset.write(path)
            return Response(path.read_bytes(), media_type="application/yaml")

    async def read_preset(self, request: Request) -> Response:
        """Say what a preset holds. The parts that it mutes are listed apart."""
        self._session(request)
        name = name_of(request)
        data = await read(request, LARGEST_REQUEST)
        with tempfile.TemporaryDirectory(prefix="drumblender-app-") as folder:
            path = Path(folder) / "preset"
            path.write_bytes(data)
            try:
                changes = Changes.read(path).as_mapping()
            except DrumblenderError as error:
                raise renamed(error, path, name) from error
        muted = [
            part for part in self.voice.parts if changes.get(f"{part}_gain", 0.0) == -float("inf")
        ]
        kept = {k: v for k, v in changes.items() if k not in {f"{part}_gain" for part in muted}}
        return JSONResponse({"changes": kept, "muted": muted})

    def _session(self, request: Request) -> Session:
        """Return the session that a request belongs to."""
        return self.sessions.find(request.headers.get(TOKEN, ""))

    async def _work(self, work: Callable[[], T]) -> T:
        """Do work that takes long in the thread for it, and go on when it is done."""
        return await anyio.to_thread.run_sync(work, limiter=self.limiter)


def application(voice: Voice, model: str, drums: Sequence[Sound] = ()) -> Starlette:
    """Make the application that answers the requests of the page.

    Args:
        voice: voice that takes drums apart.
        model: words that say which model it is.
        drums: drums, made by the voice, that each session begins with.
    """
    page = Page(voice, model, Sessions(drums), anyio.CapacityLimiter(1))

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        """Remove idle sessions while the server runs."""
        cleaning = asyncio.ensure_future(_clean(page.sessions))
        try:
            yield
        finally:
            cleaning.cancel()

    handlers: Dict[Any, Any] = {DrumblenderError: _say, Exception: _say_defect}
    app = Starlette(routes=page.routes(), lifespan=lifespan, exception_handlers=handlers)
    app.state.sessions = page.sessions
    return app


async def _clean(sessions: Sessions) -> None:
    """Remove idle sessions again and again."""
    while True:
        await asyncio.sleep(_CLEANING_S)
        sessions.remove_idle()


async def _say(request: Request, error: Exception) -> Response:
    """Answer with the sentence of an error that a person can act on."""
    trace(error)
    status = 410 if isinstance(error, Gone) else 422
    if isinstance(error, TooLarge):
        status = 413
    return JSONResponse({"error": printable(str(error))}, status)


async def _say_defect(request: Request, error: Exception) -> Response:
    """Answer with a sentence about any other error."""
    trace(error)
    text = " ".join(str(error).split())
    sentence = f"{type(error).__name__}: {text} (start with --debug to see where this comes from)"
    return JSONResponse({"error": printable(sentence)}, 500)


def _describe(drum: Sound) -> Dict[str, Any]:
    """Say what a drum is."""
    return {
        "name": drum.name,
        "seconds": drum.seconds,
        "sample_rate": drum.sample_rate,
        "channels": drum.channels,
        "is_silent": drum.is_silent,
        "strokes": len(drum.timeline.onsets),
    }


def _slot(request: Request) -> int:
    """Return the slot that a request is about."""
    slot: int = request.path_params["slot"]
    if slot >= SLOTS:
        raise UsageError(f"There is no slot {slot}; there are {SLOTS}, from 0 on.")
    return slot
