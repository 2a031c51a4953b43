'use strict';
/* Sorting by a click on a column's head, and the filters. The page is complete without this. */
const kinds = ['setting', 'dataset', 'metric'];
const leaves = (table) => [...table.tHead.rows].flatMap((row) => [...row.cells])
  .filter((th) => th.scope === 'col')
  .sort((a, b) => a.dataset.column - b.dataset.column);
const number = (cell) => parseFloat(cell.textContent.replace('\u2212', '-'));

const sort = (table, th) => {
  const at = Number(th.dataset.column);
  const down = th.getAttribute('aria-sort') !== 'descending';
  const compare = (a, b) => {
    const x = number(a.cells[at]), y = number(b.cells[at]);
    if (Number.isNaN(x) || Number.isNaN(y)) {
      return Number.isNaN(x) - Number.isNaN(y) ||
        (down ? 1 : -1) * a.cells[at].textContent.localeCompare(b.cells[at].textContent);
    }
    return down ? y - x : x - y;
  };
  leaves(table).forEach((other) => other.removeAttribute('aria-sort'));
  th.setAttribute('aria-sort', down ? 'descending' : 'ascending');
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
};

for (const table of document.querySelectorAll('table.sort')) {
  for (const th of leaves(table)) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...th.childNodes);
    button.addEventListener('click', () => sort(table, th));
    th.append(button);
  }
}

const filter = document.getElementById('filter');
const chosen = (kind) => filter.elements[kind].value;
const fits = (part) => kinds.every((kind) => !chosen(kind) || part.dataset[kind] === undefined ||
  part.dataset[kind] === chosen(kind));

const apply = () => {
  for (const part of document.querySelectorAll('[data-part]')) part.hidden = !fits(part);
  for (const table of document.querySelectorAll('table.sort')) {
    const heads = leaves(table), rows = [...table.tBodies[0].rows];
    rows.forEach((row) => { row.hidden = !fits(row); });
    heads.forEach((th) => {
      th.hidden = !fits(th);
      rows.forEach((row) => { row.cells[th.dataset.column].hidden = th.hidden; });
    });
    for (const group of table.tHead.querySelectorAll('th[scope=colgroup]')) {
      const from = Number(group.dataset.from), to = Number(group.dataset.to);
      const shown = heads.filter((th) => !th.hidden && Number(th.dataset.column) >= from &&
        to >= Number(th.dataset.column)).length;
      group.hidden = shown === 0;
      group.colSpan = shown || 1;
    }
  }
};

for (const kind of kinds) {
  const values = new Set([...document.querySelectorAll(`[data-${kind}]`)]
    .map((part) => part.dataset[kind]));
  for (const value of [...values].sort()) filter.elements[kind].append(new Option(value, value));
  filter.elements[kind].addEventListener('change', apply);
}
filter.addEventListener('reset', () => setTimeout(apply));
filter.hidden = false;
