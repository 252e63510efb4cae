// The portal's JSON API, by addresses relative to the page.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function get(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  const text = new URLSearchParams(given).toString();
  return ask(text ? `${path}?${text}` : path, {});
}

export function post(path, body) {
  return ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Tagline-Portal": "1" },
    body: JSON.stringify(body),
  });
}

async function ask(path, options) {
  let answer;
  try {
    answer = await fetch(`api/${path}`, { credentials: "same-origin", ...options });
  } catch {
    throw new Refused(0, "");
  }
  const document = await answer.json().catch(() => ({}));
  if (answer.ok) return document;
  const detail = typeof document.detail === "string" ? document.detail : "";
  throw new Refused(answer.status, document.message || detail || answer.statusText);
}
