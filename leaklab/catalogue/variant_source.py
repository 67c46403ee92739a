"""What one variant of a target runs, as source: so that a text difference of two is the fix.

A target.py holds all variants of one workload and chooses by its ``variant`` argument. Here the
choice is made: conditions on the variant are folded and what is then unused is dropped. Comments
and formatting stay, because the text is edited where the syntax tree says so.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache

PASS_LIMIT = 50  # a target needs a dozen; more means an edit that undoes itself

Edit = tuple[int, int, str]  # start and end offset in bytes, new text


def code_difference(source: str, before: str, after: str, context_lines: int = 3) -> str:
    """The unified difference between two variants of a target; "" when they run the same code."""
    lines = difflib.unified_diff(
        variant_source(source, before).splitlines(),
        variant_source(source, after).splitlines(),
        before,
        after,
        lineterm="",
        n=context_lines,
    )
    return "\n".join(lines)


@cache  # each variant stands in several differences
def variant_source(source: str, variant: str) -> str:
    """Return ``source`` (a target.py) as it is when its variant argument is ``variant``."""
    for _ in range(PASS_LIMIT):
        text = source.encode()
        edits = _edits(ast.parse(source), _Places(text), variant)
        at, parts = 0, []
        for start, end, new in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
            if start >= at:  # within another edit: its turn comes in the next pass
                parts += [text[at:start], new.encode()]
                at = end
        if not parts:
            break
        source = b"".join([*parts, text[at:]]).decode()
    return re.sub(r"\n{4,}", "\n\n\n", source)


class _Places:
    """Byte offsets of syntax nodes."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.lines = [0]
        for line in text.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return (
            self.lines[node.lineno - 1] + node.col_offset,
            self.lines[node.end_lineno - 1] + node.end_col_offset,
        )

    def source(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.span(node)
        return self.text[start:end].decode()

    def whole_lines(self, first: int, last: int) -> tuple[int, int]:
        """From the start of line `first` to the end of line `last`, both counted from 1."""
        return self.lines[first - 1], self.lines[min(last, len(self.lines) - 1)]

    def first_line(self, node: ast.stmt) -> int:
        """With decorators, and with the comment lines right above it."""
        decorators = getattr(node, "decorator_list", [])
        line: int = min([node.lineno, *(decorator.lineno for decorator in decorators)])
        while line > 1 and self.line(line - 1).strip().startswith(b"#"):
            line -= 1
        return line

    def line(self, number: int) -> bytes:
        start, end = self.whole_lines(number, number)
        return self.text[start:end]


def _edits(tree: ast.Module, places: _Places, variant: str) -> list[Edit]:
    """The edits of one kind that are possible now; after them all is looked at again."""
    constants = _module_constants(tree)
    nodes = list(ast.walk(tree))
    named = [node for node in nodes if isinstance(node, ast.expr) and _is_variant(node)]
    if named:
        return [(*places.span(node), repr(variant).replace("'", '"')) for node in named]
    folded = [
        (*places.span(node), text)
        for node in nodes
        if isinstance(node, ast.expr) and (text := _folded(node, places, constants)) is not None
    ]
    if folded:
        return folded
    for node in nodes:
        if isinstance(node, ast.If):
            truth = _truth(node.test, constants)
            if truth is not None:
                return [_branch(node, truth, places, _only_statement(tree, node))]
    return list(_unused(tree, places))


def _is_variant(node: ast.AST) -> bool:
    """``ARGUMENTS.variant``, or a plain name that stands for it."""
    if isinstance(node, ast.Attribute):
        return (
            node.attr == "variant"
            and isinstance(node.ctx, ast.Load)
            and isinstance(node.value, ast.Name)
            and node.value.id != "self"
        )
    return (
        isinstance(node, ast.Name)
        and node.id in ("variant", "VARIANT")
        and isinstance(node.ctx, ast.Load)
    )


def _module_constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Names of the module bound once, to a literal or a dict display."""
    bound: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            bound.setdefault(node.id, [])
            bound[node.id].append(node)
    found: dict[str, ast.expr] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            name = statement.targets[0].id
            literal = isinstance(statement.value, (ast.Constant, ast.Dict))
            if literal and len(bound[name]) == 1:
                found[name] = statement.value
    return found


def _value(node: ast.expr, constants: dict[str, ast.expr]) -> ast.expr:
    return constants.get(node.id, node) if isinstance(node, ast.Name) else node


def _literal(node: ast.expr, constants: dict[str, ast.expr]) -> object:
    value = _value(node, constants)
    return value.value if isinstance(value, ast.Constant) else None


def _text(node: ast.expr, constants: dict[str, ast.expr]) -> str | None:
    literal = _literal(node, constants)
    return literal if isinstance(literal, str) else None


def _truth(node: ast.expr, constants: dict[str, ast.expr]) -> bool | None:
    literal = _literal(node, constants)
    return literal if isinstance(literal, bool) else None


def _folded(node: ast.AST, places: _Places, constants: dict[str, ast.expr]) -> str | None:
    """The simpler text of an expression, None when it stays as it is."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _folded_comparison(node, constants)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        truth = _truth(node.operand, constants)
        return None if truth is None else str(not truth)
    if isinstance(node, ast.IfExp):
        truth = _truth(node.test, constants)
        return None if truth is None else places.source(node.body if truth else node.orelse)
    if isinstance(node, ast.BoolOp):
        return _folded_words(node, places, constants)
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        choices, key = _value(node.value, constants), _text(node.slice, {})
        if isinstance(choices, ast.Dict) and key is not None:
            for choice, value in zip(choices.keys, choices.values, strict=True):
                if choice is not None and _text(choice, {}) == key:
                    return places.source(value)
    return None


def _folded_words(node: ast.BoolOp, places: _Places, constants: dict[str, ast.expr]) -> str | None:
    """An ``and`` or ``or`` without the parts that are decided."""
    decides = isinstance(node.op, ast.Or)
    truths = [_truth(value, constants) for value in node.values]
    if truths[0] is decides:
        return str(decides)
    neutral = not decides
    kept = [v for v, truth in zip(node.values, truths, strict=True) if truth is not neutral]
    if len(kept) == len(node.values):
        return None
    word = " or " if decides else " and "
    return word.join(places.source(value) for value in kept) or str(neutral)


def _folded_comparison(node: ast.Compare, constants: dict[str, ast.expr]) -> str | None:
    left, right = _text(node.left, constants), node.comparators[0]
    if left is None:
        return None
    operator = node.ops[0]
    if isinstance(operator, (ast.Eq, ast.NotEq)):
        other = _text(right, constants)
        if other is None:
            return None
        return str((left == other) is isinstance(operator, ast.Eq))
    if isinstance(operator, (ast.In, ast.NotIn)) and isinstance(
        right, (ast.Tuple, ast.Set, ast.List)
    ):
        members = [_text(member, constants) for member in right.elts]
        if None not in members:
            return str((left in members) is isinstance(operator, ast.In))
    return None


def _only_statement(tree: ast.Module, node: ast.stmt) -> bool:
    """Whether taking `node` away would leave its block empty."""
    for parent in ast.walk(tree):
        for block in ("body", "orelse", "finalbody"):
            statements = getattr(parent, block, None)
            if isinstance(statements, list) and node in statements:
                return len(statements) == 1
    return False


def _branch(node: ast.If, truth: bool, places: _Places, alone: bool) -> Edit:
    """The edit that leaves the branch taken of an ``if`` whose condition is decided."""
    last = node.end_lineno or node.lineno
    start, end = places.whole_lines(node.lineno, last)
    indent = b" " * node.col_offset
    is_elif = places.text[places.span(node)[0] :].startswith(b"elif")
    if truth:
        body = _block(node.body, places)
        if is_elif:
            return start, end, (indent + b"else:\n" + body).decode()
        return start, end, _dedented(body, node)
    if not node.orelse:
        return start, end, (indent + b"pass\n").decode() if alone and not is_elif else ""
    orelse = node.orelse[0]
    chained = isinstance(orelse, ast.If) and places.text[places.span(orelse)[0] :].startswith(
        b"elif"
    )
    if chained:
        rest = places.text[places.whole_lines(orelse.lineno, last)[0] : end]
        if not is_elif:
            rest = rest.replace(b"elif", b"if", 1)
        return start, end, rest.decode()
    body = _block(node.orelse, places)
    if is_elif:
        return start, end, (indent + b"else:\n" + body).decode()
    return start, end, _dedented(body, node)


def _block(statements: list[ast.stmt], places: _Places) -> bytes:
    last = statements[-1].end_lineno or statements[-1].lineno
    start, end = places.whole_lines(places.first_line(statements[0]), last)
    return places.text[start:end]


def _dedented(body: bytes, node: ast.If) -> str:
    lines = body.decode().splitlines(keepends=True)
    extra = next(len(line) - len(line.lstrip()) for line in lines if line.strip()) - node.col_offset
    return "".join(line[extra:] if line[:extra].isspace() else line for line in lines)


def _unused(tree: ast.Module, places: _Places) -> Iterator[Edit]:
    """Take away top-level names nothing refers to."""
    uses = {statement: _names_in(statement) for statement in tree.body}
    use_count = Counter(name for names in uses.values() for name in names)
    for statement in tree.body:
        names, own = _defined(statement), uses[statement]
        if names is not None and all(use_count[name] <= (name in own) for name in names):
            first = places.first_line(statement)
            last = statement.end_lineno or statement.lineno
            block = isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            while block and last < len(places.lines) - 1 and not places.line(last + 1).strip():
                last += 1
            yield *places.whole_lines(first, last), ""


def _names_in(statement: ast.stmt) -> set[str]:
    return {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}


def _defined(statement: ast.stmt) -> set[str] | None:
    """The names a statement is there for; None when it is there for something else."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        # A decorator may register it somewhere.
        return None if statement.decorator_list else {statement.name}
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        literals = (ast.Constant, ast.Dict, ast.Tuple, ast.List, ast.Set, ast.Name)
        return {statement.targets[0].id} if isinstance(statement.value, literals) else None
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    return None
