'use strict';

// Keeps the page at what live/events sends, and says so when nothing comes.

let state = null; // the latest snapshot
let shown = ''; // what the tables are filled with
let range = ''; // seconds that charts reach back, '' for the shortest
let paused = false;
let stream = null;
let heardAt = 0;

const reconnectMillis = 2000;

function connection(kind, text) {
  const element = byId('connection');
  if (element.dataset.state !== kind) element.dataset.state = kind;
  setText('connection', text);
}

function connect() {
  if (stream) stream.close();
  heardAt = Date.now();
  stream = new EventSource(`live/events${range ? `?window=${range}` : ''}`);
  stream.onmessage = (event) => {
    state = JSON.parse(event.data);
    heardAt = Date.now();
    if (paused) return;
    connection('live', 'Live');
    render();
    followModels(state);
    findLatest().then(renderTables);
  };
  stream.onerror = () => paused || connection('lost', 'Connection lost, retrying…');
}

// A browser gives up on a server that answers with an error, and does not
// notice one that is silent; both are tried again here.
setInterval(() => {
  const patience = Math.max(5000, 4 * (state ? state.refresh_ms : 0));
  if (stream.readyState === EventSource.CLOSED || Date.now() - heardAt > patience) {
    if (!paused) connection('lost', 'Connection lost, retrying…');
    connect();
  }
}, reconnectMillis);

function renderFigures() {
  const { totals, throughput, accuracy, model } = state;
  setText('rate10', number(throughput.last_10s < 10 ? 1 : 0)(throughput.last_10s));
  setText('rate60', number(throughput.last_60s < 10 ? 1 : 0)(throughput.last_60s));
  setText('predictions', whole(totals.predictions));
  setText('cold', whole(totals.cold));
  setText('delay', throughput.delay_p50_ms === null ? '' : `answered in ${delay(throughput.delay_p50_ms)}, 99 % in ${delay(throughput.delay_p99_ms)}`);
  setText('rmse', fine(accuracy.latest.rmse));
  setText('rmse-detail', accuracy.latest.count === 0 ? 'no actual ratings yet'
    : `MAE ${fine(accuracy.latest.mae)}; latest ${whole(accuracy.latest.count)} rated, all ${fine(accuracy.overall.rmse)}` +
    (accuracy.baseline.count ? `; biases alone ${fine(accuracy.baseline.rmse)} where this has ${fine(accuracy.beside_baseline.rmse)}` : ''));
  setText('model', model ? model.version : '–');
  setText('model-detail', model ? `holdout RMSE ${fine(model.rmse)}, biases alone ${fine(model.bias_rmse)} stars` : 'Waiting for the first model…');
  setText('dead-letters', whole(totals.dead_letters));
  byId('dead-letters-figure').classList.toggle('alarm', totals.dead_letters > 0);
  setText('footer', `Charts cover the last ${spanText(state.window_seconds)}; totals and top movies, all that was read since the start. ` +
    `Updated ${clock.format(state.now)}.`);
}

function render() {
  if (!state || paused || document.hidden) return;
  offerRanges();
  setText('title', state.title);
  if (document.title !== state.title) document.title = state.title;
  byId('notice').hidden = !state.notice;
  setText('notice', state.notice);
  if (byId('view-live').hidden) return;
  renderFigures();
  drawSeries(state);
  drawAttraction(state);
  drawGenres(state);
  drawCalibration(state);
  fillMovies(state);
  fillAccuracy(state);
  fillLags(state);
  renderTables();
}

// renderTables fills those that people select and read in, and only when they
// change: a selection stays.
function renderTables() {
  if (!state || paused || document.hidden) return;
  const tables = JSON.stringify([state.latest, state.models, state.by_model, state.dead_letters, state.comparisons, search]);
  if (tables === shown) return;
  shown = tables;
  fillModels(state);
  fillComparisons(state);
  fillVerdicts(state);
  fillReasons(state);
  fillLatest(state);
}

const delay = (ms) => (ms < 1000 ? `${whole(ms)} ms` : `${number(1)(ms / 1000)} s`);

// offerRanges fills the choice of windows with those that the server has.
function offerRanges() {
  const choice = byId('window');
  const offered = state.windows.map(String).join();
  if (choice.dataset.offered === offered) return;
  choice.dataset.offered = offered;
  choice.replaceChildren(...state.windows.map((seconds) => {
    const option = make('option', '', spanText(seconds));
    option.value = String(seconds);
    return option;
  }));
  choice.value = range || String(state.window_seconds);
}

byId('window').addEventListener('change', (event) => {
  range = event.target.value;
  connect();
});
byId('pause').addEventListener('click', () => {
  paused = !paused;
  byId('pause').setAttribute('aria-pressed', String(paused));
  if (paused) connection('paused', 'Paused');
  else connection('connecting', 'Connecting…');
  render();
});
byId('theme').value = chosenTheme();
byId('theme').addEventListener('change', (event) => {
  chooseTheme(event.target.value);
  render();
});
byId('search').addEventListener('submit', (event) => event.preventDefault());
byId('search').addEventListener('input', () => {
  search.user = byId('search-user').value.trim();
  search.title = byId('search-title').value.trim();
  search.found = null;
  findLatest().then(renderTables);
});

darkSystem.addEventListener('change', render);
document.addEventListener('visibilitychange', render);
window.addEventListener('resize', render);
connect();
