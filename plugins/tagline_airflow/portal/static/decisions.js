// A steward's decisions on releases: roll back, go back to an earlier one, release a held one.

import { get, post } from "./api.js";
import { confirm } from "./dialog.js";
import { day, sentence } from "./format.js";
import { t } from "./language.js";
import { notice } from "./parts.js";

export function mayReturn(row, live) {
  if (!live || row.live || !["active", "superseded"].includes(row.status)) return false;
  return new Date(row.as_of) <= new Date(live.as_of);
}

export function mayActivate(row) {
  return row.status === "held" || row.status === "withdrawn";
}

/** Roll the live release back, or return to `row`. */
export async function rollBack(row, again) {
  let plan;
  try {
    plan = await get("releases/rollback", { to: row?.release });
  } catch (error) {
    notice(error.message);
    return;
  }
  const effects = [
    t("decide.withdraws", { ids: plan.withdraws.join(", ") || "–" }),
    plan.becomes ? t("decide.becomes", { id: plan.becomes.release, day: day(plan.becomes.day) }) : t("decide.only"),
    t("decide.at_once"),
  ];
  const done = await confirm({
    title: t(row ? "decide.return.title" : "decide.rollback.title", { id: row?.release ?? plan.live }),
    effects, action: t(row ? "decide.return" : "decide.rollback.now"), danger: true,
    send: (reason) => post("releases/rollback", { reason, expected_live: plan.live, to: row?.release ?? null }),
  });
  if (!done) return;
  await again();
  notice(t("decide.now_live", { id: done.live.release, day: day(done.live.day) }));
}

/** Release what the gate has held, or what was withdrawn. */
export async function activate(row, again) {
  const done = await confirm({
    title: t("decide.activate.title", { id: row.release, day: day(row.day) }),
    effects: [
      ...(row.status === "held" ? row.reasons.map((reason) => t("decide.held_for", { reason: sentence(reason) })) : [t("decide.was_withdrawn")]),
      t("decide.supersedes", { day: day(row.day) }),
    ],
    action: t("decide.activate.now"),
    send: (reason) => post(`releases/${row.release}/activate`, { reason }),
  });
  if (!done) return;
  await again();
  notice(t("decide.released", { id: done.release.release, day: day(done.release.day) }));
}
