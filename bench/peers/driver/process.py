"""A server's process and those that it starts itself: start, stop, what they use."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

from . import Failure

READY_WITHIN = 120  # seconds
STOPPED_WITHIN = 60
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SESSION, UTIME, STIME, RSS = 3, 11, 12, 21  # fields of /proc/PID/stat behind the name


def free_address():
    """Returns a loopback address that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{s.getsockname()[1]}"


class Server:
    """A server, for as long as a with statement lasts. It leads a session of its
    own: an interrupt at the terminal is not its, and what it starts is found."""

    def __init__(self, name, command, log, stop=signal.SIGTERM, environment=None):
        self.name, self.command, self.log, self.signal = name, command, pathlib.Path(log), stop
        self.environment = os.environ | (environment or {})

    def __enter__(self):
        with open(self.log, "wb") as log:
            try:
                self.process = subprocess.Popen(
                    self.command, env=self.environment, stdout=log, stderr=log, start_new_session=True)
            except OSError as failure:
                raise Failure(f"{self.name} cannot be started: {failure}") from None
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, self.signal)
        try:
            self.process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            print(f"{self.name} did not stop within {STOPPED_WITHIN} s and is killed", flush=True)
        finally:
            # What is left of its session, itself first if an interrupt came.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def until_ready(self, url, want_ok=False):
        """Returns when the URL answers: anything at all, or with want_ok a 200."""
        deadline = time.monotonic() + READY_WITHIN
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5):
                    return
            except urllib.error.HTTPError as answer:
                answer.close()
                if not want_ok:
                    return
                problem = f"{url} answers {answer.code}"
            except OSError as failure:
                problem = str(failure)
            if self.process.poll() is not None:
                raise Failure(f"{self.name} ended at once, with {self.process.returncode}:\n{self.log_end()}")
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} is not ready after {READY_WITHIN} s: {problem}\n{self.log_end()}")
            time.sleep(0.1)

    def log_end(self):
        return "".join(self.log.read_text(errors="replace").splitlines(keepends=True)[-20:])


class Usage:
    """What the processes of a session use while a with statement lasts: cpu in
    seconds, rss as the most resident bytes that a look at them found."""

    PERIOD = 0.2  # seconds between two looks

    def __init__(self, session):
        self.session, self.cpu, self.rss = session, 0.0, 0
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._before = self._look()
        self._watch.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._watch.join()
        self.cpu = self._look() - self._before

    def _run(self):
        while not self._over.wait(self.PERIOD):
            self._look()

    def _look(self):
        cpu = rss = 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            if int(fields[SESSION]) == self.session:
                cpu += int(fields[UTIME]) + int(fields[STIME])
                rss += int(fields[RSS])
        self.rss = max(self.rss, rss * PAGE)
        return cpu / TICKS
