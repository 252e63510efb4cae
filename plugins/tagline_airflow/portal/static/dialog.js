// A question before something is changed: what will happen, and the reason that is kept with it.

import { Refused } from "./api.js";
import { h, replace } from "./elements.js";
import { t, tOr } from "./language.js";

/** Ask; `send(reason)` does it. Resolves to what `send` gave, or null when it was cancelled. */
export function confirm({ title, effects, action, danger = false, send }) {
  return new Promise((resolve) => {
    const reason = h("textarea", {
      id: "reason", required: true, minlength: 3, maxlength: 1000, rows: 3, "aria-describedby": "reason-note",
    });
    const wrong = h("p", { class: "wrong", role: "alert" });
    const go = h("button", { type: "submit", class: danger ? "danger" : "primary", id: "confirm" }, action);
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" },
      h("form", { onsubmit: submit },
        h("h2", { id: "dialog-title" }, title),
        h("ul", { class: "effects" }, effects.map((effect) => h("li", {}, effect))),
        h("label", { for: "reason" }, t("dialog.reason")),
        reason,
        h("p", { class: "quiet", id: "reason-note" }, t("dialog.reason.note")),
        wrong,
        h("div", { class: "dialog-end" },
          h("button", { type: "button", onclick: () => dialog.close() }, t("dialog.cancel")), go)));
    let made = null;

    async function submit(event) {
      event.preventDefault();
      if (reason.value.trim().length < 3) {
        replace(wrong, t("dialog.reason.missing"));
        reason.focus();
        return;
      }
      go.disabled = true;
      replace(wrong);
      try {
        made = await send(reason.value.trim());
        dialog.close();
      } catch (error) {
        const text = error instanceof Refused ? error.message || tOr(`problem.${error.status}`, "") : String(error);
        replace(wrong, t("dialog.refused", { why: text }));
        go.disabled = false;
      }
    }

    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(made);
    });
    document.body.append(dialog);
    dialog.showModal();
    reason.focus();
  });
}
