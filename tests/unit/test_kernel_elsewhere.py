"""What an audit says of what libraries hold: with the line that frees it, or at its place."""

import json

from own_process import printed_by

from leaklab.kernel_audit.audit import KernelAudit
from leaklab.scratch import Scratch

HELD_BY_LIBRARIES = """
import json, logging, sys, types
import json.decoder
sys.modules["comm"] = types.ModuleType("comm")  # a module of the user's, with that name
import leaklab as ll

MEBIBYTE = 1 << 20

class Handler(logging.Handler):
    def __init__(self):
        super().__init__()
        self.records = []
    def emit(self, record):
        self.records.append(record)

logging.getLogger("app").addHandler(Handler())
logging.getLogger("app").propagate = False
for _ in range(4):
    logging.getLogger("app").error(bytearray(MEBIBYTE))

class DOMWidget:
    def close(self):
        registry.pop(self._trait_values["comm"], None)
class Button(DOMWidget):
    def __init__(self, number):
        self._trait_values = {"comm": number}
        self.own, self.observer = self, bytearray(MEBIBYTE)

registry = {number: Button(number) for number in range(5)}
package = types.ModuleType("ipywidgets")
package.Widget = types.SimpleNamespace(
    close_all=lambda: [one.close() for one in list(registry.values())]
)
sys.modules["ipywidgets"] = package
module = types.ModuleType("ipywidgets.widgets.widget")
module._instances = registry
sys.modules["ipywidgets.widgets.widget"] = module

class Page:
    def __init__(self):
        self.text = bytearray(MEBIBYTE)

json.decoder._PAGES = [Page() for _ in range(6)]

audit = ll.kernel(progress=False)
rows = {one.kind: one for one in audit.holdings if one.bytes > 2 * MEBIBYTE}
for kind in ("widgets", "handler"):
    exec(rows[kind].line)
after = ll.kernel(progress=False)
print(json.dumps({
    "titles": {kind: one.text() for kind, one in rows.items()},
    "lines": {kind: one.line_text() for kind, one in rows.items()},
    "mebibytes": {kind: one.bytes // MEBIBYTE for kind, one in rows.items()},
    "freed": (audit.seen_bytes - after.seen_bytes) // MEBIBYTE,
    "left": [one.kind for one in after.holdings if one.bytes > 2 * MEBIBYTE],
}))
"""


def test_what_libraries_hold_is_told_by_its_line_or_its_place() -> None:
    found = json.loads(printed_by(HELD_BY_LIBRARIES))
    assert found["mebibytes"] == {"elsewhere": 6, "widgets": 5, "handler": 4}
    assert found["freed"] == 9
    assert found["left"] == ["elsewhere"]
    titles = found["titles"]
    assert titles["widgets"].startswith("5 widgets (5 Button) never closed")
    assert titles["handler"].startswith("log handler of app: Handler")
    assert titles["elsewhere"].startswith("json.decoder._PAGES → list item → __main__.Page.text")
    assert found["lines"]["elsewhere"] == "(no line is known)"


def test_more_than_is_resident_was_never_touched() -> None:
    audit = KernelAudit([], [], 70 << 20, 809 << 20, 1000, 0.0, 0.0, Scratch("kernel"))
    assert str(audit).splitlines() == [
        "70 MiB resident: 809 MiB in 1,000 objects, of which at least 739 MiB are in no memory: "
        "not touched yet, or swapped out",
        "",
        "Objects by whose they are: .",
    ]
    audit._folder.close()
