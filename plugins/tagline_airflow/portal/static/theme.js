// Light or dark as Airflow shows itself; outside Airflow's frame as the system prefers.

function airflow() {
  try {
    return window.parent !== window ? window.parent.document.documentElement : null;
  } catch {
    return null;
  }
}

function isDark() {
  const outer = airflow();
  if (outer) {
    const told = `${outer.className} ${outer.dataset.theme ?? ""} ${outer.style.colorScheme}`;
    if (/\bdark\b/.test(told)) return true;
    if (/\blight\b/.test(told)) return false;
  }
  const kept = localStorage.getItem("theme");
  if (kept === "dark" || kept === "light") return kept === "dark";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

export function followTheme() {
  const apply = () => {
    document.documentElement.dataset.theme = isDark() ? "dark" : "light";
  };
  apply();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
  window.addEventListener("storage", apply);
  const outer = airflow();
  if (outer) new MutationObserver(apply).observe(outer, { attributes: true });
}
