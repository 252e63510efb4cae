// Texts in the chosen language. The choice is kept; without one Airflow's own language decides.

const KEPT = "tagline.language";
export const LANGUAGES = { en: "English", zh: "中文" };

let texts = {};
let current = "en";

export function language() {
  return current;
}

export function locale() {
  return current === "zh" ? "zh-CN" : "en-GB";
}

function chosen() {
  const known = (code) => (code ? Object.keys(LANGUAGES).find((l) => code.startsWith(l)) : null);
  return (
    known(localStorage.getItem(KEPT)) ||
    known(localStorage.getItem("i18nextLng")) ||
    known(navigator.language) ||
    "en"
  );
}

export async function loadLanguage(code = null) {
  if (code) localStorage.setItem(KEPT, code);
  current = chosen();
  const answer = await fetch(`static/languages/${current}.json`);
  texts = await answer.json();
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
}

/** The text of a key, its {places} filled in; a key without a text shows itself. */
export function t(key, values = {}) {
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (place, name) => (name in values ? String(values[name]) : place));
}

/** A text that may be missing, such as the word for a unit that an author has made up. */
export function tOr(key, otherwise) {
  return texts[key] ?? otherwise;
}

/** A definition's own name, which it has in every language. */
export function named(names, otherwise = "") {
  return names?.[current] ?? otherwise;
}
