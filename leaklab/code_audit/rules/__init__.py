"""The audit's own rules: one file each, in the order they are reported."""

from __future__ import annotations

from importlib import import_module

from leaklab.code_audit.rule import Rule

# One module each; a rule is added by its file and its name here.
_MODULES = (
    "grown_module_container",
    "grown_instance_container",
    "unbounded_queue",
    "unbounded_memo",
    "made_per_call",
    "owner_never_closes",
    "factory_without_cache",
    "registered_per_call",
    "unbounded_labels",
    "stored_exception",
    "rearming_timer",
    "endless_worker",
    "unwaited_process",
    "cleanup_over_limit",
    "unwatched_cleanup",
    "size_by_printing",
    "pool_without_return",
    "wrong_shutdown_hook",
    "unguarded_stop",
    "collector_as_cure",
    "connect_without_timeout",
    "whole_table_read",
    "file_never_pruned",
)


def all_rules() -> tuple[Rule, ...]:
    """Every rule, in the order they are reported."""
    return tuple(import_module(f"{__name__}.{name}").RULE for name in _MODULES)
