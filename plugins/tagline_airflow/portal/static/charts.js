// Charts as SVG. Each has a sentence for those who do not see it, and its numbers as a table.

import { h, svg } from "./elements.js";
import { number, percent, shortDay } from "./format.js";
import { t } from "./language.js";
import { more, table } from "./parts.js";

const WIDTH = 720;

/** Horizontal bars, for texts: [{label, count}] of `rows` customers. */
export function bars(items, rows, label) {
  const most = Math.max(...items.map((item) => item.count), 1);
  return h("div", { class: "bars", role: "img", "aria-label": label },
    items.map((item) =>
      h("div", { class: `bar-row ${item.look ?? ""}` },
        h("span", { class: "bar-label", title: item.label }, item.label),
        h("span", { class: "bar-track" },
          h("span", { class: "bar", width_percent: (100 * item.count) / most })),
        h("span", { class: "bar-value" }, percent(item.count / rows),
          h("span", { class: "quiet" }, ` ${number(item.count, 0)}`)))));
}

/** Upright columns, for numbers in bins or few values: [{label, count, title, look}]. */
export function columns(items, rows, label, ticks) {
  const height = 240, left = 46, bottom = 34, top = 12;
  const inner = WIDTH - left - 8, tall = height - top - bottom;
  const most = Math.max(...items.map((item) => item.count), 1);
  const scale = niceTop(most / rows);
  const step = inner / items.length;
  const gap = Math.min(8, step * 0.14);
  const y = (share) => top + tall * (1 - share / scale);
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, class: "chart", role: "img", "aria-label": label },
    [0, 0.5, 1].map((part) => [
      svg("line", { class: "grid", x1: left, x2: WIDTH - 8, y1: y(scale * part), y2: y(scale * part) }),
      svg("text", { class: "axis", x: left - 7, y: y(scale * part) + 4, "text-anchor": "end" },
        percent(scale * part)),
    ]),
    items.map((item, at) => {
      const share = item.count / rows;
      const tallness = item.count ? Math.max(tall * (share / scale), 1.5) : 0;
      return svg("g", { class: `column ${item.look ?? ""}` },
        svg("title", {}, `${item.title ?? item.label}: ${percent(share)} (${number(item.count, 0)})`),
        svg("rect", { class: "hit", x: left + at * step, y: top, width: step, height: tall }),
        svg("rect", {
          class: "fill", x: left + at * step + gap / 2, y: top + tall - tallness,
          width: Math.max(step - gap, 1), height: tallness, rx: Math.min(3, step / 6),
        }));
    }),
    ticks.map((tick) =>
      svg("text", { class: "axis", x: left + tick.at * step, y: height - 14, "text-anchor": tick.anchor ?? "middle" },
        tick.label)));
}

/** A line over releases: [{day, value, look, title}], values between 0 and 1. */
export function line(points, label) {
  const height = 190, left = 46, right = 18, bottom = 34, top = 14;
  const inner = WIDTH - left - right, tall = height - top - bottom;
  const known = points.map((point) => point.value).filter((value) => value !== null);
  const floor = lowEnd(Math.min(...known));
  const x = (at) => left + (points.length === 1 ? inner / 2 : (inner * at) / (points.length - 1));
  const y = (value) => top + tall * (1 - (value - floor) / (1 - floor));
  let path = "", down = false;
  points.forEach((point, at) => {
    if (point.value === null) down = false;
    else {
      path += `${down ? "L" : "M"}${x(at).toFixed(1)} ${y(point.value).toFixed(1)}`;
      down = true;
    }
  });
  const every = Math.ceil(points.length / 8);
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${height}`, class: "chart", role: "img", "aria-label": label },
    [floor, (floor + 1) / 2, 1].map((value) => [
      svg("line", { class: "grid", x1: left, x2: WIDTH - right, y1: y(value), y2: y(value) }),
      svg("text", { class: "axis", x: left - 7, y: y(value) + 4, "text-anchor": "end" }, percent(value)),
    ]),
    svg("path", { class: "line", d: path }),
    points.map((point, at) => point.value === null ? null :
      svg("g", {},
        svg("title", {}, point.title),
        svg("circle", { class: `dot ${point.look ?? ""}`, cx: x(at), cy: y(point.value), r: points.length > 40 ? 2.5 : 4.5 }))),
    points.map((point, at) => (points.length - 1 - at) % every ? null :
      svg("text", { class: "axis", x: x(at), y: height - 12,
        "text-anchor": points.length > 1 && at === points.length - 1 ? "end" : points.length > 1 && at === 0 ? "start" : "middle" },
        shortDay(point.day))));
}

/** The same numbers to read. */
export function numbers(caption, titles, rows) {
  return more(t("chart.numbers"),
    table(caption, titles.map((title, at) => ({ title, right: at > 0 })),
      rows.map((cells) => ({ cells }))));
}

function niceTop(share) {
  const nice = [0.01, 0.02, 0.04, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1];
  return nice.find((top) => top >= share) ?? 1;
}

function lowEnd(lowest) {
  if (lowest >= 0.98) return 0.9;
  if (lowest >= 0.6) return 0.5;
  return 0;
}
