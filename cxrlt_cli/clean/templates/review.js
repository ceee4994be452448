"use strict";
(() => {
  const cells = Array.from(document.querySelectorAll(".cell"));
  const columns = document.body.dataset.columns.split(",");
  const key = `cxrlt review ${document.body.dataset.key}`;
  const status = document.getElementById("status");
  const reviews = {};
  let current = 0;
  let kept = true;
  let saved = true;

  const stored = () => {
    try { return JSON.parse(localStorage.getItem(key) || "{}"); } catch { return {}; }
  };

  const store = () => {
    try { localStorage.setItem(key, JSON.stringify(reviews)); kept = true; } catch { kept = false; }
    document.getElementById("storage").hidden = kept;
  };

  const showStatus = () => {
    const given = Object.values(reviews);
    const count = (review) => given.filter((one) => one === review).length;
    status.textContent = `${given.length} of ${cells.length} reviewed: ${count("keep")} keep, ${count("flip")} flip, ${count("unsure")} unsure`;
  };

  const show = (cell, review) => {
    cell.querySelectorAll("input[type=radio]").forEach((one) => { one.checked = one.value === review; });
  };

  const set = (cell, review) => {
    reviews[cell.dataset.rank] = review;
    saved = false;
    show(cell, review);
    store();
    showStatus();
  };

  const mark = (index) => {
    cells[current].classList.remove("current");
    current = index;
    cells[current].classList.add("current");
  };

  const go = (step) => {
    mark(Math.min(Math.max(current + step, 0), cells.length - 1));
    cells[current].focus({ preventScroll: true });
    cells[current].scrollIntoView({ block: "start" });
  };

  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);

  const csv = () => {
    const row = (cell) => columns.map((name) => quoted(name === "review" ? reviews[cell.dataset.rank] || "" : cell.dataset[name]));
    return [columns, ...cells.map(row)].map((values) => `${values.join(",")}\n`).join("");
  };

  const save = () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = `${document.body.dataset.name}-reviewed.csv`;
    document.body.append(link);
    link.click();
    link.remove();
    saved = true;
  };

  const parsed = (text) => {
    const rows = [[""]];
    let open = false;
    for (let at = 0; at < text.length; at += 1) {
      const row = rows[rows.length - 1], mark = text[at];
      if (open && mark === '"' && text[at + 1] === '"') { row[row.length - 1] += '"'; at += 1; }
      else if (mark === '"') open = !open;
      else if (!open && mark === ",") row.push("");
      else if (!open && mark === "\n") rows.push([""]);
      else if (open || mark !== "\r") row[row.length - 1] += mark;
    }
    return rows;
  };

  const load = (text) => {
    const [head, ...rows] = parsed(text.replace(/^\uFEFF/, ""));
    const at = ["image", "class", "given", "review"].map((name) => head.indexOf(name));
    const name = (values) => JSON.stringify(values);
    const cellOf = new Map(cells.map((cell) => [name([cell.dataset.image, cell.dataset.class, cell.dataset.given]), cell]));
    let found = 0;
    for (const row of at.includes(-1) ? [] : rows) {
      const cell = cellOf.get(name(at.slice(0, 3).map((place) => row[place])));
      const review = row[at[3]];
      if (cell && ["keep", "flip", "unsure"].includes(review)) { set(cell, review); found += 1; }
    }
    showStatus();
    status.textContent += `; ${found} taken from the file`;
  };

  const actions = {
    k: () => { set(cells[current], "keep"); go(1); },
    f: () => { set(cells[current], "flip"); go(1); },
    u: () => { set(cells[current], "unsure"); go(1); },
    n: () => go(1),
    p: () => go(-1),
    m: () => { const box = document.getElementById("overlays"); if (box) box.click(); },
  };

  cells.forEach((cell, index) => {
    cell.addEventListener("focusin", () => mark(index));
    cell.addEventListener("click", () => mark(index));
    cell.querySelectorAll("input[type=radio]").forEach((one) => one.addEventListener("change", () => set(cell, one.value)));
  });
  addEventListener("keydown", (event) => {
    const action = actions[event.key.toLowerCase()];
    const other = event.ctrlKey || event.metaKey || event.altKey || !document.getElementById("keys").checked;
    if (!action || other || !cells.length) return;
    event.preventDefault();
    action();
  });
  document.getElementById("save").addEventListener("click", save);
  document.getElementById("load").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) file.text().then(load);
  });
  const overlays = document.getElementById("overlays");
  if (overlays) overlays.addEventListener("change", () => document.body.classList.toggle("bare", !overlays.checked));
  addEventListener("beforeunload", (event) => { if (!kept && !saved) event.preventDefault(); });

  const before = stored();
  cells.forEach((cell) => {
    const review = before[cell.dataset.rank];
    if (review) { reviews[cell.dataset.rank] = review; show(cell, review); }
  });
  store();
  if (cells.length) mark(Math.max(cells.findIndex((cell) => !reviews[cell.dataset.rank]), 0));
  showStatus();
})();
