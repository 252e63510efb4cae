// Parts that several pages have.

import { h } from "./elements.js";
import { day } from "./format.js";
import { named, t, tOr } from "./language.js";
import { to } from "./router.js";

export function badge(kind, text, title = null) {
  return h("span", { class: `badge ${kind}`, title }, text);
}

const STATE_LOOKS = { current: "good", withheld: "warn", unavailable: "off", unreleased: "off" };

export function stateBadge(state, reason = null) {
  return badge(STATE_LOOKS[state] ?? "off", t(`state.${state}`), reason);
}

const VERDICT_LOOKS = { pass: "good", warn: "warn", withhold: "bad", hold: "bad" };

export function verdictBadge(verdict) {
  if (!verdict) return h("span", { class: "quiet" }, "–");
  return badge(VERDICT_LOOKS[verdict] ?? "off", t(`verdict.${verdict}`));
}

const STATUS_LOOKS = { live: "live", active: "good", held: "warn", superseded: "off", withdrawn: "bad" };

export function statusBadge(row) {
  const status = row.live ? "live" : row.status;
  return badge(STATUS_LOOKS[status] ?? "off", t(`status.${status}`), t(`status.${status}.means`));
}

export function tagLink(tag) {
  return h("a", { href: to.tag(tag.slug), title: tag.slug }, named(tag.name, tag.slug));
}

export function card(title, ...content) {
  return h("section", { class: "card" }, h("h2", {}, title), content);
}

export function facts(pairs) {
  const shown = pairs.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" },
    shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

export function table(caption, columns, rows, look = "") {
  return h("div", { class: "scroll" },
    h("table", { class: look },
      h("caption", { class: "unseen" }, caption),
      h("thead", {}, h("tr", {}, columns.map((column) =>
        h("th", { scope: "col", class: column.right ? "right" : null }, column.title)))),
      h("tbody", {}, rows.map((row) => h("tr", { class: row.look ?? null },
        row.cells.map((cell, at) =>
          h("td", { class: columns[at].right ? "right" : null }, cell)))))));
}

export function more(title, ...content) {
  return h("details", {}, h("summary", {}, title), content);
}

export function code(text, label) {
  return h("pre", { tabindex: "0", role: "region", "aria-label": label }, h("code", {}, text));
}

export function empty(text, ...then) {
  return h("p", { class: "empty" }, text, then);
}

export function waiting() {
  return h("p", { class: "empty waiting" }, t("page.waiting"));
}

/** What went wrong, in words for a person, with what to do. */
export function problem(error) {
  const known = tOr(`problem.${error.status}`, null);
  if (error.status === undefined) console.error(error);
  return h("div", { class: "problem", role: "alert" },
    h("h1", {}, t("problem.title")),
    h("p", {}, known ?? error.message),
    known && error.message ? h("p", { class: "quiet" }, error.message) : null);
}

export function liveLine(live) {
  if (!live) return h("p", { class: "quiet" }, t("live.none"));
  return h("p", { class: "quiet" },
    t("live.line", { day: day(live.day), customers: live.customers.toLocaleString() }), " ",
    h("a", { href: to.release(live.release) }, t("release.numbered", { id: live.release })));
}

let fading = null;

/** Say in passing that something is done. */
export function notice(text) {
  const place = document.getElementById("notice");
  place.textContent = text;
  place.classList.add("shown");
  clearTimeout(fading);
  fading = setTimeout(() => place.classList.remove("shown"), 6000);
}
