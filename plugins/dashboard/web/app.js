'use strict';

// Keeps the page at what live/events sends, and says so when nothing comes.

let state = null; // the latest snapshot
let shown = ''; // what the tables are filled with
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
  stream = new EventSource('live/events');
  stream.onmessage = (event) => {
    state = JSON.parse(event.data);
    heardAt = Date.now();
    connection('live', 'Live');
    render();
  };
  stream.onerror = () => connection('lost', 'Connection lost, retrying…');
}

// A browser gives up on a server that answers with an error, and does not
// notice one that is silent; both are tried again here.
setInterval(() => {
  const patience = Math.max(5000, 4 * (state ? state.refresh_ms : 0));
  if (stream.readyState === EventSource.CLOSED || Date.now() - heardAt > patience) {
    connection('lost', 'Connection lost, retrying…');
    connect();
  }
}, reconnectMillis);

function renderFigures() {
  const { totals, throughput, accuracy, model } = state;
  setText('rate10', number(throughput.last_10s < 10 ? 1 : 0)(throughput.last_10s));
  setText('rate60', number(throughput.last_60s < 10 ? 1 : 0)(throughput.last_60s));
  setText('predictions', whole(totals.predictions));
  setText('cold', whole(totals.cold));
  setText('rmse', fine(accuracy.latest.rmse));
  setText('rmse-detail', accuracy.latest.count === 0 ? 'no actual ratings yet'
    : `MAE ${fine(accuracy.latest.mae)}; latest ${whole(accuracy.latest.count)} rated, all ${fine(accuracy.overall.rmse)}`);
  setText('model', model ? model.version : '–');
  setText('model-detail', model ? `holdout RMSE ${fine(model.rmse)}, biases alone ${fine(model.bias_rmse)} stars` : 'Waiting for the first model…');
  setText('dead-letters', whole(totals.dead_letters));
  byId('dead-letters-figure').classList.toggle('alarm', totals.dead_letters > 0);
  setText('footer', `Charts cover the last ${Math.round(state.window_seconds / 60)} minutes; totals and top movies, all that was read since the start. ` +
    `Updated ${clock.format(state.now)}.`);
}

function render() {
  if (!state || document.hidden) return;
  setText('title', state.title);
  if (document.title !== state.title) document.title = state.title;
  byId('notice').hidden = !state.notice;
  setText('notice', state.notice);
  if (byId('view-live').hidden) return;
  renderFigures();
  drawLines(state);
  drawAttraction(state);
  drawGenres(state);
  fillMovies(state);
  const tables = JSON.stringify([state.latest, state.models, state.by_model, state.dead_letters, state.comparisons]);
  if (tables === shown) return; // a selection in them stays
  shown = tables;
  fillModels(state);
  fillComparisons(state);
  fillVerdicts(state);
  fillReasons(state);
  fillLatest(state);
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', render);
document.addEventListener('visibilitychange', render);
window.addEventListener('resize', render);
connect();
