// One release: its verdict with reasons, what changed, its tags, and who did what to it.

import { get } from "../api.js";
import { activate, mayActivate, mayReturn, rollBack } from "../decisions.js";
import { h, replace } from "../elements.js";
import { day, moment, number, percent, sentence } from "../format.js";
import { t } from "../language.js";
import { card, empty, facts, more, problem, stateBadge, statusBadge, table, tagLink, verdictBadge, waiting } from "../parts.js";
import { to } from "../router.js";

export async function release({ session, words: [id], again }) {
  const [row, { live }] = await Promise.all([get(`releases/${id}`), get("releases")]);
  const moved = h("div", { id: "changes" }, waiting());
  get(`releases/${id}/changes`).then(
    (found) => replace(moved, changes(found)), (error) => replace(moved, problem(error)));
  return [
    h("nav", { class: "crumbs", "aria-label": t("tag.place") }, h("a", { href: to.releases() }, t("nav.releases"))),
    h("div", { class: "title" },
      h("h1", {}, t("release.title", { id: row.release, day: day(row.day) })), statusBadge(row), verdictBadge(row.verdict),
      session.may_change ? h("span", { class: "buttons" },
        row.live ? h("button", { type: "button", class: "danger", id: "rollback", onclick: () => rollBack(null, again) }, t("decide.rollback")) : null,
        mayReturn(row, live) ? h("button", { type: "button", onclick: () => rollBack(row, again) }, t("decide.return")) : null,
        mayActivate(row) ? h("button", { type: "button", class: "primary", id: "activate", onclick: () => activate(row, again) }, t("decide.activate")) : null) : null),
    h("div", { class: "columns" },
      h("div", {},
        card(t("release.verdict"), verdict(row)),
        card(t("release.changes"), moved)),
      h("div", { class: "side" },
        card(t("release.facts"), facts([
          [t("releases.customers"), number(row.customers, 0)],
          [t("state.current"), number(row.states.current, 0)],
          [t("state.withheld"), number(row.states.withheld, 0)],
          [t("state.unavailable"), number(row.states.unavailable, 0)],
          [t("releases.made"), moment(row.created_at)],
          [t("releases.activated"), moment(row.activated_at)],
          [t("release.run"), h("code", {}, row.run)],
          [t("release.supersedes"), row.supersedes ? h("a", { href: to.release(row.supersedes) }, t("release.numbered", { id: row.supersedes })) : null],
          ...Object.entries(row.models).map(([name, model]) => [t("release.model", { name }), t("release.model.version", { version: model.mlflow_version ?? model.version, day: day(model.trained_as_of) })]),
        ])),
        card(t("release.events"), events(row)))),
  ];
}

function verdict(row) {
  const told = row.tags.filter((tag) => (tag.verdict && tag.verdict !== "pass") || tag.state !== "current");
  const passed = row.tags.length - told.length;
  const elsewhere = new Set(row.tags.flatMap((tag) => tag.reasons));
  const whole = row.reasons.filter((reason) => !elsewhere.has(reason));
  return [
    h("p", {}, t(`verdict.${row.verdict}.means`)),
    whole.length ? h("ul", { class: "reasons" }, whole.map((reason) => h("li", {}, sentence(reason)))) : null,
    told.length ? table(t("release.verdict"),
      [{ title: t("release.tag") }, { title: t("releases.status") }, { title: t("tag.gate") }, { title: t("release.reason") }],
      told.map((tag) => ({ cells: [tagLink(tag), stateBadge(tag.state), verdictBadge(tag.verdict),
        [...new Set([...tag.reasons, tag.reason].filter(Boolean))].map((reason) => sentence(reason, tag.slug)).join("; ")] }))) : null,
    h("p", { class: "quiet" }, t("release.passed", { n: passed })),
  ];
}

function changes(found) {
  if (!found.earlier) return empty(t("changes.first"));
  const { both, came, went } = found.customers;
  const against = h("p", { class: "quiet" }, t("changes.against"), " ",
    h("a", { href: to.release(found.earlier.release) }, t("release.title", { id: found.earlier.release, day: day(found.earlier.day) })));
  const people = h("p", {}, t("changes.customers", { both: number(both, 0), came: number(came, 0), went: number(went, 0) }));
  const list = (key, tags) => tags.length ? h("p", {}, t(key), " ", tags.map((tag, at) => [at ? ", " : "", tagLink(tag)])) : null;
  const rows = found.tags.map((tag) => ({ cells: [
    tagLink(tag), number(tag.gained, 0), number(tag.lost, 0), number(tag.moved, 0),
    h("span", { class: "share-bar" }, h("span", { class: "bar-track" }, h("span", { class: "bar", width_percent: both ? (100 * tag.changed) / both : 0 })),
      h("span", {}, percent(both ? tag.changed / both : 0))),
  ] }));
  const columns = [
    { title: t("release.tag") }, { title: t("changes.gained"), right: true }, { title: t("changes.lost"), right: true },
    { title: t("changes.moved"), right: true }, { title: t("changes.share"), right: true },
  ];
  return [
    against, people, list("changes.added", found.added), list("changes.removed", found.removed), list("changes.redefined", found.redefined),
    rows.length ? table(t("release.changes"), columns, rows.slice(0, 12), "changes") : null,
    rows.length > 12 ? more(t("changes.rest", { n: rows.length - 12 }), table(t("release.changes"), columns, rows.slice(12), "changes")) : null,
    h("p", { class: "quiet" }, t("changes.unchanged", { n: found.unchanged })),
  ];
}

function events(row) {
  return h("ol", { class: "events" }, [...row.events].reverse().map((event) =>
    h("li", {},
      h("strong", {}, t(`event.${event.action}`)), " ",
      h("span", { class: "quiet" }, t("event.by", { actor: event.actor, at: moment(event.at) })),
      h("span", { class: "block" }, event.reason))));
}
