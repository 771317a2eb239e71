'use strict';

// Asks the interface that is served beside this page (docs/api.md). Its paths are
// relative to the page, so that both may stand behind a proxy's path.

// A key stands here and nowhere else: it is gone when the page is loaded again.
let apiKey = '';

// Problem is why a request was not answered, in words for a person.
class Problem extends Error {
  constructor(status, text, absent = false) {
    super(text);
    this.status = status; // of HTTP, 0 if nothing came
    this.absent = absent; // the page is served without the interface
  }

  get wantsKey() { return this.status === 401 || this.status === 403; }
}

const absentText = 'The live page is served alone here, without the interface for requests. Start “recsys-benthos up”, or pipelines/api.yaml on the same address, and load the page again.';

async function ask(method, path, body) {
  const headers = {};
  if (apiKey) headers['X-API-Key'] = apiKey;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(path, { method, headers, cache: 'no-store', body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Problem(0, 'The server cannot be reached. Check that it runs, then try again.');
  }
  const type = response.headers.get('Content-Type') || '';
  if (response.ok && type.includes('json')) return response.json();
  if (!type.includes('json')) throw new Problem(response.status, absentText, true);
  const problem = await response.json().catch(() => ({}));
  const wait = response.headers.get('Retry-After');
  const text = problem.detail || problem.title || `The server answered with the status ${response.status}.`;
  throw new Problem(response.status, wait ? `${text} (try again in ${wait} s)` : text);
}

// The form for a key is shown once one is asked for, and does what failed again.
let afterKey = null;

function wantKey(problem, again) {
  afterKey = again;
  byId('key').hidden = false;
  setText('key-problem', apiKey === '' ? 'The server asks for a key.' : `This key does not do: ${problem.message}. Give another one.`);
  byId('key-input').focus();
}

byId('key').addEventListener('submit', (event) => {
  event.preventDefault();
  const input = byId('key-input');
  apiKey = input.value.trim();
  input.value = '';
  byId('key').hidden = true;
  if (afterKey) afterKey();
});

// attempt runs a task and says in the element what went wrong; where a key is
// missing it asks for one and runs the task again. It reports whether all went well.
async function attempt(id, task) {
  setText(id, '');
  try {
    await task();
    return true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.wantsKey) wantKey(error, () => attempt(id, task));
    setText(id, error.wantsKey ? `Not done: ${error.message}.` : error.message);
    return false;
  }
}
