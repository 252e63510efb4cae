// Starts the portal: theme, language, who is signed in; then shows the page that is asked for.

import { get } from "./api.js";
import { h, replace } from "./elements.js";
import { LANGUAGES, language, loadLanguage, named, t } from "./language.js";
import { problem, waiting } from "./parts.js";
import { place, to } from "./router.js";
import { followTheme } from "./theme.js";

const main = document.getElementById("main");
const header = document.getElementById("header");
let session = null;
let turn = 0;

function showHeader(section) {
  const link = (name, address) =>
    h("a", { href: address, "aria-current": name === section ? "page" : null }, t(`nav.${name}`));
  const languages = Object.entries(LANGUAGES).map(([code, name]) =>
    h("button", {
      type: "button", lang: code === "zh" ? "zh-CN" : "en", id: `language-${code}`,
      "aria-pressed": String(code === language()),
      onclick: () => changeLanguage(code),
    }, name));
  replace(header,
    h("nav", { "aria-label": t("nav.label") },
      link("catalogue", to.catalogue()), link("customers", to.customers()),
      link("releases", to.releases())),
    h("div", { class: "header-end" },
      session && h("span", { class: "business" }, named(session.business.name)),
      h("div", { class: "languages", role: "group", "aria-label": t("nav.language") }, languages)));
  document.getElementById("skip").textContent = t("nav.skip");
}

async function changeLanguage(code) {
  await loadLanguage(code);
  await show(false);
  document.getElementById(`language-${code}`).focus();
}

/** Show the page of the address; an answer that comes late does not replace a later page. */
async function show(move = true) {
  const mine = ++turn;
  const { page, section, words, query } = place();
  showHeader(section);
  const late = setTimeout(() => mine === turn && replace(main, waiting()), 150);
  let content;
  try {
    session = session ?? (await get("session"));
    content = await page({ session, words, query, again: () => show(false) });
  } catch (error) {
    content = problem(error);
  }
  clearTimeout(late);
  if (mine !== turn) return;
  showHeader(section);
  const kept = window.scrollY;
  replace(main, content);
  main.dataset.ready = String(mine);
  const title = main.querySelector("h1")?.textContent ?? "";
  document.title = title ? `${title} · Tagline` : "Tagline";
  if (move) {
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  } else window.scrollTo(0, kept);
}

document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
followTheme();
await loadLanguage();
window.addEventListener("hashchange", () => show());
await show();
