"""Seconds of each stage by number of events, on logarithmic axes, as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 150, 40, 50
_COLOURS = ("#1b6ca8", "#c8553d", "#2a7f62", "#8e5ea2", "#b8860b", "#555555", "#d4527c", "#3aa6b9")


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis from `least` to `most`, drawn between two places."""

    least: float
    most: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Where a value lies."""
        share = math.log(value / self.least) / math.log(self.most / self.least)
        return self.start + share * (self.end - self.start)


def svg(title: str, series: Mapping[str, Points], across: str, up: str) -> str:
    """A line per series, named at its end; values must be above 0.

    Points with a value of 0 or less are left out. The text is the same for the same figures.
    """
    kept = {name: [(x, y) for x, y in points if x > 0 and y > 0] for name, points in series.items()}
    kept = {name: points for name, points in kept.items() if points}
    if not kept:
        raise ValueError("no points to draw")
    flat = [point for points in kept.values() for point in points]
    xs, ys = {x for x, _ in flat}, {y for _, y in flat}
    x_axis = _Axis(min(xs) / 1.15, max(xs) * 1.15, _LEFT, _WIDTH - _RIGHT)
    lowest, highest = (
        10.0 ** math.floor(math.log10(min(ys))),
        10.0 ** math.ceil(math.log10(max(ys))),
    )
    y_axis = _Axis(lowest, highest if highest > lowest else lowest * 10, _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 22, title, "start", 14),
        _text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 12, across, "middle"),
        _text(16, _TOP - 10, up, "start"),
    ]
    for x in sorted(xs):
        place = x_axis.place(x)
        parts.append(_line(place, _TOP, place, _HEIGHT - _BOTTOM, "#eeeeee"))
        parts.append(_text(place, _HEIGHT - _BOTTOM + 16, f"{x / 1e6:g} M", "middle"))
    decade = y_axis.least
    while decade <= y_axis.most * 1.001:
        place = y_axis.place(decade)
        parts.append(_line(_LEFT, place, _WIDTH - _RIGHT, place, "#dddddd"))
        parts.append(_text(_LEFT - 8, place + 4, f"{decade:g}", "end"))
        decade *= 10
    parts += _series(kept, x_axis, y_axis)
    return "\n".join([*parts, "</svg>", ""])


def _series(series: Mapping[str, Points], x_axis: _Axis, y_axis: _Axis) -> list[str]:
    parts: list[str] = []
    ends: list[tuple[float, str, str]] = []
    for number, (name, points) in enumerate(series.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [(x_axis.place(x), y_axis.place(y)) for x, y in sorted(points)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
        ends.append((places[-1][1], name, colour))
    beside, last = _WIDTH - _RIGHT + 12, -math.inf
    for place, name, colour in sorted(ends):
        last = max(place, last + 15)  # names do not cover each other
        parts.append(f'<text x="{beside}" y="{last + 4:.1f}" fill="{colour}">{escape(name)}</text>')
    return parts


def _text(x: float, y: float, text: str, anchor: str, size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'fill="#333333">{escape(text)}</text>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'
