'use strict';

// The charts and tables of the page. Whatever comes from messages is put in as
// text (textContent, or drawn on a canvas), never as markup.

const number = (digits) => {
  const format = new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  return (x) => (x === null || x === undefined ? '–' : format.format(x));
};
const whole = number(0);
const stars = number(2);
const fine = number(3);
const signed = (x) => (x > 0 ? '+' : '') + fine(x);
const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const clockShort = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const day = new Intl.DateTimeFormat('en', { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

const byId = (id) => document.getElementById(id);
const setText = (id, text) => {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
};
const make = (tag, className, text) => {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
};
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
// The tooltip's text is drawn with {style|text} marks; data must not hold any.
const plain = (text) => String(text).replace(/[{}|]/g, ' ');

// Colours of the donut, told apart with colour vision deficiencies too (after
// Okabe and Ito 2008), the last one for the rest.
const palette = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#b8a900', '#8172b2', '#8a929c'];

const charts = new Map();

function chart(id) {
  if (!charts.has(id)) {
    const holder = make('div');
    holder.style.height = '100%';
    byId(id).prepend(holder);
    const instance = echarts.init(holder, null, { renderer: 'canvas' });
    new ResizeObserver(() => instance.resize()).observe(holder);
    charts.set(id, instance);
  }
  return charts.get(id);
}

// setEmpty covers a panel with a sentence while it has nothing to show.
function setEmpty(id, sentence) {
  const holder = byId(id);
  let cover = holder.querySelector('.empty');
  if (!sentence) {
    if (cover) cover.remove();
    return false;
  }
  if (!cover) {
    cover = make('p', 'empty');
    holder.append(cover);
  }
  if (cover.textContent !== sentence) cover.textContent = sentence;
  return true;
}

function whyEmpty(state, what) {
  if (state.totals.predictions === 0) return 'Waiting for the first prediction…';
  return `No ${what} in the last ${Math.round(state.window_seconds / 60)} minutes`;
}

// begun is the step at which drawing begins: in the first minutes of a run the
// steps before it have nothing to show. At least `least` steps are drawn.
function begun(counts, least) {
  const first = counts.findIndex((n) => n > 0);
  return Math.max(0, Math.min(first < 0 ? 0 : first, counts.length - least));
}

// clockFor shows seconds where minutes would repeat.
const clockFor = (span) => (span < 600_000 ? clock : clockShort);

const tooltip = () => ({
  renderMode: 'richText', confine: true, backgroundColor: color('panel'), borderColor: color('line'), textStyle: { color: color('text'), fontSize: 13 },
});

function drawLine(id, name, series, values, format, limit, line) {
  const data = values.map((value, i) => [series.start + i * series.step_ms, value, series.count[i]]);
  // The last step has only begun: a mean of few would look like a jump.
  const [before, now] = series.count.slice(-2);
  if (now < before / 2) data[data.length - 1][1] = null;
  const axis = { axisLine: { lineStyle: { color: color('line') } }, axisLabel: { color: color('soft') }, splitLine: { lineStyle: { color: color('grid') } } };
  chart(id).setOption({
    animation: false,
    grid: { left: 44, right: limit ? 74 : 16, top: 12, bottom: 26 },
    tooltip: {
      ...tooltip(), trigger: 'axis',
      formatter: ([p]) => p && `${clock.format(p.value[0])}\n${name} ${format(p.value[1])} stars\n${whole(p.value[2])} predictions`,
    },
    xAxis: {
      ...axis, type: 'time', min: data[0][0], max: data[data.length - 1][0], splitLine: { show: false },
      axisLabel: { color: color('soft'), hideOverlap: true, formatter: (t) => clockFor(data[data.length - 1][0] - data[0][0]).format(t) },
    },
    yAxis: { ...axis, type: 'value', scale: true, min: limit ? (r) => round(Math.min(r.min, limit.value) - 0.05) : undefined,
      max: limit ? (r) => round(Math.max(r.max, limit.value) + 0.05) : undefined },
    series: [{
      type: 'line', data, symbol: 'circle', symbolSize: 3, lineStyle: { color: line, width: 2 }, itemStyle: { color: line },
      markLine: limit ? {
        silent: true, symbol: 'none', lineStyle: { color: color('soft'), type: 'dashed' },
        label: { color: color('soft'), lineHeight: 15, formatter: () => `${limit.name}\n${format(limit.value)}`, position: 'end' }, data: [{ yAxis: limit.value }],
      } : { data: [] },
    }],
  }, { replaceMerge: ['series'] });
}

const round = (x) => Math.round(x * 10) / 10;
const last = (values) => values.findLast((v) => v !== null);

function drawLines(state) {
  const { model } = state;
  const from = begun(state.series.count, 24);
  const series = {
    ...state.series, start: state.series.start + from * state.series.step_ms,
    count: state.series.count.slice(from), mean: state.series.mean.slice(from), rmse: state.series.rmse.slice(from),
  };
  if (!setEmpty('rating', series.count.some((n) => n > 0) ? '' : whyEmpty(state, 'prediction'))) {
    drawLine('rating', 'Predicted', series, series.mean, stars, null, color('accent'));
    byId('rating').setAttribute('aria-label', `Mean predicted rating over time, latest ${stars(last(series.mean))} stars`);
  }
  const limit = model && model.rmse !== null ? { name: 'holdout', value: model.rmse } : null;
  if (!setEmpty('error', series.rmse.some((v) => v !== null) ? '' : whyEmpty(state, 'actual rating to compare with'))) {
    drawLine('error', 'RMSE', series, series.rmse, fine, limit, color('second'));
    byId('error').setAttribute('aria-label', `Root mean square error over time, latest ${fine(last(series.rmse))} stars`);
  }
}

function drawAttraction(state) {
  if (setEmpty('attraction', state.genres.names.length ? '' : whyEmpty(state, 'prediction'))) return;
  const from = begun(state.genres.count[0].map((_, i) => state.genres.count.reduce((n, row) => n + row[i], 0)), 8);
  const genres = {
    ...state.genres, start: state.genres.start + from * state.genres.step_ms,
    count: state.genres.count.map((row) => row.slice(from)), mean: state.genres.mean.map((row) => row.slice(from)),
  };
  const names = genres.names.toReversed(); // the axis begins at the bottom
  const times = genres.mean[0].map((_, i) => genres.start + i * genres.step_ms);
  const cells = [];
  genres.mean.forEach((row, g) => row.forEach((value, i) => {
    if (value !== null) cells.push([i, names.length - 1 - g, value, genres.count[g][i]]);
  }));
  const values = cells.map((c) => c[2]);
  const narrow = byId('attraction').clientWidth < 480;
  chart('attraction').setOption({
    animation: false,
    grid: { left: narrow ? 92 : 122, right: 12, top: 4, bottom: 66 },
    tooltip: {
      ...tooltip(),
      formatter: (p) => `${plain(names[p.value[1]])}, ${clock.format(times[p.value[0]])}\n${stars(p.value[2])} stars, ${whole(p.value[3])} predictions`,
    },
    xAxis: { type: 'category', data: times.map((t) => clockFor(times[times.length - 1] - times[0]).format(t)), axisLine: { lineStyle: { color: color('line') } }, axisTick: { show: false }, axisLabel: { color: color('soft') } },
    yAxis: {
      type: 'category', data: names, axisLine: { show: false }, axisTick: { show: false },
      axisLabel: { color: color('text'), fontSize: narrow ? 11 : 12, interval: 0, width: narrow ? 84 : 114, overflow: 'truncate' },
    },
    visualMap: {
      type: 'continuous', dimension: 2, min: Math.floor(Math.min(...values) * 10) / 10, max: Math.ceil(Math.max(...values) * 10) / 10, precision: 1,
      orient: 'horizontal', left: 'center', bottom: 0, itemHeight: 160, itemWidth: 12, calculable: false,
      text: [`${stars(Math.ceil(Math.max(...values) * 10) / 10)} stars`, `${stars(Math.floor(Math.min(...values) * 10) / 10)}`],
      textStyle: { color: color('soft') }, inRange: { color: [color('heat-low'), color('heat-mid'), color('heat-high')] },
    },
    series: [{ type: 'heatmap', data: cells, itemStyle: { borderColor: color('panel'), borderWidth: 1 } }],
  });
  byId('attraction').setAttribute('aria-label', `Mean predicted rating by genre over time; most predicted genre ${genres.names[0]}`);
}

function drawGenres(state) {
  const { genres } = state;
  if (setEmpty('genres', genres.names.length ? '' : whyEmpty(state, 'prediction'))) return;
  const all = genres.names.map((name, i) => ({ name, value: genres.total[i] })).sort((a, b) => b.value - a.value);
  const shown = all.slice(0, palette.length - 1);
  const rest = all.slice(palette.length - 1).reduce((sum, g) => sum + g.value, 0);
  if (rest > 0) shown.push({ name: 'All others', value: rest });
  const sum = shown.reduce((total, g) => total + g.value, 0);
  const share = (name) => `${Math.round((100 * shown.find((g) => g.name === name).value) / sum)} %`;
  const narrow = byId('genres').clientWidth < 480;
  chart('genres').setOption({
    animation: false,
    color: palette,
    tooltip: { ...tooltip(), formatter: (p) => `${plain(p.name)}\n${whole(p.value)} predictions, ${share(p.name)}` },
    legend: {
      orient: 'vertical', selectedMode: false, itemGap: narrow ? 5 : 12, textStyle: { color: color('text'), fontSize: 13 },
      formatter: (name) => `${name}  ${share(name)}`, ...(narrow ? { bottom: 0, left: 'center', top: 'auto', right: 'auto' } : { right: '6%', top: 'middle', left: 'auto', bottom: 'auto' }),
    },
    series: [{
      type: 'pie', data: shown, center: narrow ? ['50%', '25%'] : ['34%', '50%'], radius: narrow ? ['24%', '46%'] : ['46%', '78%'],
      label: { show: false }, itemStyle: { borderColor: color('panel'), borderWidth: 2 }, emphasis: { scale: false },
    }],
  });
  byId('genres').setAttribute('aria-label', 'Share of predictions by genre: ' + shown.map((g) => `${g.name} ${share(g.name)}`).join(', '));
}

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
  fillBars('top-rated', state.top_rated, (m) => m.mean, 5, (m) => stars(m.mean), few);
  const most = state.most_requested.length ? state.most_requested[0].count : 1;
  fillBars('most-requested', state.most_requested, (m) => m.count, most, (m) => whole(m.count), few);
}

// fillRows puts a table's rows in, or one sentence where there are none. A cell
// is a text, or [text, class], or an element.
function fillRows(id, rows, columns, sentence) {
  const body = rows.map(({ cells, className }) => {
    const row = make('tr', className);
    for (const cell of cells) {
      if (cell instanceof Node) {
        row.append(make('td'));
        row.lastChild.append(cell);
      } else {
        row.append(Array.isArray(cell) ? make('td', cell[1], cell[0]) : make('td', '', cell));
      }
    }
    return row;
  });
  if (body.length === 0) {
    const cell = make('td', 'empty', sentence);
    cell.colSpan = columns;
    body.push(make('tr'));
    body[0].append(cell);
  }
  byId(id).replaceChildren(...body);
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

function fillLatest(state) {
  fillRows('latest', state.latest.map((p) => {
    const cold = [p.cold_user && 'user', p.cold_movie && 'movie'].filter(Boolean).join(', ');
    return {
      cells: [
        clock.format(p.at), [String(p.user_id), 'n'], p.title || `Movie ${p.movie_id}`, (p.genres || []).join(', '),
        [stars(p.prediction), 'n'], [p.actual === null ? '' : number(1)(p.actual), 'n'], cold ? make('span', 'tag', cold) : '', p.model_version,
      ],
    };
  }), 8, 'Waiting for the first prediction…');
}
