"""The exit code of bench.py. A wrong result of ours is an error; that of another implementation is named, and not ours to fail for."""


def is_ours(name):
    return name == "copy" or name.startswith("warpdice")


def exit_code(results):
    """1: something of ours was wrong or could not run, or nothing of ours was timed."""
    wrong = any(is_ours(name) for result in results for name in result.get("faults", {}))
    timed = any("warpdice" in result.get("rows", {}) for result in results)
    return 1 if wrong or not timed else 0
