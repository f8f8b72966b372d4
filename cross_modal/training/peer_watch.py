"""Notices that another process has gone, while this one computes, waits or hangs in a collective operation.

Every process counts up in the store where all have met, once a second, and looks at the others' counts. A count that
stands still is a process that was killed or a machine that is gone; a process that fails says why before it goes. The
main thread asks when an operation with the others has failed. Where it does not notice by itself (it waits for a GPU,
say, or validates), it is interrupted, so that its run is ended properly, and in the end the process ends anyway.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import suppress
from datetime import timedelta

from torch.distributed import PrefixStore, TCPStore

from cross_modal.training.launched import Launched

BEAT = 1.0  # seconds between two counts
SILENCE = 25.0  # seconds of a count that stands still, after which its process is taken for gone
ARRIVAL = 300.0  # seconds for a process to count at all: its machine may be slow to load torch
LINGER = 30.0  # seconds that a process which fails waits for process 0 to end its run
GRACE = 5.0  # seconds for the main thread to notice by itself
ENDING = 15.0  # seconds to end the run after the interrupt
UNEXPLAINED = 2  # exit code


class PeerWatch:
    """Watches the other processes from a thread of its own.

    Args:
        place: This process among the others.
        silence: Seconds of a count that stands still, after which its process is taken for gone.
    """

    def __init__(self, place: Launched, silence: float = SILENCE) -> None:
        self._place, self._silence = place, silence
        # A connection of its own: the main thread may be waiting on the other one.
        store = TCPStore(place.host, place.port, is_master=False, timeout=timedelta(seconds=30))
        self._store = PrefixStore(f"cross_modal/{place.attempt}", store)
        self._others = [rank for rank in range(place.size) if rank != place.rank]
        self._counts: dict[int, tuple[bytes, float]] = {}
        self._store_failed: float | None = None
        self._stopped, self._known = threading.Event(), threading.Lock()
        self._sentence: str | None = None
        self._thread = threading.Thread(target=self._work, name="peer-watch", daemon=True)
        self._thread.start()

    def failed(self, why: str) -> None:
        """Tells the others why this process goes."""
        with suppress(RuntimeError):  # whoever kept the store has gone: the others notice that
            self._store.set(f"failed/{self._place.rank}", why[:2000])

    def stop(self) -> None:
        """Ends the watch: this process needs the others no more, nor they it."""
        with suppress(RuntimeError):
            self._store.set(f"left/{self._place.rank}", "")
        self._stopped.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=2 * BEAT)

    def says(self, told_to_go: threading.Event) -> bool:
        """Whether this process says why all end: process 0 does where it can, else the first of the others to ask.

        A process that ends makes `torchrun` end all others at once. So one on the machine of process 0 waits until
        that has said why, has ended its run and is gone.

        Args:
            told_to_go: Set when `torchrun` ends this process, as it does when process 0 has ended.
        """
        rank, until = self._place.rank, time.monotonic() + LINGER
        if rank == 0:
            return True
        if rank >= self._place.local_size:  # its machine's console is another one
            return self._place.local_rank == 0
        count, since, said = b"", time.monotonic(), False
        with suppress(RuntimeError):  # the store has gone with process 0
            while time.monotonic() < until:
                gone = told_to_go.wait(0.2)
                said = self._store.check(["failed/0"]) or self._store.check(["left/0"])
                found = self._store.get("count/0") if self._store.check(["count/0"]) else b""
                if found != count:
                    count, since = found, time.monotonic()
                if gone or (not said and time.monotonic() - since >= 4 * BEAT):
                    break
            return not said and self._store.add("voice", 1) == 1
        return not said

    def what_happened(self, within: float) -> str:
        """Why an operation with the others failed, in a sentence.

        Args:
            within: Seconds to wait for a process that says why, or whose count stands still.
        """
        until, quiet = time.monotonic() + within, 4 * BEAT
        while time.monotonic() < until:
            found = self._reason(quiet)
            if found is not None:
                return found
            time.sleep(0.2)
        return self._reason(quiet) or f"lost the other processes ({self._place.size - 1}) without a word"

    def _work(self) -> None:
        count = 0
        while not self._stopped.wait(BEAT):
            count += 1
            self._look(str(count))
            sentence = self._reason(self._silence)
            if sentence is not None and not self._stopped.wait(GRACE):
                self._insist(sentence)
                return

    def _look(self, count: str) -> None:
        """Counts up and reads the others' counts."""
        now = time.monotonic()
        try:
            self._store.set(f"count/{self._place.rank}", count)
            for rank in self._others:
                key = f"count/{rank}"
                value = self._store.get(key) if self._store.check([key]) else b""
                if rank not in self._counts or self._counts[rank][0] != value:
                    self._counts[rank] = value, now
            self._store_failed = None
        except RuntimeError:  # torch's errors of a connection
            self._store_failed = self._store_failed or now

    def _reason(self, silence: float) -> str | None:
        """A sentence where another process has failed, or been silent for so long; None where all is well."""
        now, size = time.monotonic(), self._place.size
        if self._store_failed is not None:
            if now - self._store_failed < silence:
                return None
            return f"process {self._place.rank} of {size} lost the place where all meet ({self._place.host})"
        try:
            for rank in self._others:
                if self._store.check([f"failed/{rank}"]):
                    said = self._store.get(f"failed/{rank}").decode(errors="replace")
                    return said if said.startswith("process ") else f"process {rank} of {size} failed: {said}"
            for rank, (count, since) in list(self._counts.items()):
                if now - since < (silence if count else max(silence, ARRIVAL)):
                    continue
                if not count:
                    return f"process {rank} of {size} has not come within {now - since:.0f} s; the others stop"
                if not self._store.check([f"left/{rank}"]):
                    return f"process {rank} of {size} ended without a word (killed, or out of memory); the others stop"
        except RuntimeError:
            self._store_failed = self._store_failed or now
        return None

    def _insist(self, sentence: str) -> None:
        """The main thread has not noticed: says it, interrupts it, and ends the process if that does not help."""
        if self._place.rank == 0 or (sentence.startswith("process 0 of") and " failed: " not in sentence):
            print(f"cross-modal: {sentence}", file=sys.stderr, flush=True)
        for _ in range(2):  # the first may be held back until a step is done, and this one is never done
            os.kill(os.getpid(), signal.SIGTERM)
            if self._stopped.wait(ENDING / 2):
                return
        os._exit(UNEXPLAINED)
