'use strict';

// The charts of the live view.

// Colours of lines and of the donut, told apart with colour vision deficiencies too (after
// Okabe and Ito 2008), the last one for the rest.
const palette = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00', '#b8a900', '#8172b2', '#8a929c'];

const charts = new Map();

function chart(id) {
  if (!charts.has(id)) {
    const holder = make('div');
    holder.style.height = '100%';
    byId(id).prepend(holder);
    const instance = echarts.init(holder, null, { renderer: 'canvas' });
    new ResizeObserver(() => holder.clientWidth && instance.resize()).observe(holder); // another view may be shown
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
  return `No ${what} in the last ${spanText(state.window_seconds)}`;
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

// drawLines draws one line for each of lines: {name, values, color, dashed, counts}.
function drawLines(id, series, lines, format, limit) {
  const times = series.count.map((_, i) => series.start + i * series.step_ms);
  const span = times[times.length - 1] - times[0];
  // The last step has only begun: a mean of few would look like a jump.
  const [before, now] = series.count.slice(-2);
  const whole_ = now < before / 2 ? times.length - 1 : times.length;
  const axis = { axisLine: { lineStyle: { color: color('line') } }, axisLabel: { color: color('soft') }, splitLine: { lineStyle: { color: color('grid') } } };
  const many = lines.length > 1;
  chart(id).setOption({
    animation: false,
    grid: { left: 44, right: limit ? 74 : 16, top: 12, bottom: many ? 26 + 22 * Math.ceil(lines.length / (byId(id).clientWidth < 480 ? 1 : 2)) : 26 },
    legend: {
      show: many, bottom: 0, selectedMode: false, itemGap: 10, itemWidth: 18, itemHeight: 8, textStyle: { color: color('text'), fontSize: 12 },
      data: lines.map((line) => ({ name: line.name })),
    },
    tooltip: {
      ...tooltip(), trigger: 'axis',
      formatter: (points) => [clock.format(points[0].value[0]),
        ...points.filter((p) => p.value[1] !== null).map((p) => `${plain(p.seriesName)} ${format(p.value[1])} stars`),
        `${whole(points[0].value[2])} predictions`].join('\n'),
    },
    xAxis: {
      ...axis, type: 'time', min: times[0], max: times[times.length - 1], splitLine: { show: false },
      axisLabel: { color: color('soft'), hideOverlap: true, formatter: (t) => clockFor(span).format(t) },
    },
    yAxis: { ...axis, type: 'value', scale: true, min: limit ? (r) => round(Math.min(r.min, limit.value) - 0.05) : undefined,
      max: limit ? (r) => round(Math.max(r.max, limit.value) + 0.05) : undefined },
    series: lines.map((line, n) => ({
      type: 'line', name: line.name, symbol: 'circle', symbolSize: 3, connectNulls: false,
      data: line.values.slice(0, whole_).map((value, i) => [times[i], value, series.count[i]]),
      lineStyle: { color: line.color, width: 2, type: line.dashed ? 'dashed' : 'solid' }, itemStyle: { color: line.color },
      markLine: limit && n === 0 ? {
        silent: true, symbol: 'none', lineStyle: { color: color('soft'), type: 'dotted' },
        label: { color: color('soft'), lineHeight: 15, formatter: () => `${limit.name}\n${format(limit.value)}`, position: 'end' }, data: [{ yAxis: limit.value }],
      } : { data: [] },
    })),
  }, { replaceMerge: ['series'] });
}

const round = (x) => Math.round(x * 10) / 10;
const last = (values) => values.findLast((v) => v !== null);

// roles says in which role a version is now: by the newest announcement of each role,
// and by what predicts beside the champion.
function roles(state) {
  const current = new Map();
  for (const m of state.models.toReversed()) current.set(m.role, m.version);
  const beside = state.comparisons.filter((c) => state.model && c.champion === state.model.version);
  for (const c of beside) if (!current.has(c.role)) current.set(c.role, c.challenger);
  const of = new Map();
  for (const [role, version] of current) of.set(version, [...(of.get(version) || []), role]);
  return (version) => (of.get(version) || []).map((role) => role.replace(/^challenger:/, '')).join(', ');
}

// colorOf gives a version the same colour in every chart, as long as it is shown.
const colored = [];
function colorOf(version, shown) {
  let at = colored.indexOf(version);
  if (at < 0) {
    at = colored.findIndex((v) => v === undefined || !shown.includes(v));
    if (at < 0) at = colored.length;
    colored[at] = version;
  }
  return palette[at % (palette.length - 1)];
}

function drawSeries(state) {
  const { model } = state;
  const from = begun(state.series.count, 24);
  const later = (values) => values.slice(from);
  const series = { ...state.series, start: state.series.start + from * state.series.step_ms, count: later(state.series.count) };
  const role = roles(state);
  const shown = state.series.versions.map((v) => v.version);
  const line = (v, values) => ({ name: [v.version, role(v.version)].filter(Boolean).join(' · '), values: later(values), color: colorOf(v.version, shown) });
  const predicting = state.series.versions.filter((v) => v.predictions > 0);
  if (!setEmpty('rating', predicting.length ? '' : whyEmpty(state, 'prediction'))) {
    drawLines('rating', series, predicting.map((v) => line(v, v.mean)), stars, null);
    byId('rating').setAttribute('aria-label', 'Mean predicted rating over time. Latest: ' +
      predicting.map((v) => `version ${v.version} ${stars(last(v.mean))} stars`).join(', '));
  }
  const limit = model && model.rmse !== null ? { name: 'holdout', value: model.rmse } : null;
  const judged = state.series.versions.filter((v) => v.accuracy.count > 0);
  if (!setEmpty('error', judged.length ? '' : whyEmpty(state, 'actual rating to compare with'))) {
    const lines = judged.map((v) => line(v, v.rmse));
    if (state.series.baseline_accuracy.count > 0) {
      lines.push({ name: 'biases alone', values: later(state.series.baseline), color: color('soft'), dashed: true });
    }
    drawLines('error', series, lines, fine, limit);
    byId('error').setAttribute('aria-label', 'Root mean square error over time. ' +
      judged.map((v) => `Version ${v.version} ${fine(v.accuracy.rmse)} stars`).join(', '));
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

function drawCalibration(state) {
  const { bins, stated, within } = state.calibration;
  setText('coverage', stated === 0 ? 'How sure versions are is told where als_predict evaluates (RECSYS_EVALUATE=true).' : `${Math.round(100 * within)} % of ${whole(stated)} ratings lie within the stated 80 % interval.`);
  if (setEmpty('calibration', bins.length ? '' : whyEmpty(state, 'actual rating to compare with'))) return;
  const axis = { axisLine: { lineStyle: { color: color('line') } }, axisLabel: { color: color('soft') }, nameTextStyle: { color: color('soft') } };
  chart('calibration').setOption({
    animation: false,
    grid: { left: 48, right: 16, top: 12, bottom: 42 },
    tooltip: { ...tooltip(), formatter: (p) => `predicted about ${number(1)(bins[p.dataIndex].predicted)} stars\n${signed(bins[p.dataIndex].mean_error)} stars on average\n${whole(bins[p.dataIndex].count)} ratings` },
    xAxis: { ...axis, type: 'category', data: bins.map((b) => number(1)(b.predicted)), name: 'predicted, stars', nameLocation: 'middle', nameGap: 26, axisLine: { onZero: false, lineStyle: { color: color('line') } } },
    yAxis: { ...axis, type: 'value', splitLine: { lineStyle: { color: color('grid') } } },
    series: [{ type: 'bar', barMaxWidth: 44, data: bins.map((b) => ({ value: b.mean_error, itemStyle: { color: color(b.mean_error > 0 ? 'second' : 'accent'), opacity: b.count < 10 ? 0.4 : 1 } })) }],
  });
  byId('calibration').setAttribute('aria-label', 'Mean error by predicted rating: ' +
    bins.map((b) => `at ${number(1)(b.predicted)} stars ${signed(b.mean_error)}`).join(', '));
}
