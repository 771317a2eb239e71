// Reads the view “Models”. Evaluated in the page by the tests.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const text = (selector, root = document) => root.querySelector(selector)?.textContent ?? '';
  return {
    status: text('#ad-status'),
    problem: text('#ad-problem'),
    versions: all('#ad-versions tr').map((row) => all('td', row).map((cell) => cell.textContent)),
    champion: text('#ad-versions .current td div').split(' ')[0],
    differences: all('#ad-differences tr').map((row) => all('td', row).map((cell) => cell.textContent)),
    dialog: document.getElementById('ad-dialog').open ? text('#ad-dialog-text') : '',
    key: document.getElementById('key').hidden ? '' : text('#key-problem'),
    kept: document.getElementById('key-input').value + JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href, document.documentElement.outerHTML]),
  };
})();
