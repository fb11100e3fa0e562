// Makes the tables sortable; without it they are complete, in the order of the run.
for (const table of document.querySelectorAll('table.sortable')) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const up = head.getAttribute('aria-sort') !== 'ascending';
      heads.forEach(h => h.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
      const value = row => row.cells[column].dataset.v ?? row.cells[column].textContent;
      const compare = (a, b) => {
        const x = value(a), y = value(b), m = parseFloat(x), n = parseFloat(y);
        if (!Number.isNaN(m) && !Number.isNaN(n)) return m - n;
        if (Number.isNaN(m) !== Number.isNaN(n)) return Number.isNaN(m) ? 1 : -1;
        return x.localeCompare(y, 'en', {numeric: true});
      };
      const rows = [...table.tBodies[0].rows].sort((a, b) => up ? compare(a, b) : compare(b, a));
      table.tBodies[0].append(...rows);
    });
  });
}
