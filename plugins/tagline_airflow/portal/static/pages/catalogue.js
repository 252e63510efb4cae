// The catalogue: every tag of the business, to search and to filter.

import { get } from "../api.js";
import { h, replace } from "../elements.js";
import { percent } from "../format.js";
import { named, t, tOr } from "../language.js";
import { badge, empty, liveLine, stateBadge } from "../parts.js";
import { to } from "../router.js";

const KINDS = ["extraction", "statistic", "rank", "rule", "score", "grade", "model", "manual"];
const STATES = ["current", "withheld", "unavailable", "unreleased"];
const chosen = { text: "", theme: "", kind: "", state: "" }; // kept while the portal is open

export async function catalogue() {
  const { live, themes, tags, faults } = await get("catalogue");
  const list = h("div", { id: "tags" });
  const count = h("p", { class: "quiet count", role: "status" });

  function show() {
    const kept = tags.filter(fits);
    replace(count, t("catalogue.count", { n: kept.length, all: tags.length }));
    const groups = themes
      .map((theme) => [theme, kept.filter((tag) => tag.theme === theme.slug)])
      .filter(([, members]) => members.length);
    replace(list, groups.length ? groups.map(([theme, members]) => group(theme, members))
      : empty(t("catalogue.nothing"), " ", h("button", { type: "button", class: "link", onclick: clear }, t("catalogue.clear"))));
  }

  function clear() {
    Object.assign(chosen, { text: "", theme: "", kind: "", state: "" });
    for (const field of filters.querySelectorAll("input, select")) field.value = "";
    show();
    filters.querySelector("input").focus();
  }

  const select = (name, options) =>
    h("label", {}, h("span", {}, t(`catalogue.${name}`)),
      h("select", { id: `filter-${name}`, onchange: (event) => { chosen[name] = event.target.value; show(); } },
        h("option", { value: "" }, t("catalogue.all")),
        options.map(([value, text]) => h("option", { value, selected: chosen[name] === value }, text))));
  const used = (values, of) => values.filter((value) => tags.some((tag) => tag[of] === value));
  const filters = h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
    h("label", { class: "grow" }, h("span", {}, t("catalogue.search")),
      h("input", {
        type: "search", id: "search", value: chosen.text, placeholder: t("catalogue.search.hint"), autocomplete: "off",
        oninput: (event) => { chosen.text = event.target.value; show(); },
      })),
    select("theme", themes.map((theme) => [theme.slug, named(theme.name)])),
    select("kind", used(KINDS, "kind").map((kind) => [kind, t(`kind.${kind}`)])),
    select("state", used(STATES, "state").map((state) => [state, t(`state.${state}`)])));
  show();
  return [
    h("h1", {}, t("catalogue.title")),
    liveLine(live),
    faults.length ? h("div", { class: "problem", role: "alert" },
      h("p", {}, t("catalogue.faults")), h("ul", {}, faults.map((fault) => h("li", {}, fault)))) : null,
    filters, count, list,
  ];
}

function fits(tag) {
  if (chosen.theme && tag.theme !== chosen.theme) return false;
  if (chosen.kind && tag.kind !== chosen.kind) return false;
  if (chosen.state && tag.state !== chosen.state) return false;
  const words = chosen.text.toLowerCase().split(/\s+/).filter(Boolean);
  const text = `${tag.slug} ${tag.name.en} ${tag.name.zh} ${tag.description} ${tag.owner}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

function group(theme, members) {
  return h("section", { class: "theme", "aria-labelledby": `theme-${theme.slug}` },
    h("h2", { id: `theme-${theme.slug}` }, named(theme.name), h("span", { class: "quiet" }, ` ${members.length}`)),
    h("ul", { class: "tag-list" }, members.map((tag) => entry(tag, theme))));
}

function entry(tag, theme) {
  const shown = tag.state === "current" ? t("catalogue.coverage", { share: percent(tag.coverage) }) : tag.reason;
  return h("li", {},
    h("a", { href: to.tag(tag.slug), class: "tag-card" },
      h("span", { class: "tag-head" },
        h("strong", {}, named(tag.name, tag.slug)),
        tag.state === "current" ? null : stateBadge(tag.state),
        tag.critical ? badge("plain", t("tag.critical"), t("tag.critical.means")) : null,
        tag.sensitivity === "restricted" ? badge("plain", t("tag.restricted"), t("tag.restricted.means")) : null),
      h("span", { class: "slug" }, tag.slug),
      h("span", { class: "tag-text" }, tag.description),
      h("span", { class: "tag-foot" },
        h("span", {}, named(theme.dimensions[tag.dimension], tag.dimension)),
        h("span", {}, t(`kind.${tag.kind}`)),
        shown ? h("span", { class: tag.state === "current" ? null : "why", title: shown }, shown)
          : h("span", {}, tOr(`state.${tag.state}.means`, "")))));
}
