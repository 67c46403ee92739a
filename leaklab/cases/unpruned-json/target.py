"""A usage counter kept as JSON: one entry a user a day, loaded whole and saved again every day."""

import json
from datetime import date, timedelta
from pathlib import Path

from leaklab import gauge, mark
from leaklab.catalogue.harness import case_arguments

USAGE_FILE = Path("usage.json")
RETENTION_DAYS = 31
FIRST_DAY = date(2024, 1, 1)


def load_usage():
    return json.loads(USAGE_FILE.read_text()) if USAGE_FILE.exists() else {}


def save_usage(usage):
    USAGE_FILE.write_text(json.dumps(usage))


def keep_everything(usage, today):
    return usage


def prune_dates(usage, today):
    """The documented fix: dates older than the retention go, the users stay."""
    oldest = (today - timedelta(days=RETENTION_DAYS)).isoformat()
    return {
        user: {day: count for day, count in days.items() if day >= oldest}
        for user, days in usage.items()
    }


def prune_dates_and_users(usage, today):
    """A user whose last date went goes too."""
    return {user: days for user, days in prune_dates(usage, today).items() if days}


# variant: (what happens before saving, do users come and go?)
VARIANTS = {
    "before": (keep_everything, False),
    "documented_fix": (prune_dates, False),
    "documented_fix_churn": (prune_dates, True),
    "better_fix": (prune_dates_and_users, True),
}


def run(arguments):
    prune, churn = VARIANTS[arguments.variant]
    for day in range(arguments.iterations):
        today = FIRST_DAY + timedelta(days=day)
        usage = load_usage()
        first = day * arguments.new_users if churn else 0
        for number in range(first, first + arguments.users):
            usage.setdefault(f"user-{number:06d}", {})[today.isoformat()] = 1
        usage = prune(usage, today)
        save_usage(usage)
        gauge("user_count", len(usage))
        gauge("entry_count", sum(len(days) for days in usage.values()))
        del usage
        mark()


if __name__ == "__main__":
    USAGE_FILE.unlink(missing_ok=True)
    run(case_arguments(__file__))
