// The distribution of a tag, as the chart that fits its type.

import { bars, columns, numbers } from "./charts.js";
import { h } from "./elements.js";
import { axisValue, day, number, percent, value } from "./format.js";
import { t } from "./language.js";
import { empty } from "./parts.js";

export function distributionOf(tag, spread) {
  if (spread.hidden) return empty(t("tag.hidden"));
  if (!spread.shape || spread.shape === "empty") return empty(t("tag.no_values"));
  const under = h("p", { class: "quiet" },
    t("spread.under", {
      n: number(spread.rows - spread.absent, 0), rows: number(spread.rows, 0),
      absent: percent(spread.absent / spread.rows), day: day(spread.live.day),
    }));
  const chart = spread.shape === "bins" ? inBins(tag, spread) : ofValues(tag, spread);
  return [chart, under];
}

function ofValues(tag, spread) {
  const shown = (given) => value(given, tag.type, spread.ordered && tag.unit !== "share" ? null : tag.unit);
  const items = spread.values.map(([given, count]) => ({ label: shown(given), count }));
  if (spread.others) {
    const left = spread.distinct - spread.values.length;
    items.push({ label: t("spread.others", { n: number(left, 0) }), count: spread.others, look: "rest" });
  }
  const unlisted = tag.type === "list of text" ? spread.distinct - spread.values.length : 0;
  if (spread.absent) items.push({ label: t("value.none"), count: spread.absent, look: "rest" });
  const label = t("spread.label", { name: tag.slug, n: spread.distinct });
  const table = numbers(t("tag.distribution"), [t("spread.value"), t("spread.customers"), t("spread.share")],
    items.map((item) => [item.label, number(item.count, 0), percent(item.count / spread.rows)]));
  if (!spread.ordered) {
    const rest = unlisted > 0 ? h("p", { class: "quiet" }, t("spread.unlisted", { n: number(unlisted, 0) })) : null;
    return [bars(items, spread.rows, label), rest, table];
  }
  const ticks = items.map((item, at) => ({ at: at + 0.5, label: item.label }));
  const few = ticks.filter((_, at) => at % Math.ceil(items.length / 16) === 0);
  return [columns(items, spread.rows, label, few), table];
}

function inBins(tag, spread) {
  const { edges, counts, below, above } = spread;
  const axis = (edge) => axisValue(edge, tag.type, tag.unit);
  const items = counts.map((count, at) => ({
    count,
    label: `${axis(edges[at])} – ${axis(edges[at + 1])}`,
  }));
  const first = edges[0], last = edges[edges.length - 1];
  if (below) items.unshift({ count: below, label: `< ${axis(first)}`, look: "rest" });
  if (above) items.push({ count: above, label: `≥ ${axis(last)}`, look: "rest" });
  const shift = below ? 1 : 0;
  const every = Math.ceil(edges.length / (tag.type === "date" || tag.type === "timestamp" ? 6 : 9));
  const ticks = edges
    .map((edge, at) => ({ at: at + shift, label: axis(edge) }))
    .filter((_, at) => at % every === 0);
  const label = t("spread.label.bins", { name: tag.slug, from: axis(first), to: axis(last) });
  const unit = /^[A-Z]{3}$/.test(tag.unit ?? "") ? tag.unit : null;
  return [
    columns(items, spread.rows, label, ticks),
    unit ? h("p", { class: "quiet" }, t("spread.unit", { unit })) : null,
    numbers(t("tag.distribution"), [t("spread.range"), t("spread.customers"), t("spread.share")],
      items.map((item) => [item.label, number(item.count, 0), percent(item.count / spread.rows)])),
  ];
}
