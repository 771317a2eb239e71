'use strict';

// The view “Models”: the versions of the registry, two of them side by side, and
// which one serves. Changes ask first, and the registry's gate has its say.

const manifests = new Map(); // by version; a version never changes
const newestShown = 30;
let versions = []; // the newest first
let asked = null; // what the dialog is about

const champion = () => versions.find((m) => m.role.split(', ').includes('champion'));

async function manifest(version) {
  if (!manifests.has(version)) manifests.set(version, await ask('GET', `api/models/${encodeURIComponent(version)}`));
  return manifests.get(version);
}

function showModels() {
  return attempt('ad-problem', readModels);
}

let followed; // sequence of the newest announcement when the versions were read

// followModels reads the versions anew when one was promoted, by whomever, unless a
// question is open.
function followModels(live) {
  const newest = live.models.length ? live.models[0].sequence : undefined;
  if (newest === followed) return;
  followed = newest;
  if (!byId('view-models').hidden && !byId('ad-dialog').open && byId('key').hidden) showModels();
}

async function readModels() {
  const answer = await ask('GET', 'api/models');
  versions = answer.models.toReversed();
  setText('ad-unread', (answer.problems || []).join(' '));
  const shownNow = versions.slice(0, newestShown);
  const gates = await Promise.all(shownNow.map((m) => manifest(m.version).then((all) => all.gate, (error) => {
    if (error.wantsKey) throw error;
    return null; // its manifest cannot be read, which the list says too
  })));
  fillRows('ad-versions', shownNow.map((m, i) => versionRow(m, gates[i])), 8, 'There is no version yet: train one, or wait for the first training.');
  byId('ad-rollback').disabled = !champion();
  fillChoices();
  byId('ad-body').hidden = false;
}

// gateCell is the outcome of the gate in its own word, and why.
function gateCell(model, gate) {
  const cell = make('div', 'gate');
  if (gate) cell.append(make('span', `tag ${gate.outcome}`, gate.outcome), ' ');
  cell.append(make('span', 'hint', gate ? gate.reason : model.verdict));
  return cell;
}

// effective is how many users each test of the gate counted for.
const effective = (gate) => (gate && gate.tests || []).map((test) => `${whole(test.effective_users)} (${test.head})`);
const effectiveText = (gate) => effective(gate).join(', ') || '–';

function effectiveCell(gate) {
  const cell = make('div');
  cell.append(...effective(gate).map((text) => make('span', 'each', text)));
  if (cell.children.length === 0) cell.textContent = '–';
  return cell;
}

function versionRow(model, gate) {
  const name = make('div', '', model.version);
  for (const role of model.role.split(', ').filter(Boolean)) {
    const share = role === 'champion' || !model.share ? '' : `, ${number(0)(100 * model.share)} % of users`;
    name.append(' ', make('span', 'tag', role + share));
  }
  if (model.simulated) name.append(' ', make('span', 'tag', 'simulated ratings'));
  const serves = model === champion();
  const change = serves ? make('span', 'hint', 'serves') : button('Promote…', `Promote ${model.version}`, () => openDialog('promote', model.version));
  return {
    className: serves ? 'current' : '',
    cells: [name, day.format(Date.parse(model.created_at)), [whole(model.ratings), 'n'], [fine(model.rmse || null), 'n'], [fine(model.bias_rmse || null), 'n'],
      gateCell(model, gate), effectiveCell(gate), change],
  };
}

// fillChoices offers the versions for comparison; what was chosen stays.
function fillChoices() {
  const serving = champion();
  const other = versions.find((m) => m !== serving) || serving;
  for (const [id, preset] of [['ad-a', serving], ['ad-b', other]]) {
    const select = byId(id);
    const before = select.value;
    select.replaceChildren(...versions.map((m) => {
      const option = make('option', '', m.role ? `${m.version} (${m.role})` : m.version);
      option.value = m.version;
      return option;
    }));
    if (versions.some((m) => m.version === before)) select.value = before;
    else if (preset) select.value = preset.version;
  }
}

const comparedRows = ({ a, b, parameters }) => {
  const rows = [['Trained', (m) => day.format(Date.parse(m.created_at))], ['Ratings', (m) => whole(m.metrics.ratings)],
    ['Holdout RMSE, stars', (m) => fine(m.metrics.rmse || null)], ['Biases alone, stars', (m) => fine(m.metrics.bias_rmse || null)],
    ['Data', (m) => m.data.source], ['Gate', (m) => (m.gate ? `${m.gate.outcome}: ${m.gate.reason}` : m.verdict)],
    ['Effective users', (m) => effectiveText(m.gate)], ['Size', (m) => `${number(1)(m.bytes / 1e6)} MB`]].map(([name, of]) => [name, of(a), of(b)]);
  for (const p of parameters) rows.push([`Parameter ${p.name}`, p.a || 'none', p.b || 'none']);
  return rows;
};

byId('ad-compare').addEventListener('submit', (event) => {
  event.preventDefault();
  attempt('ad-problem', async () => {
    const compared = await ask('GET', `api/models/compare?${new URLSearchParams({ a: byId('ad-a').value, b: byId('ad-b').value })}`);
    setText('ad-name-a', compared.a.version);
    setText('ad-name-b', compared.b.version);
    fillRows('ad-differences', comparedRows(compared).map((cells) => ({ className: cells[1] === cells[2] ? '' : 'differs', cells })), 3, '');
    byId('ad-compared').hidden = false;
    const differing = compared.parameters.map((p) => p.name).join(', ');
    setText('ad-status', differing ? `Compared: they differ in ${differing}.` : 'Compared: all parameters are the same.');
  });
});

function openDialog(action, version) {
  asked = { action, version };
  const promotes = action === 'promote';
  setText('ad-dialog-title', promotes ? 'Promote this version?' : 'Roll back the champion?');
  setText('ad-dialog-text', promotes
    ? `${version} becomes the champion in place of ${champion() ? champion().version : 'none'}, if the gate is not against it. Every process that serves takes it over within seconds.`
    : `The version that ${version} replaced becomes the champion again. Every process that serves takes it over within seconds.`);
  setText('ad-confirm', promotes ? 'Promote' : 'Roll back');
  byId('ad-force-label').hidden = !promotes;
  byId('ad-force').checked = false;
  byId('ad-reason').value = '';
  byId('ad-dialog').showModal();
  byId('ad-cancel').focus(); // Enter must not change what serves by mistake
}

byId('ad-rollback').addEventListener('click', () => openDialog('rollback', champion().version));
byId('ad-refresh').addEventListener('click', showModels);
byId('ad-cancel').addEventListener('click', () => byId('ad-dialog').close());

byId('ad-dialog-form').addEventListener('submit', (event) => {
  event.preventDefault();
  byId('ad-dialog').close();
  const { action, version } = asked;
  const reason = byId('ad-reason').value.trim();
  const body = action === 'promote' ? { version, force: byId('ad-force').checked } : { expected: version };
  if (reason) body.reason = reason;
  setText('ad-status', 'Asking…');
  attempt('ad-problem', async () => {
    const answer = await ask('POST', `api/models/${action}`, body);
    await readModels();
    if (document.activeElement === document.body) byId('ad-h-versions').focus(); // the row's button is gone
    setText('ad-status', answer.changed ? `Done: ${answer.what}. The champion is ${champion().version}.` : `Nothing was changed: ${answer.what}.`);
  }).then((well) => well || setText('ad-status', ''));
});
