"""The ablation as a plot: mean mAP and deviation of every row, and a point for each seed. Needs the extra `report`."""

from __future__ import annotations

import importlib.util
import io

from itkm_core.errors import ConfigError
from pipelines.ablate.result import Result

FORMATS = ("png", "svg")


def require_plot() -> None:
    """Raises ConfigError, naming the extra, if matplotlib is not installed."""
    if importlib.util.find_spec("matplotlib") is None:
        raise ConfigError(
            "the plot needs matplotlib, which is not installed: pip install 'itkm[report]', "
            "or give --no-plot"
        )


def plot(result: Result) -> dict[str, bytes]:
    """The plot in each of FORMATS; the same result gives the same bytes.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    require_plot()
    import matplotlib
    from matplotlib.figure import Figure

    rows = [row for row in result["rows"] if row["scores"]["mean_ap"]["average"]["values"]]
    # A separate figure, without pyplot: no window system, and no state shared with other threads.
    figure = Figure(figsize=(8, 0.8 + 0.34 * (len(rows) + 1)), layout="constrained")
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        found = row["scores"]["mean_ap"]["average"]
        own = row["name"] == result["reference"]
        axes.barh(
            place,
            100 * found["mean"],
            xerr=100 * (found["deviation"] or 0.0),
            color="#8a9bb0" if own else "#3f74b5",
            error_kw={"ecolor": "#222222", "capsize": 3},
        )
        points = [100 * value for value in found["values"].values()]
        axes.plot(points, [place] * len(points), "o", color="#f2a33a", markersize=4, zorder=3)
    axes.set_yticks(range(len(rows)), [row["title"] for row in rows])
    axes.invert_yaxis()
    zero = result["zero_shot"]["average"]["mean"]
    if zero is not None:
        axes.axvline(100 * zero, color="#888888", linestyle=":")
        above = (100 * zero, 1.0)  # the line's foot in mAP, the top of the axes
        axes.annotate(
            "zero-shot", above, (0, 2), axes.get_xaxis_transform(), "offset points", ha="center"
        )
    axes.set_xlabel("mAP across groups, mean over scenarios, %; points are seeds")
    axes.spines[["top", "right"]].set_visible(False)
    made = {}
    with matplotlib.rc_context({"svg.hashsalt": "itkm"}):
        for name in FORMATS:
            buffer = io.BytesIO()
            # No date and no version in the file, so that the same numbers give the same bytes.
            blank = {"Date": None} if name == "svg" else {"Software": None}
            figure.savefig(buffer, format=name, dpi=150, metadata=blank)
            made[name] = buffer.getvalue()
    return made
