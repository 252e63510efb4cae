// One tag: meaning, figures, distribution, coverage over the releases, lineage, versions, SQL.

import { get } from "../api.js";
import { line, numbers } from "../charts.js";
import { h, replace } from "../elements.js";
import { day, duration, moment, number, percent, sentence, unitWord, value } from "../format.js";
import { named, t } from "../language.js";
import { badge, card, code, empty, facts, more, problem, stateBadge, tagLink, verdictBadge, waiting } from "../parts.js";
import { to } from "../router.js";
import { distributionOf } from "../spread.js";

export async function tag({ words: [slug] }) {
  const spread = get(`tags/${slug}/distribution`);
  spread.catch(() => {}); // told below
  const found = await get(`tags/${slug}`);
  const chart = h("div", { id: "distribution" }, waiting());
  spread.then((it) => replace(chart, distributionOf(found, it)), (error) => replace(chart, problem(error)));
  return [
    h("nav", { class: "crumbs", "aria-label": t("tag.place") },
      h("a", { href: to.catalogue() }, t("nav.catalogue")), " / ", named(found.theme_name), " / ", named(found.dimension_name)),
    h("div", { class: "title" },
      h("h1", {}, named(found.name)), h("code", { class: "slug" }, found.slug),
      stateBadge(found.state),
      found.figures?.verdict ? verdictBadge(found.figures.verdict) : null,
      found.critical ? badge("plain", t("tag.critical"), t("tag.critical.means")) : null,
      found.sensitivity === "restricted" ? badge("plain", t("tag.restricted"), t("tag.restricted.means")) : null),
    h("p", { class: "lead" }, found.description),
    found.reason ? h("p", { class: "remark" }, found.reason) : null,
    changed(found),
    h("div", { class: "columns" },
      h("div", {},
        card(t("tag.distribution"), chart),
        card(t("tag.coverage"), coverage(found)),
        card(t("tag.lineage"), lineage(found)),
        card(t("tag.sql"), sqlOf(found))),
      h("div", { class: "side" },
        card(t("tag.meaning"), meaning(found)),
        card(t("tag.figures"), figures(found)),
        card(t("tag.versions"), versions(found)),
        card(t("tag.definition"), h("p", { class: "quiet" }, h("code", {}, found.path)),
          more(t("tag.definition.show"), code(found.definition, t("tag.definition")))))),
  ];
}

function changed(found) {
  if (!found.live_version || found.live_version === found.version) return null;
  return h("p", { class: "remark" },
    t("tag.changed", { live: found.live_version, defined: found.version }));
}

function meaning(found) {
  return facts([
    [t("tag.kind"), h("span", {}, t(`kind.${found.kind}`), h("span", { class: "quiet block" }, t(`kind.${found.kind}.means`)))],
    [t("tag.type"), t(`type.${found.type}`)],
    [t("tag.unit"), found.unit ? unitWord(found.unit) : null],
    [t("tag.values"), found.values ? found.values.join(", ") : null],
    [t("tag.owner"), found.owner],
    [t("tag.polarity"), found.polarity ? t(`polarity.${found.polarity}`) : null],
    [t("tag.sensitivity"), t(`sensitivity.${found.sensitivity}`)],
    [t("tag.valid_for"), duration(found.valid_for_seconds)],
    [t("tag.version"), h("code", {}, found.version)],
  ]);
}

function figures(found) {
  if (found.hidden) return empty(t("tag.hidden"));
  const card = found.figures;
  if (!card) return empty(t("tag.no_figures"));
  const shown = (given) => (given === null || given === undefined ? null : value(given, found.type, found.unit));
  const middle = card.quantiles?.length ? shown(card.quantiles[4]) : null;
  return [
    facts([
      [t("tag.gate"), card.verdict ? verdictBadge(card.verdict) : null],
      [t("figures.as_of"), card.as_of ? day(card.as_of) : null],
      [t("figures.coverage"), card.coverage === undefined ? null : percent(card.coverage)],
      [t("figures.distinct"), card.distinct === undefined ? null : number(card.distinct, 0)],
      [t("figures.mean"), shown(card.mean)],
      [t("figures.median"), middle],
      [t("figures.range"), card.min === null || card.min === undefined ? null : `${shown(card.min)} – ${shown(card.max)}`],
      [t("figures.true_share"), card.true_share === null || card.true_share === undefined ? null : percent(card.true_share)],
      [t("figures.psi"), card.psi === null || card.psi === undefined ? null : h("span", { title: t("figures.psi.means") }, number(card.psi, 3))],
      [t("figures.changed"), card.changed === null || card.changed === undefined ? null : percent(card.changed)],
    ]),
    card.reasons?.length ? h("ul", { class: "reasons" }, card.reasons.map((reason) => h("li", {}, sentence(reason, found.slug)))) : null,
    h("p", { class: "quiet" }, h("a", { href: to.release(card.release) }, t("release.numbered", { id: card.release }))),
  ];
}

function coverage(found) {
  const points = found.history.map((point) => ({
    day: point.day,
    value: point.coverage,
    look: point.verdict,
    title: t("tag.coverage.point", { day: day(point.day), share: percent(point.coverage) }),
  }));
  const known = points.filter((point) => point.value !== null);
  if (!known.length) return empty(t("tag.no_figures"));
  const last = known[known.length - 1];
  const label = t("tag.coverage.label", { n: known.length, share: percent(last.value), day: day(last.day) });
  return [
    line(points, label),
    numbers(t("tag.coverage"),
      [t("releases.day"), t("figures.coverage"), t("figures.psi"), t("tag.gate")],
      [...found.history].reverse().map((point) => [
        h("a", { href: to.release(point.release) }, day(point.day)),
        percent(point.coverage), number(point.psi, 3), verdictBadge(point.verdict)])),
  ];
}

function lineage(found) {
  const { table: from, model, reads, read_by: readers, models } = found.lineage;
  const before = [
    ...(from ? [
      ...from.sources.map((name) => node("source", t("lineage.source"), name)),
      ...from.from_tables.map((name) => node("table", t("lineage.table"), name)),
      node("table", t("lineage.table"), from.name),
    ] : []),
    ...(model ? [node("model", t("lineage.model"), model)] : []),
    ...reads.map((it) => node("tag", t("lineage.tag"), tagLink(it))),
  ];
  const after = [
    ...readers.map((it) => node("tag", t("lineage.tag"), tagLink(it))),
    ...models.map((name) => node("model", t("lineage.model"), name)),
  ];
  const side = (title, nodes, none) =>
    h("div", {}, h("h3", {}, title), nodes.length ? h("ul", { class: "nodes" }, nodes) : h("p", { class: "quiet" }, none));
  return h("div", { class: "lineage" },
    side(t("lineage.before"), before, t("lineage.nothing_before")),
    h("div", { class: "arrow", "aria-hidden": "true" }, "→"),
    h("div", {}, h("h3", {}, t("lineage.this")),
      h("ul", { class: "nodes" }, node("this", t("lineage.tag"), named(found.name)))),
    h("div", { class: "arrow", "aria-hidden": "true" }, "→"),
    side(t("lineage.after"), after, t("lineage.nothing_after")));
}

function node(look, what, content) {
  return h("li", { class: `node ${look}` }, h("span", { class: "quiet" }, what), content);
}

function versions(found) {
  if (!found.versions.length) return empty(t("tag.no_versions"));
  return h("ol", { class: "versions" }, found.versions.map((version) =>
    h("li", {},
      h("code", {}, version.version), " ",
      version.live ? badge("live", t("versions.live")) : null, " ",
      version.defined && !version.live ? badge("plain", t("versions.defined")) : null,
      h("span", { class: "quiet block" },
        t("versions.since", { at: moment(version.first_seen_at), state: version.state ? t(`life.${version.state}`) : "–" })))));
}

function sqlOf(found) {
  const { text, note, model, as_of: at } = found.sql;
  if (!text) return empty(t(`sql.${note}`, { model }));
  return [
    h("p", { class: "quiet" }, t(note ? `sql.${note}` : "sql.whole", { day: day(at) })),
    more(t("sql.show", { lines: text.split("\n").length }), code(text, t("tag.sql"))),
  ];
}

