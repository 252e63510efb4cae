// The releases: which is live, how each was judged, and a steward's decisions.

import { get } from "../api.js";
import { activate, mayActivate, mayReturn, rollBack } from "../decisions.js";
import { h } from "../elements.js";
import { day, moment, number } from "../format.js";
import { t } from "../language.js";
import { empty, facts, statusBadge, table, verdictBadge } from "../parts.js";
import { to } from "../router.js";

export async function releases({ session, query, again }) {
  const skip = Number(query.get("skip") ?? 0);
  const found = await get("releases", { skip });
  if (!found.total) return [h("h1", {}, t("releases.title")), empty(t("live.none"))];
  const columns = [
    { title: t("releases.day") }, { title: t("releases.release") }, { title: t("releases.status") },
    { title: t("tag.gate") }, { title: t("releases.customers"), right: true },
    { title: t("releases.tags"), right: true }, { title: t("state.withheld"), right: true },
    { title: t("state.unavailable"), right: true }, { title: t("releases.made") },
    ...(session.may_change ? [{ title: t("releases.actions") }] : []),
  ];
  const rows = found.releases.map((row) => ({
    look: row.live ? "is-live" : row.status === "withdrawn" || row.status === "superseded" ? "is-past" : null,
    cells: [
      day(row.day),
      h("a", { href: to.release(row.release) }, t("release.numbered", { id: row.release })),
      statusBadge(row), verdictBadge(row.verdict), number(row.customers, 0),
      number(row.states.current, 0), number(row.states.withheld, 0), number(row.states.unavailable, 0),
      moment(row.created_at), ...(session.may_change ? [actions(row, found.live, again)] : []),
    ],
  }));
  return [
    h("h1", {}, t("releases.title")),
    found.live ? live(found.live, session, again) : empty(t("live.none")),
    session.may_change ? null : h("p", { class: "quiet" }, t("releases.no_right")),
    table(t("releases.title"), columns, rows, "releases"),
    pages(found),
  ];
}

function live(row, session, again) {
  return h("section", { class: "card live-card", "aria-labelledby": "live-title" },
    h("div", {},
      h("h2", { id: "live-title" }, t("releases.live")),
      h("p", { class: "big" }, day(row.day)),
      h("p", { class: "quiet" }, h("a", { href: to.release(row.release) }, t("release.numbered", { id: row.release })))),
    facts([
      [t("releases.customers"), number(row.customers, 0)],
      [t("releases.tags"), number(row.states.current, 0)],
      [t("tag.gate"), verdictBadge(row.verdict)],
      [t("releases.activated"), moment(row.activated_at)],
    ]),
    session.may_change
      ? h("button", { type: "button", class: "danger", id: "rollback", onclick: () => rollBack(null, again) }, t("decide.rollback"))
      : null);
}

function actions(row, live, again) {
  const button = (text, act) => h("button", { type: "button", class: "small", onclick: act }, text);
  return h("span", { class: "buttons" },
    mayReturn(row, live) ? button(t("decide.return"), () => rollBack(row, again)) : null,
    mayActivate(row) ? button(t("decide.activate"), () => activate(row, again)) : null);
}

function pages({ total, skip, releases: shown }) {
  const size = 30;
  if (total <= shown.length) return null;
  const link = (text, from) => h("a", { href: `${to.releases()}?skip=${from}` }, text);
  return h("nav", { class: "pages", "aria-label": t("releases.pages") },
    skip > 0 ? link(t("releases.newer"), Math.max(0, skip - size)) : null,
    h("span", { class: "quiet" }, t("releases.range", { from: skip + 1, to: skip + shown.length, total })),
    skip + shown.length < total ? link(t("releases.older"), skip + size) : null);
}
