"use strict";
(() => {
  const table = document.getElementById("table");
  const body = table.tBodies[0];
  const heads = Array.from(table.tHead.rows[0].cells);
  const status = document.getElementById("status");
  const find = document.getElementById("find");
  const panels = Array.from(document.querySelectorAll("#curves .panel"));
  let order = "most frequent first";

  const value = (row, column) => {
    const cell = row.cells[column];
    if (cell.dataset.value === undefined) return cell.textContent.trim().toLowerCase();
    const number = Number(cell.dataset.value);
    return Number.isNaN(number) ? -Infinity : number;
  };

  const sort = (column) => {
    const head = heads[column];
    const numeric = head.classList.contains("num");
    const before = head.getAttribute("aria-sort");
    const up = before === "none" ? !numeric : before === "descending";
    heads.forEach((one) => one.hasAttribute("aria-sort") && one.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = Array.from(body.rows);
    rows.sort((a, b) => {
      const x = value(a, column), y = value(b, column);
      return (x < y ? -1 : x > y ? 1 : 0) * (up ? 1 : -1);
    });
    body.append(...rows);
    order = `by ${head.textContent.trim()}, ${up ? "ascending" : "descending"}`;
    showStatus();
  };

  const showStatus = () => {
    const shown = Array.from(body.rows).filter((row) => !row.hidden).length;
    status.textContent = `${shown} of ${body.rows.length} classes, ${order}`;
  };

  const filter = () => {
    const text = find.value.trim().toLowerCase();
    const checked = document.querySelector('input[name="group"]:checked');
    const group = checked ? checked.value : "";
    const shown = new Set();
    for (const row of body.rows) {
      const fits = row.dataset.class.toLowerCase().includes(text) && (!group || row.dataset.group === group);
      row.hidden = !fits;
      if (fits) shown.add(row.dataset.class);
    }
    panels.forEach((panel) => { panel.hidden = !shown.has(panel.dataset.class); });
    showStatus();
  };

  heads.forEach((head, column) => {
    const button = head.querySelector("button");
    if (button) button.addEventListener("click", () => sort(column));
  });
  find.addEventListener("input", filter);
  document.querySelectorAll('input[name="group"]').forEach((one) => one.addEventListener("change", filter));
  const overlays = document.getElementById("overlays");
  if (overlays) overlays.addEventListener("change", () => document.body.classList.toggle("bare", !overlays.checked));
  const closed = [];
  addEventListener("beforeprint", () => document.querySelectorAll("details:not([open])").forEach((one) => {
    closed.push(one);
    one.open = true;
  }));
  addEventListener("afterprint", () => closed.splice(0).forEach((one) => { one.open = false; }));
  showStatus();
})();
