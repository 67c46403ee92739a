"""What a pass hands on: to run.json, and to the pass that comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leaklab.last_words import ran_out
from leaklab.recorder.launchers import option_without_probe
from leaklab.recorder.pass_state import PassState
from leaklab.recorder.probes.tracing import how_to_add

# A shell tells by larger ones that a signal has ended the program.
LARGEST_OWN_STATUS = 128


@dataclass(frozen=True)
class PassResult:
    """What run.json says of a pass, and what the next pass needs to know."""

    rows: list[dict[str, Any]]
    processes: list[dict[str, Any]]
    why_no_heap: str | None
    #: whether a Python process has spoken to the recorder
    heard: bool
    #: by role, the most marks one of its processes has told
    reported_mark_counts: dict[str, int]
    #: by role, how many processes have ended within a second
    short_counts: dict[str, int]
    #: whether a drive had put it under load
    was_driven: bool = False
    #: whether that load had failed
    load_failed: bool = False
    #: after how long the target listened where it was waited for, None where it did not
    listened_seconds: float | None = None
    #: whether a cell has not said that it ended: its kernel has
    hung_up: bool = False

    @property
    def failed_status(self) -> int | None:
        """Exit status of a target that failed of itself before any work was seen, else None.

        Marks and a load are work, and want of memory, threads or descriptors is what is looked for:
        there another pass tells more. So it may of what was killed.
        """
        row = self.rows[0]
        status = row["exit_status"] or 0
        marked = any(process["mark_count"] for process in self.processes)
        worked = marked or self.was_driven or ran_out(row["stderr_tail"])
        failed = 0 < status <= LARGEST_OWN_STATUS and row["stopped_by"] is None
        return status if failed and not worked else None


class PassReport(PassState):
    """Says what a pass has come to."""

    def _result(self, started: str, duration_seconds: float) -> PassResult:
        main = self._table.main
        if main.work_ended_seconds is not None:
            # What multiprocessing's resource tracker has removed meanwhile was given back.
            self._samples.segments_left(main, self._now())
        self._samples.flush()
        self._target.follow(limit_size=1 << 40)
        self._tell_unseen_heap()
        if self._table.overflow_count:
            self._event("overflow", f"{self._table.overflow_count} processes not followed", None)
        outcome = self._target.outcome()
        # Where that went on in the background, the main process is another one by now.
        started_processes = [one for one in self._table.all if one.pid == self._pid]
        for tracked in started_processes[-1:]:
            tracked.exit_status = outcome["exit_status"]
        stdout_tail, stderr_tail = self._target.tails
        row = {
            "pass": self._name,
            "started": started,
            "duration_seconds": duration_seconds,
            **outcome,
            "stopped_by": self._stopped_by,
            "stdout_tail": stdout_tail,
            "stderr_tail": stderr_tail,
            "kept": {"interval_seconds": self._interval(duration_seconds), **self._table.kept()},
            **self._tracing(self._name),
            "stream_held_seconds": self._handlers.stream_held_seconds,
        }
        row["looks"] = self._looks()
        rows = [row]
        attached = self._options.pid and "explain" in self._options.passes
        if attached or self._window_end_seconds is not None:
            rows.append({**row, "pass": "explain", **self._tracing("explain")})
        self._tell("ended")
        told: dict[str, int] = {}
        for tracked in self._table.all:
            if tracked.reported_mark_count:
                told[tracked.role] = max(told.get(tracked.role, 0), tracked.mark_count)
        return PassResult(
            rows=rows,
            processes=self._table.rows(self._name),
            why_no_heap=self._why_no_heap(),
            heard=any(tracked.python for tracked in self._table.all),
            reported_mark_counts=told,
            short_counts=dict(self._table.short_counts),
            hung_up=self._hung_up(),
            **self._load(),
        )

    def _load(self) -> dict[str, Any]:
        """What became of the drive, by the names of the result; nothing without one."""
        if self._drive is None:
            return {}
        return {
            "was_driven": self._drive.has_begun,
            "load_failed": self._drive.has_failed,
            "listened_seconds": self._drive.listened_seconds,
        }

    def _tell_unseen_heap(self) -> None:
        """Say that a heap was traced in vain: the first look comes after a second, or at the end of
        a process that says that it ends."""
        traced = [tracked for tracked in self._table.all if tracked.traced and not tracked.windows]
        if not traced or any(tracked.snapshot_count for tracked in traced):
            return
        lasted = max((one.ended_seconds or self._now()) - one.started_seconds for one in traced)
        text = (
            f"the heap was traced and never looked at: the target was gone after {lasted:.3g} "
            "seconds without a word; let it run longer"
        )
        self._event("heap unseen", text, None)

    def _hung_up(self) -> bool:
        """Say whether what has connected of its own accord is gone without a word of its end."""
        by_itself = self._options.channel is not None and self._server.was_used
        return by_itself and self._target.has_ended() and not self._table.main.exiting

    def _looks(self) -> dict[str, Any]:
        """Say how the main process was looked at: step between looks, how often it has doubled."""
        row = self._table.main.looks.row()
        collected = row["collection_step"] or row["snapshot_step"]
        at_marks = self._table.main.reported_mark_count > 0
        unit = "iteration" if at_marks else "second"
        step = row["mark_step"] if at_marks else row["sample_step_seconds"]
        return {"unit": unit, "step": step, "collected": collected, "doubled": row["doubled"]}

    def _why_no_heap(self) -> str | None:
        """Say why there will be no heap to trace in a pass with the same command."""
        heard = [tracked for tracked in self._table.all if tracked.python]
        if not heard:
            unheard = "no Python process was seen; its series are all there is"
            return self._why_unheard() or unheard
        if not any(tracked.memray for tracked in heard):
            return f"memray is not installed for the target; {how_to_add(heard[0])}"
        return None

    def _why_unheard(self) -> str | None:
        """Say which option keeps the probe out of the Python that was started; None without one."""
        options = (option_without_probe(one.argv) for one in self._table.all if not one.python)
        option = next(filter(None, options), None)
        if option is None:
            return None
        why = f"Python was started with {option}, which keeps leaklab's probe out"
        if option_without_probe(self._command.argv):
            return f"{why}; start it without {option}"
        return f"{why}; take {option} from the first line of its script, or give: python SCRIPT"

    def _tracing(self, pass_name: str) -> dict[str, Any]:
        if pass_name != "explain":
            return {"traced": False, "why_untraced": f"the {pass_name} pass does not trace"}
        if any(tracked.was_traced or tracked.snapshot_count for tracked in self._table.all):
            return {"traced": True, "why_untraced": None}
        notes = [tracked.note for tracked in self._table.all if tracked.note]
        return {"traced": False, "why_untraced": notes[0] if notes else self._why_untraced()}

    def _why_untraced(self) -> str:
        """Say why nothing was traced although nothing went wrong."""
        share = self._options.trace_share
        if share is not None and any(tracked.windows for tracked in self._table.all):
            return (
                f"no window of the traced share ({share:.0%}) came to its end in "
                f"{self._now():.3g} seconds; let it run longer, or leave --trace-share out"
            )
        if any(tracked.python for tracked in self._table.all):
            return "the target ended before it was traced; let it run longer"
        return self._why_unheard() or "no Python process connected to the recorder"
