"""Changes to functions of the main program, which nobody imports: its lines are followed, by a
trace function, until it has defined them, and not at all where it does not."""

import sys


def after_definition(wanted):
    """Call ``change(module)`` once the main program has defined ``function``.

    ``wanted``: (module, function, change) each, of which those count whose module is the program,
    by the name it has while it runs or the one it would be imported by.
    """
    waiting = [*wanted]

    def started(frame, event, argument):
        if frame.f_code.co_name != "<module>" or frame.f_globals.get("__name__") != "__main__":
            return None
        waiting[:] = [each for each in waiting if _is_to_define(frame, *each[:2])]
        if not waiting:
            sys.settrace(None)
        return went_on if waiting else None

    def went_on(frame, event, argument):
        module = sys.modules.get("__main__")
        for each in [*waiting]:
            _, function, change = each
            if getattr(module, "__dict__", None) is not frame.f_globals:
                waiting.clear()
            elif function.partition(".")[0] in frame.f_globals:
                waiting.remove(each)
                try:
                    change(module)
                except Exception:
                    pass  # no such method: the target runs on without these marks
        if waiting and event != "return":
            return went_on
        if sys.gettrace() is started:  # else the program traces itself by now
            sys.settrace(None)
        del frame.f_trace
        return None

    if waiting and sys.gettrace() is None:
        sys.settrace(started)


def _is_to_define(frame, module, function):
    code = frame.f_code
    spec = frame.f_globals.get("__spec__")
    stem = code.co_filename.rpartition("/")[2].rpartition(".")[0]
    first = function.partition(".")[0]
    defined = (getattr(each, "co_name", None) for each in code.co_consts)
    return module in ("__main__", stem, getattr(spec, "name", None)) and first in defined
