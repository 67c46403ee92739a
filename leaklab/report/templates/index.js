"use strict";
(() => {
  const field = document.getElementById("search"), count = document.getElementById("count");
  const items = [...document.querySelectorAll("[data-words]")];
  const cards = items.filter((item) => item.matches(".card"));
  function filter() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items) item.hidden = !words.every((word) => item.dataset.words.includes(word));
    for (const group of document.querySelectorAll(".group")) {
      group.hidden = ![...group.querySelectorAll("[data-words]")].some((item) => !item.hidden);
    }
    const shown = cards.filter((card) => !card.hidden).length;
    count.textContent = words.length ? `${shown} of ${cards.length} cases` : "";
    document.getElementById("nothing").hidden = items.some((item) => !item.hidden);
    history.replaceState(null, "", words.length ? "#q=" + encodeURIComponent(field.value) : location.pathname);
  }
  const asked = /^#q=(.*)/.exec(location.hash);
  if (asked) { field.value = decodeURIComponent(asked[1]); filter(); }
  field.addEventListener("input", filter);
})();
