// Search, export and start.
"use strict";

// Calls whose function or file contains the words; bytes of nested matches count once.
function searcher(app) {
  return (words) => {
    const wanted = words.trim().toLowerCase();
    const { header, frames, tree } = app;
    if (!wanted) {
      app.matches = null;
      $("found").textContent = "";
      return app.draw();
    }
    const hit = (names) => names.map((name) => name.toLowerCase().includes(wanted));
    const functions = hit(header.functions), files = hit(header.files);
    app.matches = frames.fn.map((fn, i) => +(functions[fn] || files[frames.file[i]]));
    const column = app.metric === "difference" ? "live_bytes" : app.metric;
    let calls = 0, total = 0, until = 0;
    for (let i = 0; i < tree.n; i++) {
      if (!app.matches[tree.frame[i]]) continue;
      calls++;
      if (i >= until) { total += tree.sum[column][i]; until = tree.end[i]; }
    }
    const amount = column.endsWith("_count") ? countText(total) : bytesText(total);
    const share = shareText(total, tree.sum[column][0]);
    $("found").textContent = calls ? `${countText(calls)} call${calls === 1 ? "" : "s"}, ${amount}${share && ", " + share}` : "no call";
    app.draw();
  };
}

// The next widest matching call after the selected one.
function nextMatch(app) {
  const { tree, places } = app;
  const found = [];
  for (let i = 0; i < tree.n; i++) {
    if (app.matches && app.matches[tree.frame[i]] && places.width[i] > 0) {
      found.push(i);
      i = tree.end[i] - 1;
    }
  }
  found.sort((a, b) => places.width[b] - places.width[a]);
  if (!found.length) return;
  const next = found[(found.indexOf(app.selected) + 1) % found.length];
  app.zoom(Math.max(0, tree.parent[next]));
  app.select(next, true);
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// A saved picture says by itself what it shows: title, what width means, the colours.
const HEAD = 3 * ROW;

function paintHead(app, sink, width, ink) {
  const label = app.header.metrics.find(({ name }) => name === app.metric).label;
  const room = width - 2 * PAD, letters = Math.floor(room / sink.letter);
  const cut = (text) => text.length > letters ? text.slice(0, letters - 1) + "\u2026" : text;
  sink.text(PAD, ROW / 2, cut(document.title), room, ink, 1);
  sink.text(PAD, 1.5 * ROW, cut(`width: ${label}`), room, ink, 1);
  let left = PAD;
  for (const key of [$("legend"), $("change")].filter((part) => !part.hidden)) {
    for (const entry of key.children) {
      const colour = entry.querySelector("i").style.backgroundColor, name = entry.textContent;
      sink.rect(left, 2 * ROW + 4, 11, 11, colour, 1);
      sink.text(left + 15, 2.5 * ROW, name, room, ink, 1);
      left += 30 + name.length * sink.letter;
    }
  }
}

function exportPng(app) {
  const scale = 2, copy = document.createElement("canvas"), style = getComputedStyle(document.body);
  copy.width = app.width * scale;
  copy.height = (app.height + HEAD) * scale;
  const context = copy.getContext("2d");
  context.scale(scale, scale);
  context.fillStyle = style.backgroundColor;
  context.fillRect(0, 0, app.width, app.height + HEAD);
  paintHead(app, canvasSink(context, app.letter), app.width, style.color);
  context.translate(0, HEAD);
  paint(app, canvasSink(context, app.letter), app.width, app.height);
  copy.toBlob((blob) => save(blob, "allocation-tree.png"), "image/png");
}

function exportSvg(app) {
  const sink = svgSink(app.letter), height = app.height + HEAD;
  paintHead(app, sink, app.width, "#59626c");
  sink.parts.push(`<g transform="translate(0 ${HEAD})">`);
  paint(app, sink, app.width, app.height);
  const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${app.width}" height="${height}"`
    + ` viewBox="0 0 ${app.width} ${height}" font-family="monospace" font-size="11">`;
  save(new Blob([head, ...sink.parts, "</g></svg>"], { type: "image/svg+xml" }), "allocation-tree.svg");
}

async function main() {
  const app = startApp(readTrees(await unpack($("packed").textContent)));
  $("plain").hidden = true;
  $("live").hidden = false;
  $("metric").replaceChildren(...app.header.metrics.map(({ name, label }) => new Option(label, name)));
  $("metric").addEventListener("change", (event) => app.choose(event.target.value));
  app.search = searcher(app);
  $("search").addEventListener("input", (event) => app.search(event.target.value));
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") nextMatch(app);
    else if (event.key === "Escape") { event.target.value = ""; app.search(""); $("icicle").focus(); }
  });
  $("reset").addEventListener("click", () => { app.zoom(0); app.select(0, false); });
  $("png").addEventListener("click", () => exportPng(app));
  $("svg").addEventListener("click", () => exportSvg(app));
  app.choose(app.header.metrics[0].name);
  app.drawNow();
  document.documentElement.dataset.ready = performance.now().toFixed(1);
}

main().catch((error) => {
  // An old browser still has the plain list of the largest calls.
  $("live").hidden = true;
  $("plain").hidden = false;
  $("why").textContent = `The interactive tree needs a newer browser (${error.message}).`;
});
