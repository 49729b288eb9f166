// Search, filters and comparison of the gallery.
const rows = [...document.querySelectorAll("#weights tbody tr")];
const cells = [...document.querySelectorAll("#compared [data-name]")];
const field = (id) => document.getElementById(id);

function show() {
  const words = field("text").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const fits = words.every((word) => row.dataset.text.includes(word))
      && ["area", "init", "state"].every((id) => !field(id).value || row.dataset[id] === field(id).value);
    row.hidden = !fits;
    shown += fits;
  }
  field("count").textContent = `${shown} of ${rows.length} weights`;
  const marked = new Set([...document.querySelectorAll(".pick input:checked")].map((box) => box.value));
  for (const cell of cells) cell.hidden = !marked.has(cell.dataset.name);
  for (const row of document.querySelectorAll("#compared tbody tr"))
    row.hidden = ![...row.querySelectorAll("td")].some((cell) => !cell.hidden && cell.textContent);
  field("marked").textContent = `${marked.size} marked`;
  field("bar").classList.toggle("some", marked.size > 0);
  field("side").hidden = !marked.size;
  field("hint").hidden = marked.size > 0;
}

field("filter").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("input", show);
show();
