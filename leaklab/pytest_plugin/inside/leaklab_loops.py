"""What event loops hold: their own descriptors, and tasks, also those that a loop's end cuts off.

``asyncio.run``, unittest, pytest-asyncio and anyio all end a loop by `asyncio.Runner.close`, which
cancels what is still pending. Nobody waited for that task, and nobody could see it a moment later.
"""

import weakref

try:
    from leaklab.pytest_plugin.inside import leaklab_stacks as stacks
except ImportError:
    # In an interpreter without leaklab this folder is on the path.
    import leaklab_stacks as stacks  # type: ignore[import-not-found, no-redef, unused-ignore]


class Loops:
    """Notes who makes loops, selectors and tasks, by the wrappings that ``patch`` puts in place."""

    def __init__(self):
        self._loops = weakref.WeakKeyDictionary()
        self._selectors = weakref.WeakKeyDictionary()
        # Each task's stack, and by which task it was made.
        self._tasks = weakref.WeakKeyDictionary()
        # Where a loop calls what is to be called: below it is whoever runs the loop.
        self._calls = None

    def install(self, patch):
        """Take notes of all that is made from now on."""
        import asyncio.selector_events
        import selectors

        self._calls = asyncio.Handle._run.__code__
        patch(asyncio.BaseEventLoop, "create_task", self._noting_task)
        loop_kind = asyncio.selector_events.BaseSelectorEventLoop
        patch(loop_kind, "__init__", stacks.noting_self(self._loops))
        for name in ("EpollSelector", "KqueueSelector"):
            kind = getattr(selectors, name, None)
            if kind is not None:
                patch(kind, "__init__", stacks.noting_self(self._selectors))

    def clear(self):
        """Keep no notes."""
        for notes in (self._loops, self._selectors, self._tasks):
            notes.clear()

    def _noting_task(self, original):
        from asyncio import current_task

        def create_task(loop, *args, **kwargs):
            task = original(loop, *args, **kwargs)
            if not stacks.is_suspended():
                maker = current_task(loop)
                made_by = weakref.ref(maker) if maker is not None else None
                self._tasks[task] = (stacks.stack_here(), made_by)
            return task

        return create_task

    def pending_tasks(self):
        """Return (task, the stack at which it was made, its maker) of all that are not done.

        The maker is a task of a loop that runs meanwhile, which another thread does; or None.
        """
        return [
            (
                task,
                stack,
                made_by() if made_by is not None and task.get_loop().is_running() else None,
            )
            for task, (stack, made_by) in list(self._tasks.items())
            if not task.done()
        ]

    def cut_off_by(self, runner):
        """Return (task, stack) of what a runner that closes is about to cancel, and nobody ended.

        Without what a library made for itself, what is cancelled already or was just told to go
        on (its end was asked for), and what another of the tasks made and waits for.
        """
        loop = getattr(runner, "_loop", None)
        pending = {
            task: (stack, made_by)
            for task, (stack, made_by) in list(self._tasks.items())
            if not task.done() and task.get_loop() is loop and self._is_users(stack)
        }
        return [
            (task, stack)
            for task, (stack, made_by) in pending.items()
            if not task.cancelling()
            and not _goes_on(task)
            and (made_by is None or made_by() not in pending)
        ]

    def _is_users(self, stack):
        """Whether code of the user's own made it, and did not only run the loop that did."""
        codes = stack[::2]
        return stacks.has_own(codes[: codes.index(self._calls)] if self._calls in codes else codes)

    def open_loops(self):
        """Return (loop, the numbers of its own descriptors, stack) of each that is not closed."""
        found = []
        for loop, stack in list(self._loops.items()):
            own = (getattr(loop, name, None) for name in ("_selector", "_ssock", "_csock"))
            numbers = sorted({_number(one) for one in own} - {-1})
            if numbers:
                found.append((loop, numbers, stack))
        return found

    def selectors(self):
        """Return the stack at which each selector was made, by the number of its descriptor."""
        made = {_number(one): stack for one, stack in list(self._selectors.items())}
        made.pop(-1, None)
        return made


def _number(one):
    try:
        return one.fileno()
    except (AttributeError, ValueError, OSError):
        return -1  # closed, or of another kind


def _goes_on(task):
    """Whether a task that has begun would go on by itself: what it waited for is there."""
    import inspect

    try:
        begun = inspect.getcoroutinestate(task.get_coro()) != inspect.CORO_CREATED
    except AttributeError:
        begun = True  # compiled, and tells nothing
    waits_for = getattr(task, "_fut_waiter", None)
    return begun and (waits_for is None or waits_for.done())
