"""Which models are loaded: loading, waiting, keeping and unloading them."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .environment import Settings
from .errors import ApiError, ClientGone
from .go_formats import FOREVER, SECOND
from .models import Model
from .runner import Runner

_DEFAULT_MODELS = 3
_POLL = 0.05


@dataclass
class Loaded:
    """A model that is loaded, or being loaded."""

    model: Model
    context: int
    slots: threading.BoundedSemaphore
    """As many requests as it works on at a time."""
    runner: Runner | None = None
    error: ApiError | None = None
    ready: threading.Event = field(default_factory=threading.Event)
    users: int = 0
    keep_alive: int = 0
    """Nanoseconds that it is kept after its last request."""
    expires: int = 0
    """Nanoseconds since 1970."""


@dataclass(eq=False)
class _Waiting:
    model: Model
    context: int
    keep_alive: int
    granted: threading.Event = field(default_factory=threading.Event)
    given_up: bool = False
    loaded: Loaded | None = None


class Scheduler:
    """Gives out models, one request after the other: one that cannot be served yet stops those behind it."""

    def __init__(self, program: Path, settings: Settings) -> None:
        self._program = program
        self._settings = settings
        self._loaded: list[Loaded] = []
        self._lock = threading.Lock()
        self._waiting: queue.Queue[_Waiting] = queue.Queue(settings.max_queue)
        threading.Thread(target=self._grant_all, daemon=True).start()
        threading.Thread(target=self._unload_expired, daemon=True).start()

    @contextlib.contextmanager
    def use(self, model: Model, context: int, keep_alive: int | None, gone: Callable[[], bool]) -> Iterator[Runner]:
        """A runner, loaded and with a slot free. Raises `ApiError`; `ClientGone` when nobody waits any more."""
        duration = self._settings.keep_alive if keep_alive is None else keep_alive
        waiting = _Waiting(model, context, duration)
        try:
            self._waiting.put_nowait(waiting)
        except queue.Full as error:
            raise ApiError(503, "server busy, please try again.  maximum pending requests exceeded") from error
        while not waiting.granted.wait(_POLL):
            if gone():
                with self._lock:
                    waiting.given_up = True
                if waiting.loaded:  # granted in the same moment
                    self._release(waiting.loaded)
                raise ClientGone
        loaded = waiting.loaded
        assert loaded
        try:
            loaded.ready.wait()
            if loaded.error or not loaded.runner:
                raise loaded.error or ApiError(500, "model not loaded")
            while not loaded.slots.acquire(timeout=_POLL):
                if gone():
                    raise ClientGone
            try:
                yield loaded.runner
            finally:
                loaded.slots.release()
        finally:
            self._release(loaded)

    def expire(self, model: Model) -> None:
        """Unload it, as soon as nobody uses it."""
        with self._lock:
            for loaded in self._loaded:
                if loaded.model.file == model.file:
                    loaded.keep_alive, loaded.expires = 0, 0
        self._sweep()

    def loaded(self) -> list[Loaded]:
        """Those that are ready; the one that stays longest first."""
        with self._lock:
            ready = [loaded for loaded in self._loaded if loaded.runner and loaded.ready.is_set()]
        return sorted(ready, key=lambda loaded: -(loaded.expires // SECOND))

    def kill_all(self) -> None:
        # Without the lock: this is the end, and whoever holds it may never give it back.
        for loaded in list(self._loaded):
            if loaded.runner:
                loaded.runner.kill()

    def _grant_all(self) -> None:
        while True:
            waiting = self._waiting.get()
            while not waiting.given_up and not self._grant(waiting):
                time.sleep(_POLL)

    def _grant(self, waiting: _Waiting) -> bool:
        """Give it its model, or make room for it."""
        self._forget_dead()
        with self._lock:
            if waiting.given_up:
                return True
            same_file = [loaded for loaded in self._loaded if loaded.model.file == waiting.model.file]
            found = next((loaded for loaded in same_file if loaded.context == waiting.context), None)
            most = self._settings.max_loaded_models or _DEFAULT_MODELS
            if found is None and (same_file or len(self._loaded) >= most):
                # The same model with another context goes first, then an idle one, then the one that is kept shortest.
                candidates = same_file or self._loaded
                min(candidates, key=lambda loaded: (loaded.users > 0, loaded.keep_alive)).expires = 0
            elif found is None:
                slots = threading.BoundedSemaphore(self._settings.num_parallel or 1)
                found = Loaded(waiting.model, waiting.context, slots)
                self._loaded.append(found)
                threading.Thread(target=self._load, args=(found,), daemon=True).start()
            if found:
                found.users += 1
                found.keep_alive = waiting.keep_alive
                waiting.loaded = found
                waiting.granted.set()
                return True
        self._sweep()
        return False

    def _load(self, loaded: Loaded) -> None:
        try:
            runner = Runner(self._program, loaded.model, loaded.context, self._settings.num_parallel or 1)
            loaded.runner = runner
            runner.wait_until_ready()
        except ApiError as error:
            loaded.error, loaded.runner = error, None
            with self._lock:
                self._loaded.remove(loaded)
        loaded.expires = _from_now(loaded.keep_alive)
        loaded.ready.set()

    def _release(self, loaded: Loaded) -> None:
        with self._lock:
            loaded.users -= 1
            # A model that was told to go while it worked goes now.
            loaded.expires = _from_now(loaded.keep_alive) if loaded.keep_alive else 0
        self._sweep()

    def _unload_expired(self) -> None:
        while True:
            time.sleep(_POLL)
            self._sweep()

    def _sweep(self) -> None:
        with self._lock:
            gone = [
                loaded
                for loaded in self._loaded
                if loaded.ready.is_set() and not loaded.users and loaded.expires <= time.time_ns()
            ]
            for loaded in gone:
                self._loaded.remove(loaded)
        for loaded in gone:
            if loaded.runner:
                loaded.runner.kill()

    def _forget_dead(self) -> None:
        """A child that was killed by others is only noticed when its model is asked for, as in the real server."""
        with self._lock:
            self._loaded = [
                loaded
                for loaded in self._loaded
                if not loaded.runner or loaded.runner.alive or not loaded.ready.is_set()
            ]


def _from_now(duration: int) -> int:
    return time.time_ns() + min(duration, FOREVER)
