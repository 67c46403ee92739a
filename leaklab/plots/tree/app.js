// The icicle's controls: zoom, pan, keyboard, search, tooltip, export.
"use strict";

const $ = (id) => document.getElementById(id);

function startApp({ header, frames, trees }) {
  const canvas = $("icicle"), context = canvas.getContext("2d");
  const app = {
    header, frames, canvas, tree: trees[0], metric: null, places: null, selected: 0, zoomed: 0,
    view: { left: 0, right: 1, top: 0 }, matches: null, width: 0, height: 0, letter: LETTER,
    ink: () => getComputedStyle(document.body).color,
  };
  app.label = (i) => {
    const frame = app.tree.frame[i], where = location(frame);
    return header.functions[frames.fn[frame]] + (where ? "  " + where : "");
  };
  const location = (frame) => {
    const file = header.files[frames.file[frame]];
    return file && frames.line[frame] ? `${file}:${frames.line[frame]}` : file;
  };
  const valueText = (name, value) => (name.endsWith("_count") ? countText : bytesText)(value);
  app.describe = (i) => {
    const { tree } = app, frame = tree.frame[i], lines = [header.functions[frames.fn[frame]]];
    const origin = header.origins[frames.origin[frame]], where = location(frame);
    if (where) lines.push(where + (origin ? `  (${origin})` : ""));
    for (const name of Object.keys(tree.sum)) {
      const value = tree.sum[name][i], share = shareText(value, tree.sum[name][0]);
      const own = tree.own[name][i];
      lines.push(`${header.labels[name]}: ${valueText(name, value)}` + (share ? `, ${share}` : "")
        + (own ? `, own ${valueText(name, own)}` : ""));
    }
    if (tree.sum.before_bytes) {
      const change = tree.sum.live_bytes[i] - tree.sum.before_bytes[i];
      lines.push(`change: ${change > 0 ? "+" : ""}${bytesText(change)}`);
    }
    return lines;
  };

  let frameRequested = false;
  app.draw = () => {
    if (frameRequested) return;
    frameRequested = true;
    requestAnimationFrame(() => { frameRequested = false; drawNow(); });
  };
  function drawNow() {
    const ratio = window.devicePixelRatio || 1;
    app.width = canvas.clientWidth;
    app.height = canvas.clientHeight;
    canvas.width = Math.round(app.width * ratio);
    canvas.height = Math.round(app.height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const sink = canvasSink(context, app.letter);
    app.letter = sink.letter = context.measureText("m").width || LETTER;
    paint(app, sink, app.width, app.height);
  }
  app.drawNow = drawNow;

  app.choose = (name) => {
    const metric = header.metrics.find((m) => m.name === name);
    const tree = trees[metric.tree];
    if (tree !== app.tree) Object.assign(app, { tree, selected: 0, zoomed: 0 });
    app.metric = metric.name;
    app.places = place(tree, metric.name);
    app.zoom(app.places.width[app.zoomed] ? app.zoomed : 0);
    if (app.search) app.search($("search").value);
    $("legend").hidden = metric.name === "difference" || metric.tree > 0;
    $("change").hidden = metric.name !== "difference";
  };
  app.zoom = (i) => {
    const { left, width } = app.places;
    app.zoomed = i;
    app.view = { left: left[i], right: left[i] + width[i], top: Math.max(0, app.tree.depth[i] - 2) };
    document.body.dataset.zoomed = app.label(i);
    app.draw();
  };
  app.select = (i, reveal) => {
    app.selected = i;
    $("status").textContent = app.describe(i).join(" \u00b7 ");
    if (reveal) bringIntoView(app, i);
    app.draw();
  };
  app.at = (x, y) => {
    const { tree, view, places } = app;
    const value = view.left + (x / app.width) * (view.right - view.left);
    const depth = Math.floor(y / ROW) + view.top;
    for (let i = 0; i < tree.n;) {
      const inside = value >= places.left[i] && value < places.left[i] + places.width[i];
      if (!inside) i = tree.end[i];
      else if (tree.depth[i] === depth) return i;
      else i++;
    }
    return -1;
  };
  listen(app, canvas);
  return app;
}

function bringIntoView(app, i) {
  const { view, places, tree } = app, row = tree.depth[i];
  const rows = Math.max(1, Math.floor(app.height / ROW));
  if (row < view.top) view.top = row;
  if (row >= view.top + rows) view.top = row - rows + 1;
  const left = places.left[i], right = left + places.width[i];
  if (left < view.left || right > view.right) {
    const span = Math.max(view.right - view.left, places.width[i]);
    view.left = Math.max(0, Math.min(left, places.width[0] - span));
    view.right = view.left + span;
  }
}

function zoomAt(app, x, factor) {
  const { view } = app, whole = app.places.width[0];
  const span = Math.min(whole, Math.max((view.right - view.left) * factor, whole * 1e-7));
  const under = view.left + (x / app.width) * (view.right - view.left);
  view.left = Math.max(0, Math.min(under - (x / app.width) * span, whole - span));
  view.right = view.left + span;
  app.draw();
}

// The neighbour a key leads to; only calls that have a width in this metric can be reached.
function neighbour(app, key) {
  const { tree, places, selected: i } = app;
  const siblings = () => {
    const above = tree.parent[i], found = [];
    for (let j = above + 1; above >= 0 && j < tree.end[above]; j = tree.end[j]) {
      if (places.width[j] > 0) found.push(j);
    }
    return found;
  };
  if (key === "ArrowUp") return tree.parent[i];
  if (key === "ArrowDown") {
    for (let j = i + 1; j < tree.end[i]; j = tree.end[j]) if (places.width[j] > 0) return j;
    return -1;
  }
  const row = siblings(), at = row.indexOf(i) + (key === "ArrowRight" ? 1 : -1);
  return row[at] ?? -1;
}

function onKey(app, event) {
  const arrow = event.key.startsWith("Arrow");
  if (arrow) {
    const next = neighbour(app, event.key);
    if (next >= 0) app.select(next, true);
  } else if (event.key === "Enter" || event.key === " ") app.zoom(app.selected);
  else if (event.key === "Escape" || event.key === "Backspace") {
    app.zoom(Math.max(0, app.tree.parent[app.zoomed]));
    app.select(app.zoomed, false);
  } else if (event.key === "Home") { app.zoom(0); app.select(0, false); }
  else if (event.key === "+" || event.key === "-") zoomAt(app, app.width / 2, event.key === "+" ? 0.7 : 1.4);
  else if (event.key === "PageDown" || event.key === "PageUp") scroll(app, event.key === "PageDown" ? 8 : -8);
  else if (event.key === "/") $("search").focus();
  else return;
  event.preventDefault();
}

function scroll(app, rows) {
  const deepest = app.tree.depth.reduce((a, b) => (a > b ? a : b), 0);
  app.view.top = Math.max(0, Math.min(deepest, app.view.top + rows));
  app.draw();
}

function listen(app, canvas) {
  canvas.addEventListener("keydown", (event) => onKey(app, event));
  canvas.addEventListener("focus", () => app.select(app.selected, false));
  canvas.addEventListener("blur", () => app.draw());
  canvas.addEventListener("wheel", (event) => {
    // An unfocused tree must not swallow the page's scrolling.
    if (document.activeElement !== canvas && !event.ctrlKey) {
      $("status").textContent = "Click the tree (or hold Ctrl) to zoom with the wheel.";
      return;
    }
    event.preventDefault();
    if (event.shiftKey) scroll(app, Math.sign(event.deltaY || event.deltaX));
    else zoomAt(app, event.offsetX, event.deltaY > 0 ? 1.25 : 0.8);
  }, { passive: false });
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.offsetX, y: event.offsetY, view: { ...app.view }, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag) pan(app, drag, event);
    else hover(app, event);
  });
  canvas.addEventListener("pointerup", (event) => {
    const clicked = drag && !drag.moved ? app.at(event.offsetX, event.offsetY) : -1;
    drag = null;
    if (clicked < 0) return;
    $("tip").hidden = true;
    app.select(clicked, false);
    app.zoom(clicked);
  });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerleave", () => { $("tip").hidden = true; });
  new ResizeObserver(() => app.draw()).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.draw());
}

function pan(app, drag, event) {
  const dx = event.offsetX - drag.x, dy = event.offsetY - drag.y;
  if (Math.abs(dx) + Math.abs(dy) > 4) drag.moved = true;
  if (!drag.moved) return;
  const span = drag.view.right - drag.view.left, whole = app.places.width[0];
  app.view.left = Math.max(0, Math.min(drag.view.left - (dx / app.width) * span, whole - span));
  app.view.right = app.view.left + span;
  app.view.top = Math.max(0, drag.view.top - Math.round(dy / ROW));
  app.draw();
}

function hover(app, event) {
  const tip = $("tip"), i = app.at(event.offsetX, event.offsetY);
  tip.hidden = i < 0;
  if (i < 0) return;
  tip.replaceChildren(...app.describe(i).map((line) => {
    const row = document.createElement("div");
    row.textContent = line;
    return row;
  }));
  // Beside the pointer and inside the frame, which may be lower than the tip is long.
  const room = innerWidth - tip.offsetWidth - 8;
  tip.style.left = Math.max(4, Math.min(event.clientX + 12, room)) + "px";
  const below = event.clientY + 16, space = innerHeight - tip.offsetHeight - 4;
  tip.style.top = Math.max(4, below > space ? event.clientY - tip.offsetHeight - 8 : below) + "px";
}
