// Numbers, days and values as the language writes them.

import { language, locale, t, tOr } from "./language.js";

const made = new Map();

function formatter(kind, options) {
  const key = JSON.stringify([locale(), kind.name, options]);
  if (!made.has(key)) made.set(key, new kind(locale(), options));
  return made.get(key);
}

export function number(value, digits = 2) {
  if (value === null || value === undefined) return "–";
  return formatter(Intl.NumberFormat, { maximumFractionDigits: digits }).format(value);
}

export function percent(share, digits = 1) {
  if (share === null || share === undefined) return "–";
  const options = { style: "percent", maximumFractionDigits: digits };
  return formatter(Intl.NumberFormat, options).format(share);
}

export function day(text) {
  if (!text) return "–";
  const date = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  return formatter(Intl.DateTimeFormat, { dateStyle: "medium", timeZone: "UTC" }).format(date);
}

export function shortDay(text) {
  const date = new Date(`${text.slice(0, 10)}T00:00:00Z`);
  const options = { day: "numeric", month: "short", timeZone: "UTC" };
  return formatter(Intl.DateTimeFormat, options).format(date);
}

export function moment(text) {
  if (!text) return "–";
  const options = { dateStyle: "medium", timeStyle: "short" };
  return formatter(Intl.DateTimeFormat, options).format(new Date(text));
}

export function duration(seconds) {
  const days = seconds / 86400;
  if (Number.isInteger(days)) return t(days === 1 ? "duration.day" : "duration.days", { n: days });
  return t("duration.hours", { n: number(seconds / 3600) });
}

/** A tag's value with its unit; `unit` is a currency code, a share, or a word. */
export function value(given, type, unit) {
  if (given === null || given === undefined) return t("value.none");
  if (typeof given === "boolean") return t(given ? "value.yes" : "value.no");
  if (Array.isArray(given)) return given.length ? given.join(language() === "zh" ? "、" : ", ") : t("value.empty");
  if (type === "date" || type === "timestamp") return type === "date" ? day(given) : moment(given);
  if (typeof given !== "number") return String(given);
  if (unit === "share") return percent(given);
  if (/^[A-Z]{3}$/.test(unit ?? "")) return money(given, unit);
  const text = number(given);
  if (!unit) return text;
  return t("value.with_unit", { value: text, unit: unitWord(unit, given) });
}

export function money(given, currency, digits = 2) {
  const options = {
    style: "currency", currency, currencyDisplay: "narrowSymbol",
    maximumFractionDigits: digits, minimumFractionDigits: digits,
  };
  return formatter(Intl.NumberFormat, options).format(given);
}

/** A sentence of the core, its midnights written as days and its own tag's name left out. */
export function sentence(text, slug = "") {
  const short = slug && text.startsWith(`${slug}: `) ? text.slice(slug.length + 2) : text;
  return short.replace(/(\d{4}-\d\d-\d\d)T00:00:00\+00:00/g, "$1");
}

/** The word for a unit, of one or of many. */
export function unitWord(unit, count = 2) {
  const words = tOr(`unit.${unit}`, unit);
  const [many, one] = words.split("|");
  return count === 1 && one ? one : many;
}

/** A value in few characters, for the axis of a chart. */
export function axisValue(given, type, unit) {
  if (type === "date" || type === "timestamp") return day(given);
  if (typeof given !== "number") return value(given, type, unit);
  if (unit === "share") return percent(given, 0 < Math.abs(given) && Math.abs(given) < 0.1 ? 1 : 0);
  const options = { notation: Math.abs(given) >= 10000 ? "compact" : "standard", maximumFractionDigits: 2 };
  return formatter(Intl.NumberFormat, options).format(given);
}
