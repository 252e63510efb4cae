// A customer: found by id, with every tag, how old it is and why it is so.

import { get } from "../api.js";
import { h, replace } from "../elements.js";
import { day, moment, value } from "../format.js";
import { language, named, t } from "../language.js";
import { badge, empty, more, problem, tagLink } from "../parts.js";
import { to } from "../router.js";

export async function customer({ words: [id], query }) {
  const asOf = query.get("as_of");
  const [listed, shown] = await Promise.all([
    get("customers", { prefix: "" }),
    id === undefined ? null : get("profile", { customer_id: id, as_of: asOf }).catch((error) => error),
  ]);
  let content;
  if (id === undefined) content = start(listed);
  else if (shown instanceof Error) {
    content = shown.status === 404 ? empty(t("customer.unknown", { id })) : problem(shown);
  } else content = await profile(shown, listed, asOf);
  return [id === undefined || shown instanceof Error ? h("h1", {}, t("customer.title")) : null, search(id ?? ""), content];
}

/** The search field, with ids that begin with what is typed. */
function search(id) {
  const list = h("datalist", { id: "customer-ids" });
  let asked = 0;
  async function suggest(event) {
    const mine = ++asked;
    await new Promise((later) => setTimeout(later, 120));
    if (mine !== asked) return;
    try {
      const { customers } = await get("customers", { prefix: event.target.value.trim() });
      if (mine === asked) replace(list, customers.map((each) => h("option", { value: each })));
    } catch { /* a search without suggestions still finds */ }
  }
  const field = h("input", {
    type: "search", id: "customer", list: "customer-ids", value: id, autocomplete: "off", spellcheck: "false",
    oninput: suggest, required: true,
  });
  return h("form", {
    class: "filters", role: "search",
    onsubmit: (event) => {
      event.preventDefault();
      if (field.value.trim()) location.hash = to.customer(field.value.trim());
    },
  }, h("label", { class: "grow" }, h("span", {}, t("customer.search")), field), list,
  h("button", { type: "submit", class: "primary" }, t("customer.show")));
}

function start(listed) {
  if (!listed.customers.length) return empty(t("live.none"));
  return h("p", { class: "quiet" }, t("customer.try"), " ",
    listed.customers.slice(0, 6).map((each) => [h("a", { href: to.customer(each) }, each), " "]));
}

async function profile(found, listed, asOf) {
  const { themes } = await get("catalogue");
  const choose = h("select", {
    id: "day", onchange: (event) => { location.hash = to.customer(found.customer_id, event.target.value || null); },
  }, listed.days.map((each, at) =>
    h("option", { value: at ? each.as_of : "", selected: asOf ? sameInstant(each.as_of, asOf) : at === 0 },
      at ? day(each.day) : t("customer.live_day", { day: day(each.day) }))));
  const groups = themes.map((theme) => [theme, found.tags.filter((tag) => tag.theme === theme.slug)]);
  const rest = found.tags.filter((tag) => !themes.some((theme) => theme.slug === tag.theme));
  if (rest.length) groups.push([{ name: { en: "–", zh: "–" }, slug: "rest", dimensions: {} }, rest]);
  return [
    h("div", { class: "title" },
      h("h1", {}, t("customer.numbered", { id: found.customer_id })),
      h("label", { class: "inline" }, h("span", {}, t("customer.day")), choose)),
    h("p", { class: "quiet" }, t("customer.from"), " ",
      h("a", { href: to.release(found.release) }, t("release.numbered", { id: found.release }))),
    groups.filter(([, tags]) => tags.length).map(([theme, tags]) =>
      h("section", { class: "theme", "aria-labelledby": `profile-${theme.slug}` },
        h("h2", { id: `profile-${theme.slug}` }, named(theme.name)),
        h("ul", { class: "profile" }, tags.map(entry)))),
    found.unavailable.length ? more(t("customer.unavailable", { n: found.unavailable.length }),
      h("ul", { class: "reasons" }, found.unavailable.map((tag) =>
        h("li", {}, tagLink(tag), h("span", { class: "quiet block" }, tag.reason))))) : null,
  ];
}

function sameInstant(one, other) {
  return new Date(one).getTime() === new Date(other).getTime();
}

function expiry(tag) {
  return tag.expires_day ? day(tag.expires_day) : moment(tag.expires_at);
}

const POLARITY = { positive: "good", negative: "bad", special: "warn" };

function entry(tag) {
  const told = tag.hidden ? h("span", { class: "quiet" }, t("tag.hidden.short"))
    : h("span", { class: tag.value === null ? "value none" : "value" }, value(tag.value, tag.type, tag.unit));
  const speaks = tag.type === "boolean" && tag.value === true && tag.polarity;
  return h("li", { class: speaks ? `said ${POLARITY[tag.polarity]}` : null },
    h("div", { class: "profile-name" }, tagLink(tag), h("code", { class: "slug" }, tag.slug)),
    h("div", { class: "profile-value" }, told,
      tag.expired ? badge("warn", t("customer.expired"), t("customer.expired.means", { at: expiry(tag) })) : null,
      tag.state === "withheld" ? badge("warn", t("state.withheld"), tag.withheld_because) : null),
    h("div", { class: "profile-why" },
      h("span", {}, (language() === "zh" && tag.because_zh) || (tag.because ?? "")),
      h("span", { class: "quiet block" },
        tag.made_day ? t("customer.age", { day: day(tag.made_day), until: expiry(tag) }) : t("customer.never"),
        tag.version ? [" · ", h("code", {}, tag.version)] : null)));
}
