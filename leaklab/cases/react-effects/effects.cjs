// Mounts and unmounts a React component as often as each line on standard input says, then answers
// with what Node holds: used heap after a collection, event listeners and timers still standing.
// Arguments: the effect, and "cleaned" or "left".
const [effect, cleanup] = process.argv.slice(2);
process.env.NODE_ENV = "production";
const net = require("net");
const readline = require("readline");
const { JSDOM } = require("jsdom");

const dom = new JSDOM("<div id=root></div>", { url: "http://localhost/", pretendToBeVisual: true });
Object.assign(globalThis, { window: dom.window, document: dom.window.document });
const React = require("react");
const { createRoot } = require("react-dom/client");
const { flushSync } = require("react-dom");

let listenerCount = 0;
const { addEventListener, removeEventListener } = window;
window.addEventListener = function (...given) {
  listenerCount += 1;
  return addEventListener.apply(window, given);
};
window.removeEventListener = function (...given) {
  listenerCount -= 1;
  return removeEventListener.apply(window, given);
};
const timers = new Set();
const silent = net.createServer(() => {}).listen(0, "127.0.0.1"); // accepts and never answers

const EFFECTS = {
  listener(payload) {
    const onResize = () => payload.length;
    window.addEventListener("resize", onResize);
    return () => window.removeEventListener("resize", onResize);
  },
  timer(payload) {
    const timer = setInterval(() => payload.length, 1e8);
    timers.add(timer);
    return () => {
      clearInterval(timer);
      timers.delete(timer);
    };
  },
  websocket(payload) {
    const socket = new window.WebSocket(`ws://127.0.0.1:${silent.address().port}/`);
    socket.onmessage = () => payload.length;
    return () => socket.close();
  },
  abort(payload) {
    const controller = new AbortController();
    fetch(`http://127.0.0.1:${silent.address().port}/`, { signal: controller.signal })
      .then(() => payload.length)
      .catch(() => {});
    return () => controller.abort();
  },
};

function Listener({ payload }) {
  React.useEffect(() => {
    const clean = EFFECTS[effect](payload);
    return cleanup === "cleaned" ? clean : undefined;
  }, [payload]);
  return null;
}

function mountOnce(bytes) {
  const root = createRoot(document.getElementById("root"));
  const payload = new Array(bytes / 8).fill(0.5);
  flushSync(() => root.render(React.createElement(Listener, { payload })));
  flushSync(() => root.unmount());
}

// Lets what React, jsdom and the sockets have put off happen before the heap is read.
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

async function answer(line) {
  const [mounts, bytes] = line.split(" ").map(Number);
  for (let number = 0; number < mounts; number += 1) mountOnce(bytes);
  await settle();
  globalThis.gc();
  await settle();
  globalThis.gc();
  const heapBytes = process.memoryUsage().heapUsed;
  console.log(JSON.stringify({ heapBytes, listenerCount, timerCount: timers.size }));
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) await answer(line);
  process.exit(0);
})();
