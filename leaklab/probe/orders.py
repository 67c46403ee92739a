"""What the recorder may ask of a process: collect, trim, trace, hold still, tell what is open."""

import gc

from . import descriptors
from .audited import watched_by
from .channel import ChannelError
from .figures import figures, malloc_figures, trim
from .surroundings import OpenImports, listens
from .unpatched import allocate_lock, monotonic, start_new_thread, thread_time

# A main thread that waits in a system call collects nothing.
MAIN_THREAD_SECONDS = 0.2
TRACE_START_SECONDS = 30.0
PORT_TRIES = 5
# What begins with a collection, and is answered with the figures that hold afterwards.
_COLLECTS = ("collect", "collect-young", "trim")


class Orders:
    """Does what the recorder asks for; a session is made of it."""

    def _obey(self, reply, kind):
        """Do what the recorder asks for at a mark; returns the message that says it is done."""
        if self._malloc is None:
            self._prepare()
        # Whatever else the machine does must not decide how often garbage is collected: figures
        # after longer pauses are higher ones. So a collection costs its processor time. So does all
        # that the probe's own thread does: the target waits for nothing but the processor.
        clock = thread_time if reply[0] in _COLLECTS or kind == "tick" else monotonic
        begun = clock()
        done = {"kind": "done", "what": reply[0]}
        # However large the heap is.
        self._watchdog.excused = reply[0] in _COLLECTS or (self._options.get("graphs") == "here")
        try:
            if reply[0] == "collect" and kind == "tick":
                done["collected_seconds"] = self._collect_in_main_thread()
                done["figures"] = {**figures(), **self._malloc()}
            elif reply[0] in _COLLECTS:
                # The young first: what a collection of everything frees beyond that is old.
                gc.collect(1)
                if reply[0] != "collect-young":
                    done["freed_old"] = gc.collect()
                if reply[0] == "trim":
                    trim()
                done["figures"] = {**figures(), **self._malloc()}
            elif reply[0] == "barrier":
                from . import tracing

                done["position"] = tracing.barrier(int(reply[1]))
            elif reply[0] == "origins":
                done["found"] = self._look_at_origins(begin=reply[1] == "begin")
            elif reply[0] == "graph":
                done["result"] = self._dump_graph(reply[1], float(reply[2]))
        except ChannelError:
            raise
        except Exception as problem:
            done["problem"] = "%s: %s" % (type(problem).__name__, problem)
        finally:
            self._watchdog.excused = False
        done["seconds"] = clock() - begun
        return done

    def _collect_in_main_thread(self):
        from .collection import MainThreadCollection

        if self._collection is None:
            self._collection = MainThreadCollection()
        return self._collection.run(MAIN_THREAD_SECONDS)

    def _prepare(self):
        """Import what marks and dumps need, before the target is measured."""
        # libffi may keep a file open from the first import of ctypes on.
        with descriptors.low_occupied():
            self._malloc = malloc_figures()
        if self._options.get("watch") and self._watched is None:
            self._watched = watched_by(self._options["watch"])
        elif self._watched is not None:
            self._watched.forget()
        if self._options.get("origins") == "1":
            self._listen_for_origins()
        if self._options.get("graphs", "0") == "0":
            return
        from . import graph

        try:
            graph.prepare()
        except graph.ForkError:
            pass  # said again when a dump is asked for

    def _dump_graph(self, path, limit_seconds):
        from . import graph

        dump = graph.dump_here if self._options.get("graphs") == "here" else graph.dump_by_fork
        return dump(path, limit_seconds=limit_seconds)

    def _listen_for_origins(self):
        if self._origins is None:
            from .origin_looks import OriginLooks

            self._origins = OriginLooks()

    def _look_at_origins(self, begin):
        """Return what is open and which call made it, or the next part of that."""
        self._listen_for_origins()
        if not begin:
            return self._origins.next_part()
        own = {self._channel.number} | descriptors.own_numbers()
        return self._origins.look(own, self._channel.number)

    def _trace(self):
        try:
            from . import tracing
        except Exception as problem:
            why = "%s: %s" % (type(problem).__name__, problem)
            self._channel.ask({"kind": "untraced", "why": why})
            return
        reply = ("again",)
        while reply[0] == "again":
            for _ in range(PORT_TRIES):
                # Between asking for a free port and using it somebody else may have taken it.
                why = self._start_tracer(tracing, tracing.free_port())
                if why is None or "bind" not in why:
                    break
            self._traced = why is None
            reply = self._channel.ask(
                {"kind": "traced"} if why is None else {"kind": "untraced", "why": why}
            )
            if reply[0] in ("again", "stop"):
                # Somebody else listens to the stream.
                self._untrace()

    def _untrace(self):
        if self._traced:
            from . import tracing

            tracing.stop()
            self._traced = False

    def _start_tracer(self, tracing, port):
        """Start the tracer from another thread; returns why it failed, None when it runs.

        From another thread for two reasons: memray leaves out of every later stack as many frames
        as the starting thread has at this moment, and here that is the start of the interpreter.
        And a start that waits for a reader which will not come can be freed from here.
        """
        problems = []
        done = allocate_lock()
        done.acquire()

        def start():
            try:
                tracing.start(
                    port,
                    native=self._options.get("native") == "1",
                    python_allocators=self._options.get("python_allocators") == "1",
                )
            except Exception as problem:
                problems.append("%s: %s" % (type(problem).__name__, problem))
            finally:
                done.release()

        with OpenImports(), descriptors.low_occupied():
            start_new_thread(start, ())
            if not self._bring_reader(port, done) and not done.acquire(timeout=0):
                tracing.unblock(port)
                if not done.acquire(timeout=TRACE_START_SECONDS):
                    return "the tracer did not start"
        return problems[0] if problems else None

    def _bring_reader(self, port, done):
        """Call the recorder once the tracer listens, wait till it runs; False if that failed."""
        deadline = monotonic() + TRACE_START_SECONDS
        # memray's reader tries only twice a second, so it should find the port open.
        while monotonic() < deadline:
            if done.acquire(timeout=0.002):
                return True
            if listens(port):
                break
        try:
            if self._channel.ask({"kind": "trace", "port": port})[0] != "go":
                return False  # there will be no reader
        except ChannelError:
            return False
        while monotonic() < deadline and not self._channel.hung_up:
            if done.acquire(timeout=0.1):
                return True
        return False
