"use strict";
// What pages do beside what they do without a script.

// A page with data-refresh is read again so often (seconds), unless somebody is at work on it.
const main = document.querySelector("main[data-refresh]");
if (main) {
  const busy = () => document.hidden
    || main.contains(document.activeElement) && document.activeElement.matches("input, textarea, select, button")
    || [...main.querySelectorAll("textarea")].some((field) => field.value !== field.defaultValue)
    || main.querySelector("details[open]");
  setInterval(async () => {
    if (busy()) return;
    try {
      const here = new URL(location);
      here.searchParams.delete("done"); // which is said once
      const answer = await fetch(here);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.querySelector("main[data-refresh]");
      if (answer.ok && next && !busy()) main.replaceChildren(...next.childNodes);
    } catch { /* the server is away; the next time it may be there */ }
  }, Number(main.dataset.refresh) * 1000);
}

// A key presses what names it in data-key: buttons, links and boxes are clicked, fields are entered.
let sent = false;
document.addEventListener("submit", () => { sent = true; });
window.addEventListener("pageshow", () => { sent = false; });
document.addEventListener("keydown", (event) => {
  const inField = event.target.matches("textarea, select, input:not([type=checkbox], [type=radio])");
  if (event.key === "Escape" && inField) event.target.blur();
  if (sent || inField || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  const found = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!found) return;
  event.preventDefault();
  if (found.matches("textarea, input:not([type=checkbox], [type=radio])")) found.focus();
  else found.click();
});

// j and k go through what a page lists
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select, textarea") || event.ctrlKey || event.altKey || event.metaKey) return;
  const step = { j: 1, k: -1 }[event.key];
  const items = [...document.querySelectorAll("[data-item]")];
  if (!step || !items.length) return;
  const at = items.indexOf(document.activeElement);
  const next = items[Math.min(items.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
  next.focus();
  next.closest("article")?.scrollIntoView({ block: "nearest" });
});
