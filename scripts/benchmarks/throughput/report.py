"""The results as text and as a plot."""

from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

OURS = {
    "torch": "en_clinner",
    "torch_bf16": "en_clinner, bf16",
    "int8": "en_clinner_cpu, int8",
    "bf16": "en_clinner_cpu, bf16",
    "fp32": "en_clinner_cpu, fp32",
}
TITLES = {"stock": "spaCy, strided_spans + ner", **OURS, "bare": "bare session, int8"}
MEGABYTE = 1e6


def title(name: str) -> str:
    """What a system is called in tables and plots."""
    kind, _, batch_size = name.partition("-")
    return f"Hugging Face, batch {batch_size}" if batch_size else TITLES[kind]


def text(results: dict[str, Any]) -> str:
    """All results as text, 140 characters wide."""
    console = Console(file=StringIO(), width=140, highlight=False)
    for line in _facts(results):
        console.print(line, markup=False)
    if "speed" in results:
        console.print(_speed_table(results["speed"]))
    if "growth" in results:
        console.print(_growth_table(results["growth"]))
    if "soak" in results:
        console.print(_soak_line(results["soak"]), markup=False)
    assert isinstance(console.file, StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def _facts(results: dict[str, Any]) -> list[str]:
    machine, texts = results["machine"], results["texts"]
    memory, load = machine["memory"], machine["load_average"]
    of_memory = "" if memory is None else f", {memory / 2**30:.0f} GiB"
    threads = results["threads"] or "a thread on each core"
    lines = [
        f"{machine['cpu']}, {machine['cores']} logical cores{of_memory}; threads: {threads}",
        f"flags: {' '.join(machine['flags']) or 'unknown'}",
        f"Python {machine['python']}, {machine['platform']}",
        ", ".join(f"{name} {found}" for name, found in machine["versions"].items()),
        f"{texts['notes']:,} notes, {texts['words']:,} words, of {texts['source']}",
        *results["remarks"],
    ]
    if load is not None:
        lines.append(f"load average before the first system was started: {load:.2f}")
    return lines


def _speed_table(speed: dict[str, Any]) -> Table:
    table = Table(title="Text in, entities out: medians (ranges)")
    columns = ("", "words\nread", "words/s", "×\nHF", "×\nspaCy", "×\nbare", "peak\nMB",
               "load\ns", "first\nnote s", "entities", "negated")  # fmt: skip
    for column in columns:
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, row in speed.items():
        words = row["words_per_second"]
        table.add_row(
            title(name) + (" (best)" if row["best"] else ""),
            f"{row['words']:,}",
            f"{words['median']:,.0f}\n({words['low']:,.0f}–{words['high']:,.0f})",
            *(f"{row['ratios'][other]:.2f}" for other in ("huggingface", "stock", "bare")),
            f"{row['peak'] / MEGABYTE:,.0f}",
            *(f"{row[key]['median']:.1f}" for key in ("load", "first_note")),
            "–" if name == "bare" else f"{row['entities']:,}",
            f"{row['negated']:,}" if name in OURS else "–",
        )
    return table


def _growth_table(growth: dict[str, Any]) -> Table:
    table = Table(title="Time against size: exponent of the fit (of the upper half of the sizes)")
    for column in ("", "by", "exponent", "seconds (size)"):
        table.add_column(column, justify="right" if column == "exponent" else "left")
    for by, by_system in growth.items():
        for name, row in by_system.items():
            pairs = zip(row["medians"], row["sizes"], strict=True)
            table.add_row(
                title(name),
                "words of one note" if by == "length" else "notes",
                f"{_number(row['exponent'])} ({_number(row['exponent_upper_half'])})",
                ", ".join(f"{seconds:.3g} ({size:,})" for seconds, size in pairs),
            )
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _soak_line(soak: dict[str, Any]) -> str:
    return (
        f"Soak, {title(soak['system'])}: {soak['notes']:,} notes ({soak['different_notes']:,} "
        f"different) in memory zones of {soak['batch']}, {soak['seconds']:,.0f} s; resident "
        f"{soak['resident_warm'] / MEGABYTE:,.0f} MB in the tenth after the first "
        f"{soak['warm_at']:,} notes, {soak['resident_end'] / MEGABYTE:,.0f} MB in the last tenth: "
        f"{soak['growth_percent']:+.1f} % (at most {soak['highest_percent']:+.1f} %)"
    )


def plot(results: dict[str, Any], path: Path) -> None:
    """Draw the results into a PNG file, a panel for each table.

    results (dict[str, Any]): The results.
    path (Path): The file; its folder must exist.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    below = [*results.get("growth", {}), *(["soak"] if "soak" in results else [])]
    rows: list[Any] = [["speed"] * max(1, len(below))] if "speed" in results else []
    rows += [below] if below else []
    figure = Figure(figsize=(max(9.0, 4.5 * len(below)), 4.2 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    for name, axis in figure.subplot_mosaic(rows).items():
        if name == "speed":
            _plot_speed(axis, results["speed"])
        elif name == "soak":
            _plot_soak(axis, results["soak"])
        else:
            _plot_growth(axis, name, results["growth"][name])
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="png", dpi=120)


def _plot_speed(axis: Any, speed: dict[str, Any]) -> None:
    names = list(speed)[::-1]
    words = [speed[name]["words_per_second"] for name in names]
    medians = [w["median"] for w in words]
    whiskers = [[w["median"] - w["low"] for w in words], [w["high"] - w["median"] for w in words]]
    colours = ["tab:blue" if name in OURS else "0.7" for name in names]
    axis.barh([title(name) for name in names], medians, xerr=whiskers, color=colours, capsize=3,
              ecolor="0.3")  # fmt: skip
    for at, name in enumerate(names):
        ratio = speed[name]["ratios"]["huggingface"]
        axis.text(words[at]["high"] * 1.02, at, f" {medians[at]:,.0f} (×{ratio:.1f})", va="center")
    axis.set(title="words per second (× Hugging Face at its best)", xlabel="words per second",
             xlim=(0, 1.3 * max(w["high"] for w in words)))  # fmt: skip


def _plot_growth(axis: Any, by: str, by_system: dict[str, Any]) -> None:
    from matplotlib.ticker import NullFormatter

    for name, row in by_system.items():
        label = f"{title(name)}: exponent {_number(row['exponent'])}"
        axis.loglog(row["sizes"], row["medians"], marker="o", label=label)
    xlabel = "words of one note" if by == "length" else "notes"
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set(title=f"time by {by}", xlabel=xlabel, ylabel="seconds")
    axis.legend(loc="upper left", frameon=False, fontsize="small")
    axis.set_ylim(top=8 * max(max(row["medians"]) for row in by_system.values()))


def _plot_soak(axis: Any, soak: dict[str, Any]) -> None:
    axis.plot(soak["notes_read"], [size / MEGABYTE for size in soak["resident"]])
    axis.axvline(soak["warm_at"], color="0.7", linestyle=":", label="warm from here")
    axis.set(title=f"resident memory: {soak['growth_percent']:+.1f} % once warm",
             xlabel="notes", ylabel="MB")  # fmt: skip
    axis.set_ylim(0, 1.3 * max(soak["resident"]) / MEGABYTE)
    axis.legend(loc="lower right", frameon=False)
