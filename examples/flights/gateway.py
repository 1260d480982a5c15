"""The sluice process of a demo: everything the demos know about its command
line and its ports is here."""

import hashlib
import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = REPOSITORY / "bin" / "sluice"
DATA, ADMIN = "http://127.0.0.1:18080", "http://127.0.0.1:18081"  # as in the configurations
READY_WITHIN = 90  # seconds
STOPPED_WITHIN = 60  # seconds


def build():
    if subprocess.run(["go", "build", "-o", BINARY, "./cmd/sluice"], cwd=REPOSITORY).returncode:
        sys.exit("sluice does not build")


class Gateway:
    """`sluice serve`, for as long as a with statement lasts."""

    def __init__(self, config, folder, run):
        self.config, self.folder = config, pathlib.Path(folder)
        self.key = "demo-" + secrets.token_hex(16)
        self.log = self.folder / "sluice.log"
        self.environment = os.environ | {
            "SLUICE_DEMO_DIR": str(self.folder / "data"),
            "SLUICE_DEMO_RUN": run,
            "SLUICE_DEMO_KEY_HASH": "sha256:" + hashlib.sha256(self.key.encode()).hexdigest(),
        }

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [BINARY, "serve", "-c", self.config], env=self.environment, stdout=log, stderr=log
            )
        try:
            self._until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if code != 0:
            sys.stderr.write(self._log_end() + f"sluice ended with {code}\n")

    def _until_ready(self):
        deadline = time.monotonic() + READY_WITHIN
        while True:
            try:
                with urllib.request.urlopen(ADMIN + "/readyz", timeout=5):
                    return
            except urllib.error.HTTPError as answer:
                problem = answer.read().decode(errors="replace")
            except OSError as failure:
                problem = str(failure)
            if self.process.poll() is not None:
                sys.exit(self._log_end() + f"sluice ended at once, with {self.process.returncode}")
            if time.monotonic() > deadline:
                sys.exit(self._log_end() + f"sluice is not ready after {READY_WITHIN} s: {problem}")
            time.sleep(0.2)

    def _log_end(self):
        return "".join(self.log.read_text(errors="replace").splitlines(keepends=True)[-20:])

    def send(self, file):
        """Sends a file with `sluice send` and returns its summary."""
        # Without a state file: sending again has to send again.
        command = [BINARY, "send", "--url", DATA, "--state", "off", "--json", file]
        sent = subprocess.run(
            command, env=os.environ | {"SLUICE_KEY": self.key}, stdout=subprocess.PIPE, text=True
        )
        try:
            summary = json.loads(sent.stdout)
        except ValueError:
            sys.exit(f"{self._log_end()}sluice send ended with {sent.returncode} and said: {sent.stdout!r}")
        if sent.returncode != 0:
            sys.exit(f"{self._log_end()}sluice send ended with {sent.returncode}: {summary}")
        return summary

    def peak_memory(self):
        """Returns the most resident memory the process has had, in bytes; None
        where the system does not say."""
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) * 1024
