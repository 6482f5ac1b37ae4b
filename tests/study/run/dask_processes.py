"""A Dask cluster of processes of this computer, as somebody else would have started it."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


class DaskProcesses:
    """A scheduler on the loopback interface, and workers that compute so many cells at a time."""

    def __init__(self, folder, workers=1, *, cells=1):
        self.file = folder / "scheduler.json"
        self._folder, self._cells = folder, str(cells)
        self.processes = []
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(self.file))
        self.workers = [self.worker() for _ in range(workers)]

    def worker(self):
        words = ["--nthreads", self._cells, "--no-nanny", "--scheduler-file", str(self.file), "--memory-limit", "0"]
        return self._start("worker", *words, "--local-directory", str(self._folder))

    def _start(self, kind, *words):
        command = [sys.executable, "-m", "dask", kind, "--host", "127.0.0.1", "--no-dashboard", *words]
        paths = os.pathsep.join([str(ROOT), str(HERE), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        with (self._folder / "log").open("a") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self._folder)
        self.processes.append(process)
        return process

    @property
    def address(self):
        while True:  # the file may not be there yet, or not whole
            assert self.scheduler.poll() is None, (self._folder / "log").read_text()
            with suppress(FileNotFoundError, json.JSONDecodeError):
                return json.loads(self.file.read_text())["address"]
            time.sleep(0.05)

    def close(self):
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()
