// Reads all that stands on the live page. Evaluated in the page by the tests.
(() => {
  const text = (selector, root = document) => {
    const element = root.querySelector(selector);
    return element ? element.textContent : null;
  };
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const isEmpty = (element) => element.matches('.empty') || element.querySelector('.empty') !== null;
  const rows = (id) => all(`#${id} tr`).filter((row) => !isEmpty(row)).map((row) => all('td', row).map((cell) => cell.textContent));
  const bars = (id) => all(`#${id} li`).filter((row) => !isEmpty(row)).map((row) => [text('.name', row), text('.value', row)]);
  const colors = (canvas) => new Set(new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size;
  const sticks = (element) => {
    const box = element.getBoundingClientRect();
    return box.width > 0 && !element.closest('.scroll') && (box.right > innerWidth + 0.5 || box.left < -0.5);
  };
  const figures = ['rate10', 'rate60', 'predictions', 'cold', 'rmse', 'rmse-detail', 'delay', 'coverage', 'model', 'model-detail', 'dead-letters'];
  const reloaded = window.alreadyRead !== true;
  window.alreadyRead = true;
  return {
    now: state ? state.now : 0,
    title: document.title,
    heading: text('h1'),
    notice: document.getElementById('notice').hidden ? '' : text('#notice'),
    connection: text('#connection'),
    connectionIs: document.getElementById('connection').dataset.state,
    figures: Object.fromEntries(figures.map((id) => [id, text('#' + id)])),
    empty: Object.fromEntries(all('section').map((s) => [s.getAttribute('aria-labelledby'), all('.empty', s).map((e) => e.textContent)])),
    colors: Object.fromEntries(all('.chart').map((c) => [c.id, all('canvas', c).reduce((n, canvas) => n + colors(canvas), 0)])),
    topRated: bars('top-rated'),
    mostRequested: bars('most-requested'),
    cloud: all('#cloud .word').map((word) => word.textContent),
    accuracy: rows('accuracy'),
    lags: rows('lags'),
    labels: Object.fromEntries(all('.chart').map((c) => [c.id, c.getAttribute('aria-label')])),
    models: rows('models'),
    reasons: rows('reasons'),
    latest: rows('latest'),
    width: innerWidth,
    needs: Math.max(document.documentElement.scrollWidth, document.body.scrollWidth),
    sticks: all('body *').filter(sticks).map((e) => `${e.tagName} ${e.id} ${e.className}`),
    foreign: all('img, iframe, object, embed, main script, svg, main b i, td b, li b').length,
    harmed: window.harmed !== undefined,
    reloaded,
  };
})();
