'use strict';
(() => {
  const byId = (id) => document.getElementById(id);
  const table = byId('table');
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const filter = byId('filter');
  const selects = { state: byId('by-state'), door: byId('by-door') };

  const update = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const wanted = words.every((word) => texts.get(row).includes(word))
        && Object.entries(selects).every(([key, field]) => !field || !field.value || row.dataset[key] === field.value);
      row.hidden = !wanted;
      shown += wanted;
    }
    byId('shown').textContent = `${shown} of ${rows.length} shown`;
  };
  filter.addEventListener('input', update);
  for (const field of Object.values(selects)) if (field) field.addEventListener('change', update);
  filter.form.addEventListener('submit', (event) => event.preventDefault());

  // Numbers as numbers, also within a text: port 900 before 8081, 10.0.0.9 before 10.0.0.10.
  const collator = new Intl.Collator('en', { numeric: true });
  const value = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => head.firstElementChild.addEventListener('click', () => {
    const down = head.getAttribute('aria-sort') === 'ascending';
    for (const other of heads) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    rows.sort((one, other) => collator.compare(value(one, column), value(other, column)) * (down ? -1 : 1));
    body.append(...rows);
  }));

  // What is pasted into a spreadsheet must not become a formula there.
  const plain = (text) => text.replace(/\s+/g, ' ').trim().replace(/^[=+\-@]/, "'$&");
  byId('copy').addEventListener('click', async () => {
    const lines = [heads.map((head) => head.textContent)];
    for (const row of rows) {
      if (!row.hidden) {
        lines.push(Array.from(row.cells, (cell) => Array.from(cell.childNodes, (node) => node.textContent).join(' ')));
      }
    }
    const text = lines.map((line) => line.map(plain).join('\t')).join('\n');
    try {
      await navigator.clipboard.writeText(text);
      byId('shown').textContent = `${lines.length - 1} rows copied`;
    } catch {
      byId('shown').textContent = 'The browser does not allow copying here; select the table instead';
    }
  });

  // A link to a row that the filter hides shows it again.
  const reveal = () => {
    const target = byId(location.hash.slice(1));
    if (!target) return;
    if (target.hidden) {
      filter.value = '';
      for (const field of Object.values(selects)) if (field) field.value = '';
      update();
    }
    target.scrollIntoView({ block: 'center' });
    if (target.tabIndex === -1 && target.matches('tr, li')) target.focus({ preventScroll: true });
  };
  addEventListener('hashchange', reveal);
  if (location.hash) reveal();

  document.addEventListener('keydown', (event) => {
    if (event.key === '/' && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      filter.focus();
    } else if (event.key === 'Escape' && document.activeElement === filter) {
      filter.value = '';
      update();
    }
  });

  const theme = byId('theme');
  const dark = () => (document.documentElement.dataset.theme
    || (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')) === 'dark';
  const name = () => { theme.textContent = dark() ? 'Light' : 'Dark'; };
  theme.addEventListener('click', () => {
    document.documentElement.dataset.theme = dark() ? 'light' : 'dark';
    name();
  });
  name();
})();
