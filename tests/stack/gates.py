"""A gate in front of a real server: open, shut, hung or slow, so that a healthy backend can be ill for a while."""

import contextlib
import socket
import threading
from collections import deque
from collections.abc import Iterator

_CHUNK = 65_536
_REMEMBERED = 2  # of exporters that share connections, one takes note of an answer when the next has sent already


class _Passage:
    """One connection through a gate, and the last requests on it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.requests: deque[bytes] = deque(maxlen=_REMEMBERED)
        self.was_answered = True

    def close(self) -> None:
        """Break it: both threads that wait on it wake up."""
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Gate:
    """Passes connections on to a server on this machine, as long as it is told to.

    Attributes:
        port: where it listens; the same all its life.
        unsettled: the last requests of every connection that has ended: their senders may be gone without having taken
            note of the answer, and are right to send them again.
    """

    def __init__(self, target_port: int) -> None:
        self.unsettled: list[bytes] = []
        self._target = target_port
        self._lock = threading.Lock()
        self._passages: set[_Passage] = set()
        self._hangs = False
        self._delay_seconds = 0.0
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._accept()

    @classmethod
    @contextlib.contextmanager
    def before(cls, target_port: int) -> Iterator["Gate"]:
        """A gate while the context lasts."""
        gate = cls(target_port)
        try:
            yield gate
        finally:
            gate._ended.set()
            gate.shut()

    def shut(self) -> None:
        """Refuse connections, and break those that are open."""
        # Closing alone leaves a thread in accept(), and with it the port open.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._break()

    def hang(self) -> None:
        """Take everything and never answer."""
        self._hangs = True
        self._break()

    def slow(self, seconds: float) -> None:
        """Answer so much later."""
        self._delay_seconds = seconds

    def open(self) -> None:
        """Be well again."""
        self._delay_seconds = 0.0
        if self._hangs:
            self._hangs = False
            self._break()
        if self._listener.fileno() < 0:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
            self._accept()

    def _accept(self) -> None:
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            passage = _Passage(client, server)
            with self._lock:
                self._passages.add(passage)
            back = threading.Thread(target=self._pump_back, args=(passage,), daemon=True)
            back.start()
            self._pump(passage)
            back.join()
            with self._lock:
                self._passages.remove(passage)
                self.unsettled += passage.requests

    def _pump(self, passage: _Passage) -> None:
        with contextlib.suppress(OSError):
            while data := passage.client.recv(_CHUNK):
                if not self._hangs:
                    if passage.was_answered:
                        passage.was_answered = False
                        passage.requests.append(data)
                    else:
                        passage.requests[-1] += data
                    passage.server.sendall(data)
        passage.close()

    def _pump_back(self, passage: _Passage) -> None:
        with contextlib.suppress(OSError):
            while data := passage.server.recv(_CHUNK):
                if self._delay_seconds:
                    self._ended.wait(self._delay_seconds)
                passage.client.sendall(data)
                passage.was_answered = True
        passage.close()

    def _break(self) -> None:
        with self._lock:
            for passage in self._passages:
                passage.close()
