// Drawing an icicle onto a sink: the canvas on screen, a canvas for PNG, or SVG text.
"use strict";

const ROW = 19, PAD = 4, LETTER = 6.63, FONT = "11px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace";

function canvasSink(context, letter) {
  context.font = FONT;
  context.textBaseline = "middle";
  return {
    letter,
    rect(x, y, w, h, fill, alpha) {
      context.globalAlpha = alpha;
      context.fillStyle = fill;
      context.fillRect(x, y, w, h);
    },
    outline(x, y, w, h, stroke) {
      context.globalAlpha = 1;
      context.strokeStyle = stroke;
      context.lineWidth = 2;
      context.strokeRect(x + 1, y + 1, Math.max(1, w - 2), h - 2);
    },
    text(x, y, text, room, fill, alpha) {
      context.globalAlpha = alpha;
      context.fillStyle = fill;
      // Letters that are no ASCII may be wider than a column: let the browser squeeze those.
      if (/[^\x20-\x7e\u2026]/.test(text)) context.fillText(text, x, y, room);
      else context.fillText(text, x, y);
    },
  };
}

function svgSink(letter) {
  const parts = [];
  const escape = (text) => text.replace(/[<>&"']/g, (c) => `&#${c.charCodeAt(0)};`)
    .replace(/[\x00-\x1f]/g, " ");
  const n = (value) => +value.toFixed(2);
  return {
    letter, parts,
    rect(x, y, w, h, fill, alpha) {
      parts.push(`<rect x="${n(x)}" y="${n(y)}" width="${n(w)}" height="${n(h)}" fill="${fill}" opacity="${alpha}"/>`);
    },
    outline() {},
    text(x, y, text, room, fill, alpha) {
      parts.push(`<text x="${n(x)}" y="${n(y)}" dominant-baseline="central" fill="${fill}" opacity="${alpha}">${escape(text)}</text>`);
    },
  };
}

function blend(from, to, part) {
  const channel = (colour, at) => parseInt(colour.slice(at, at + 2), 16);
  return "#" + [1, 3, 5].map((at) => Math.round(
    channel(from, at) + (channel(to, at) - channel(from, at)) * part).toString(16).padStart(2, "0")).join("");
}

function colourOf(app, i) {
  const { tree, header, metric } = app;
  if (metric !== "difference") return header.colours[header.origins[app.frames.origin[tree.frame[i]]]] || header.unknown;
  const before = tree.sum.before_bytes[i], after = tree.sum.live_bytes[i];
  const change = (after - before) / Math.max(before, after, 1);
  const end = change > 0 ? header.grew : header.shrank;
  return blend(header.same, end, Math.min(1, Math.abs(change)) ** 0.6);
}

// Visit what is visible: subtrees outside the view or narrower than a third of a pixel are skipped
// whole, so the work follows the picture and not the tree.
function paint(app, sink, width, height) {
  const { tree, view } = app;
  const { left, width: size } = app.places;
  const scale = width / (view.right - view.left || 1);
  const rows = Math.ceil(height / ROW) + 1;
  const dustUntil = new Float64Array(rows + 1).fill(-1);
  for (let i = 0; i < tree.n;) {
    const x = (left[i] - view.left) * scale, w = size[i] * scale, row = tree.depth[i] - view.top;
    if (w <= 0 || x > width || x + w < 0 || row >= rows) { i = tree.end[i]; continue; }
    if (w < 1) {
      const pixel = Math.floor(x);
      if (row >= 0 && dustUntil[row] < pixel) {
        sink.rect(pixel, row * ROW, 1, ROW - 1, colourOf(app, i), 0.45);
        dustUntil[row] = pixel;
      }
      if (w < 0.33) { i = tree.end[i]; continue; }
    } else if (row >= 0) {
      paintNode(app, sink, i, x, row * ROW, w, width);
    }
    i++;
  }
}

function paintNode(app, sink, i, x, y, w, width) {
  const from = Math.max(0, x), shown = Math.min(width, x + w) - from;
  const dim = app.matches && !app.matches[app.tree.frame[i]] ? 0.28 : 1;
  sink.rect(from, y, Math.max(shown - (w > 3 ? 1 : 0), 0.6), ROW - 1, colourOf(app, i), dim);
  const letters = Math.floor((shown - 2 * PAD) / sink.letter);
  if (letters >= 3) {
    const label = app.label(i);
    const text = label.length > letters ? label.slice(0, letters - 1) + "\u2026" : label;
    sink.text(from + PAD, y + ROW / 2, text, shown - 2 * PAD, "#111111", dim < 1 ? 0.6 : 1);
  }
  if (i === app.selected && document.activeElement === app.canvas) sink.outline(from, y, shown, ROW - 1, app.ink());
}
