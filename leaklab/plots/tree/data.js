// The tree as it was packed by icicle_html.py: deflated bytes in base64, first a JSON header, then
// columns of varints. Nothing of it ever becomes markup: names reach the page through canvas text
// and textContent only.
"use strict";

async function unpack(base64) {
  const packed = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function reader(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0, scale = 1, byte;
    do {
      byte = bytes[at++];
      value += (byte & 127) * scale; // not shifts: sizes go beyond 32 bits
      scale *= 128;
    } while (byte & 128);
    return value;
  };
  return {
    varint,
    text: (length) => new TextDecoder().decode(bytes.subarray(at, (at += length))),
    column: (count) => {
      const values = new Float64Array(count);
      for (let i = 0; i < count; i++) values[i] = varint();
      return values;
    },
    signed: (count) => {
      const values = new Float64Array(count);
      for (let i = 0; i < count; i++) {
        const coded = varint();
        values[i] = coded % 2 ? -(coded + 1) / 2 : coded / 2;
      }
      return values;
    },
  };
}

function readTrees(bytes) {
  const source = reader(bytes);
  const header = JSON.parse(source.text(source.varint()));
  const count = header.frameCount;
  const frames = {
    fn: source.column(count), file: source.column(count), line: source.column(count),
    origin: source.column(count),
  };
  const met = { count: 0 };
  const trees = header.trees.map((about) => readTree(source, about, met));
  return { header, frames, trees };
}

// parent, end: the rows of a node's subtree are i+1 .. end[i]-1, as rows are depth first.
function readTree(source, about, met) {
  const n = about.nodeCount;
  const steps = source.column(n), back = source.column(n);
  const frame = new Int32Array(n);
  for (let i = 0; i < n; i++) frame[i] = back[i] ? met.count - back[i] : met.count++;
  const depth = new Int32Array(n), parent = new Int32Array(n), end = new Int32Array(n);
  const open = [];
  for (let i = 0; i < n; i++) {
    depth[i] = i ? depth[i - 1] + 1 - steps[i] : 0;
    while (open.length > depth[i]) end[open.pop()] = i;
    parent[i] = open.length ? open[open.length - 1] : -1;
    open.push(i);
  }
  while (open.length) end[open.pop()] = n;
  const own = {}, sum = {};
  for (const name of about.columns) {
    own[name] = source.signed(n);
    sum[name] = Float64Array.from(own[name]);
    for (let i = n - 1; i > 0; i--) sum[name][parent[i]] += sum[name][i];
  }
  return { n, frame, depth, parent, end, own, sum, places: {} };
}

// Left edge and width of every node by one metric; widths are sums of what is positive.
function place(tree, metric) {
  if (tree.places[metric]) return tree.places[metric];
  const width = new Float64Array(tree.n), left = new Float64Array(tree.n);
  const { own, parent } = tree;
  for (let i = 0; i < tree.n; i++) {
    width[i] = metric === "difference"
      ? Math.max(own.before_bytes[i], own.live_bytes[i], 0) : Math.max(own[metric][i], 0);
  }
  for (let i = tree.n - 1; i > 0; i--) width[parent[i]] += width[i];
  const next = new Float64Array(tree.n);
  for (let i = 1; i < tree.n; i++) {
    const above = parent[i];
    left[i] = left[above] + next[above];
    next[above] += width[i];
  }
  return (tree.places[metric] = { left, width });
}

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
function bytesText(value) {
  let size = Math.abs(value), power = 0;
  while (size >= 1024 && power < BYTE_UNITS.length - 1) { size /= 1024; power++; }
  const digits = power === 0 || size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return (value < 0 ? "\u2212" : "") + size.toFixed(digits) + " " + BYTE_UNITS[power];
}
const countText = (value) => Math.round(value).toLocaleString("en-US");
const shareText = (part, whole) => {
  if (!whole) return "";
  const share = (100 * part) / whole;
  return (Math.abs(share) < 0.1 && share !== 0 ? "< 0.1" : share.toFixed(1)) + " %";
};
