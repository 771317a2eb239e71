'use strict';

// The lists and tables of the live view.

function fillBars(id, movies, value, most, format, sentence) {
  const rows = movies.map((movie) => {
    const row = make('li');
    const bar = make('i');
    bar.style.width = `${(100 * value(movie)) / most}%`;
    const name = make('span', 'name', movie.title || `Movie ${movie.movie_id}`);
    name.title = name.textContent;
    row.append(bar, name, make('span', 'value', format(movie)));
    return row;
  });
  if (rows.length === 0) rows.push(make('li', 'empty', sentence));
  byId(id).replaceChildren(...rows);
}

function fillMovies(state) {
  const few = state.totals.predictions === 0 ? 'Waiting for the first prediction…' : `No movie has ${state.top_minimum} predictions yet`;
  setText('top-unit', `mean, stars; at least ${state.top_minimum} predictions`);
  fillBars('top-rated', state.top_rated.slice(0, barRows), (m) => m.mean, 5, (m) => stars(m.mean), few);
  const most = state.most_requested.length ? state.most_requested[0].count : 1;
  fillBars('most-requested', state.most_requested.slice(0, barRows), (m) => m.count, most, (m) => whole(m.count), few);
  fillCloud(state.most_requested, few);
}

const barRows = 15;

// fillCloud shows movies the larger the more often they are asked for, in the order
// of their titles.
function fillCloud(movies, sentence) {
  const title = (m) => m.title || `Movie ${m.movie_id}`;
  const counts = movies.map((m) => Math.sqrt(m.count));
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const words = movies.map((movie, i) => {
    const word = make('li', 'word', title(movie));
    word.style.setProperty('--size', `${(12 + (16 * (counts[i] - least)) / Math.max(most - least, 1)).toFixed(1)}px`);
    word.title = `${whole(movie.count)} predictions, mean ${stars(movie.mean)} stars`;
    return word;
  }).sort((a, b) => a.textContent.localeCompare(b.textContent, 'en'));
  if (words.length === 0) words.push(make('li', 'empty', sentence));
  byId('cloud').replaceChildren(...words);
}

// fillAccuracy sets the versions of the window beside each other, and biases alone.
function fillAccuracy(state) {
  const role = roles(state);
  const rows = state.series.versions.filter((v) => v.accuracy.count > 0).map((v) => ({
    className: state.model && state.model.version === v.version ? 'current' : '',
    cells: [v.version, role(v.version) || 'no role any more', [whole(v.accuracy.count), 'n'], [fine(v.accuracy.rmse), 'n'], [fine(v.accuracy.mae), 'n']],
  }));
  const biases = state.series.baseline_accuracy;
  if (biases.count > 0) rows.push({ cells: ['biases alone', 'baseline', [whole(biases.count), 'n'], [fine(biases.rmse), 'n'], [fine(biases.mae), 'n']] });
  fillRows('accuracy', rows, 5, whyEmpty(state, 'actual rating to compare with'));
}

function fillLags(state) {
  fillRows('lags', state.lags.map((l) => ({
    className: l.members === 0 ? 'idle' : '',
    cells: [l.group, l.topic, [l.members === 0 ? 'nobody' : whole(l.members), 'n'], [whole(l.lag), 'n']],
  })), 4, 'No consumer group is known here.');
}


function version(model, current) {
  const cell = make('span', '', model.version || 'none any more');
  if (current) cell.append(' ', make('span', 'tag', 'in use'));
  if (model.role !== 'champion') cell.append(' ', make('span', 'tag', model.role));
  if (model.simulated) cell.append(' ', make('span', 'tag', 'simulated ratings'));
  return cell;
}

function fillModels(state) {
  const results = new Map(state.by_model.map((m) => [m.version, m]));
  fillRows('models', state.models.map((m) => {
    const live = results.get(m.version);
    const current = state.model && state.model.sequence === m.sequence && m.role === state.model.role;
    return {
      className: current ? 'current' : '',
      cells: [
        version(m, current), m.promoted_at ? day.format(m.promoted_at) : '–',
        [whole(m.ratings), 'n'], [fine(m.rmse), 'n'], [fine(live ? live.rmse : null), 'n'], [whole(live ? live.predictions : 0), 'n'],
      ],
    };
  }), 6, 'Waiting for the first model…');
}

const outcomes = { better: 'better', worse: 'worse', '': 'undecided' };
const interval = (low, high) => `${signed(low)} to ${signed(high)}`;

function fillComparisons(state) {
  fillRows('comparisons', state.comparisons.slice(0, 5).map((c) => {
    const few = c.low === -1 && c.high === 1;
    const challenger = make('span', '', c.challenger);
    challenger.append(' ', make('span', 'tag', c.role));
    return {
      className: state.model && state.model.version === c.champion ? 'current' : '',
      cells: [
        challenger, c.champion, [c.users ? signed(c.gain) : '–', 'n'], [few ? '–' : interval(c.low, c.high), 'n'],
        [whole(c.users), 'n'], [c.e_value < 1000 ? stars(c.e_value) : c.e_value.toExponential(0), 'n'],
        c.users === 0 ? 'nobody’s period is over' : outcomes[c.settled] ?? c.settled,
      ],
    };
  }), 7, 'No challenger has predicted a rating yet.');
}

// fillVerdicts shows the gate's tests of the newest versions that have any.
function fillVerdicts(state) {
  const judged = state.models.filter((m) => m.verdict).slice(0, 3);
  fillRows('verdicts', judged.flatMap((m) => {
    const name = make('span', '', m.version);
    name.append(' ', make('span', 'tag', m.verdict.outcome));
    name.title = m.verdict.reason;
    const tests = m.verdict.tests || [];
    if (tests.length === 0) return [{ className: '', cells: [name, m.verdict.rule, '', '', '', '', ''] }];
    return tests.map((test, i) => ({
      className: '',
      cells: [
        i === 0 ? name : '', `${test.name} (${test.head})`, [fine(test.champion), 'n'], [fine(test.challenger), 'n'],
        [interval(test.gain.low, test.gain.high), 'n'], [whole(test.effective_users), 'n'], test.decision,
      ],
    }));
  }), 7, 'No version was judged yet.');
}

function fillReasons(state) {
  fillRows('reasons', state.dead_letters.map((d) => {
    const place = d.topic ? `${d.topic}${d.partition && ` ${d.partition}`}${d.offset && `/${d.offset}`}` : '';
    return { cells: [clock.format(d.at), d.reason, [d.component, place].filter(Boolean).join(', ')] };
  }), 3, 'None: every message was handled.');
}

const search = { user: '', title: '', found: null };
const searching = () => search.user !== '' || search.title !== '';

// findLatest asks the server, which keeps more rows than it sends.
async function findLatest() {
  if (!searching()) return;
  const { user, title } = search;
  const query = new URLSearchParams();
  if (user) query.set('user', user);
  if (title) query.set('title', title);
  const response = await fetch(`live/predictions?${query}`).catch(() => null);
  if (user !== search.user || title !== search.title) return; // typed on meanwhile
  if (response && response.ok) {
    search.found = await response.json();
  } else {
    search.found = { predictions: [], fit: 0, problem: response ? await response.text() : 'The server does not answer.' };
  }
}

function fillLatest(state) {
  const found = searching() && search.found;
  const rows = found ? found.predictions : state.latest;
  setText('found', found ? found.problem || `${whole(found.fit)} of the last 10,000 fit${found.fit > rows.length ? `, the newest ${rows.length} are shown` : ''}` : '');
  fillRows('latest', rows.map((p) => {
    const cold = [p.cold_user && 'user', p.cold_movie && 'movie'].filter(Boolean).join(', ');
    return {
      cells: [
        clock.format(p.at), [String(p.user_id), 'n'], p.title || `Movie ${p.movie_id}`, (p.genres || []).join(', '),
        [stars(p.prediction), 'n'], [p.actual === null ? '' : number(1)(p.actual), 'n'], cold ? make('span', 'tag', cold) : '', p.model_version,
      ],
    };
  }), 8, found ? 'No prediction fits.' : 'Waiting for the first prediction…');
}
