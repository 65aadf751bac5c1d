"""What is made of bench.py's results, without PyTorch: the targets, and the exit code. A wrong result of ours is an error; that of
another implementation is named, and not ours to fail for."""


from head_cases import is_head


def is_ours(name):
    return name == "copy" or name.startswith("warpdice")


def exit_code(results):
    """1: something of ours was wrong or could not run, or nothing of ours was timed."""
    wrong = any(is_ours(name) for result in results for name in result.get("faults", {}))
    timed = any("warpdice" in result.get("rows", {}) for result in results)
    return 1 if wrong or not timed else 0


def targets_of(result):
    """The project's targets for a case: what, the limit, the measured figure; none against a copy or a warpdice that was not timed. A
    head has none: its products bound it, not a copy."""
    if is_head(result["case"]):
        return
    rows = result.get("rows", {})
    classes = int(result["case"].split(",")[1])
    plain = "float32" in result["case"] and "channels last" not in result["case"] and classes <= 19
    share = 0.9 if plain else 0.8
    if result.get("graphs"):
        share = None  # fits the L2: bandwidth of memory says nothing
    for name in ("warpdice, statistics", "warpdice, gradient"):
        if share and "of_copy" in rows.get(name, {}):
            yield f"{name}, of the copy's bandwidth", share, rows[name]["of_copy"]
    for prefix, limit in (("PyTorch eager", 8), ("torch.compile", 1.5)):
        times = [row["x_warpdice"]["median"] for name, row in rows.items() if name.startswith(prefix) and "x_warpdice" in row]
        if times:
            yield f"{prefix} (its fastest) over warpdice", limit, min(times)
