"""Draw the deployed dashboards from what the local functions have logged: `python -m sandbox.dashboards`."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from sandbox.logs import read_lines
from sandbox.stack import deployment
from sandbox.stack.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from sandbox.stack.settings import StackSettings

# CloudWatch sums up five minutes; a run on one machine is over by then.
_PERIOD_S = 5
_MOST_SERIES = 12
_COLUMNS = 2
_SEARCH = re.compile(r"SEARCH\('\{ConfigurationHub,([\w,]+)\} MetricName=\"(\w+)\" service=\"[^\"]+\"', '(\w+)'")
#: What CloudWatch makes of the values of one period.
STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Maximum": max,
    "SampleCount": len,
    "p95": lambda values: sorted(values)[int(0.95 * (len(values) - 1))],
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric, as a function logged it in embedded metric format."""

    at: float
    name: str
    dimensions: Mapping[str, str]
    value: float


def read_samples(lines: Iterable[str]) -> list[Sample]:
    """Return every value in what the local functions have logged, oldest first."""
    return sorted((sample for line in lines for sample in parse_line(line)), key=lambda sample: sample.at)


def parse_line(line: str) -> Iterator[Sample]:
    """Yield the values in a line of embedded metric format; any other line has none."""
    if '"_aws"' not in line:
        return
    entry: dict[str, Any] = json.loads(line[line.index("{") :])
    for directive in entry["_aws"]["CloudWatchMetrics"]:
        dimensions = {name: entry[name] for name in directive["Dimensions"][0] if name != "service"}
        for metric in directive["Metrics"]:
            values = entry[metric["Name"]]
            for value in values if isinstance(values, list) else [values]:
                yield Sample(entry["_aws"]["Timestamp"] / 1000, metric["Name"], dimensions, value)


def series_of(metrics: Iterable[Any], samples: Iterable[Sample]) -> dict[str, dict[float, float]]:
    """Return label -> start of the period -> value, for those of a widget's metrics that are ours."""
    wanted = dict(filter(None, map(_wanted, metrics)))
    buckets: dict[tuple[str, str], dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for sample in samples:
        if sample.name in wanted:
            label = " ".join([*([sample.name] if len(wanted) > 1 else []), *sample.dimensions.values()]) or sample.name
            buckets[sample.name, label][sample.at // _PERIOD_S * _PERIOD_S].append(sample.value)
    return {
        label: {at: float(STATISTICS[wanted[name]](values)) for at, values in sorted(periods.items())}
        for (name, label), periods in buckets.items()
    }


def _wanted(entry: Any) -> tuple[str, str] | None:
    """Return name and statistic of one of our metrics; None for one of an AWS service."""
    if isinstance(entry[0], dict):
        found = _SEARCH.match(entry[0]["expression"])
        return (found[2], found[3]) if found else None
    return (entry[1], entry[-1]["stat"]) if entry[0] == "ConfigurationHub" else None


def draw(title: str, widgets: list[dict[str, Any]], samples: list[Sample]) -> bytes:
    """Return a picture of a dashboard."""
    rows = -(-len(widgets) // _COLUMNS)
    figure = Figure(figsize=(16, 3.2 * rows), layout="constrained")
    grid = figure.subplots(rows, _COLUMNS, squeeze=False)
    figure.suptitle(title)
    for axes, widget in zip(grid.flat, widgets, strict=False):
        _draw_widget(axes, widget["properties"], samples)
    for axes in list(grid.flat)[len(widgets) :]:
        axes.set_axis_off()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=80)
    return picture.getvalue()


def _draw_widget(axes: Axes, properties: Mapping[str, Any], samples: list[Sample]) -> None:
    axes.set_title(properties["title"], fontsize=10)
    axes.tick_params(labelsize=7)
    if not any(map(_wanted, properties["metrics"])):
        axes.text(0.5, 0.5, "AWS only", ha="center", va="center", color="grey", transform=axes.transAxes)
        return
    series = series_of(properties["metrics"], samples)
    if not series:
        axes.text(0.5, 0.5, "no data", ha="center", va="center", color="firebrick", transform=axes.transAxes)
    largest = sorted(series, key=lambda label: -sum(series[label].values()))[:_MOST_SERIES]
    for label in largest:
        moments = [datetime.fromtimestamp(at, UTC) for at in series[label]]
        axes.plot(moments, list(series[label].values()), marker=".", linewidth=1, label=label)
    axes.set_ylabel(properties.get("yAxis", {}).get("left", {}).get("label", ""), fontsize=8)
    axes.set_ylim(bottom=0, top=max(1.0, axes.get_ylim()[1]))
    if series:
        # As on a dashboard of CloudWatch, all widgets show the same time.
        shown = samples[0].at - _PERIOD_S, samples[-1].at + _PERIOD_S
        axes.set_xlim(*(datetime.fromtimestamp(at, UTC) for at in shown))
        axes.legend(fontsize=6, ncols=2, title=f"{len(series)} series" if len(series) > _MOST_SERIES else None)


def render(settings: StackSettings) -> list[Path]:
    """Write one page and one picture per deployed dashboard; return the pages."""
    folder = settings.local / "dashboards"
    folder.mkdir(parents=True, exist_ok=True)
    cloudwatch = deployment.client(settings, "cloudwatch")
    samples = read_samples(read_lines(settings))
    pages = []
    for name in deployment.list_physical_ids(settings, "AWS::CloudWatch::Dashboard"):
        widgets = json.loads(cloudwatch.get_dashboard(DashboardName=name)["DashboardBody"])["widgets"]
        picture = draw(name, widgets, samples)
        page = folder / f"{name.rpartition('-')[2].lower()}.html"
        page.with_suffix(".png").write_bytes(picture)
        encoded = base64.b64encode(picture).decode()
        page.write_text(
            f"<!doctype html><meta charset=utf-8><title>{html.escape(name)}</title>"
            f'<img alt="{html.escape(name)}" style="max-width:100%" src="data:image/png;base64,{encoded}">\n'
        )
        pages.append(page)
    return pages


def main() -> int:
    """Draw all dashboards and say where they are."""
    settings = read_settings()
    for page in render(settings):
        print(page.relative_to(settings.root))
    return 0


if __name__ == "__main__":
    sys.exit(main())
