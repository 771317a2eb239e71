'use strict';

// The view “For you”: the best movies for one user, what speaks for them, and the
// user's ratings. Who is looked at, and which movies are set aside, is known to
// this page only, and forgotten with it.

// How long, in milliseconds, a list is asked for again until it has changed: often
// while somebody waits, then now and then, as a busy server may take a moment.
const soon = { most: 1000, pause: 40 };
const later = { most: 20_000, pause: 500 };
const ratedAtFirst = 10;

const forYou = {
  user: null,
  list: [], // as it came, without what was set aside
  rated: [], // {movie_id, value, at}, the newest first
  shownRated: ratedAtFirst,
  setAside: new Set(), // movies that are not interesting
  movies: new Map(), // by id, what is known of them
  genres: new Set(),
  turn: 0, // counts the users that were looked at: an answer for the one before is dropped
  changes: 0, // counts the changes of ratings: the newest one is followed
};

function learn(movie) {
  forYou.movies.set(movie.movie_id, movie);
  offer(movie.genres || []);
}

// offer adds genres to those that the filter proposes; another may be typed in.
function offer(genres) {
  for (const genre of genres) {
    if (forYou.genres.has(genre)) continue;
    forYou.genres.add(genre);
    const option = make('option');
    option.value = genre;
    byId('fy-genres').append(option);
  }
}

const fromItem = (item) => ({ movie_id: Number(item.ItemId), title: item.Comment, genres: item.Categories });

function showForYou() {
  if (state) offer(state.genres.names);
}

const listPath = () => {
  const query = new URLSearchParams({ n: String(Number(byId('fy-n').value) + forYou.setAside.size), format: 'full', reasons: 'true' });
  for (const [parameter, id] of [['category', 'fy-genre'], ['year_from', 'fy-from'], ['year_to', 'fy-to']]) {
    const value = byId(id).value.trim();
    if (value) query.set(parameter, value);
  }
  return `api/recommend/${forYou.user}?${query}`;
};

async function askList() {
  const reply = await ask('GET', listPath());
  reply.items = reply.items.filter((movie) => !forYou.setAside.has(movie.movie_id)).slice(0, Number(byId('fy-n').value));
  reply.items.forEach(learn);
  return reply;
}

async function askRated() {
  const feedback = await ask('GET', `api/user/${forYou.user}/feedback/rate`);
  return feedback.map((f) => ({ movie_id: Number(f.ItemId), value: f.Value, at: Date.parse(f.Timestamp) })).sort((a, b) => b.at - a.at || a.movie_id - b.movie_id);
}

// nameRated asks for what is not known yet of the rated movies that are shown.
async function nameRated() {
  const unknown = forYou.rated.slice(0, forYou.shownRated).filter((r) => !forYou.movies.has(r.movie_id));
  await Promise.all(unknown.map(async (r) => {
    const item = await ask('GET', `api/item/${r.movie_id}`).catch((error) => {
      if (error.status === 404) return null; // rated, but in no catalog any more
      throw error;
    });
    learn(item ? fromItem(item) : { movie_id: r.movie_id });
  }));
}

const sameList = (a, b) => a.length === b.length && a.every((movie, i) => movie.movie_id === b[i].movie_id && movie.score === b[i].score);

async function showUser(user) {
  const turn = ++forYou.turn;
  forYou.user = user;
  forYou.shownRated = ratedAtFirst;
  forYou.setAside.clear();
  byId('fy-user').value = user;
  setText('fy-status', 'Asking…');
  const well = await attempt('fy-problem', async () => {
    const [reply, rated] = await Promise.all([askList(), askRated()]);
    if (turn !== forYou.turn) return;
    await fillAll(reply, rated);
    byId('fy-body').hidden = false;
    setText('fy-status', `User ${user}: ${reply.items.length} movies, ${rated.length} ${rated.length === 1 ? 'rating' : 'ratings'}.`);
  });
  if (well || turn !== forYou.turn) return;
  setText('fy-status', '');
  byId('fy-body').hidden = true;
}

// reload asks for the list once more, as the filters say now.
function reload() {
  if (forYou.user === null) return;
  const turn = forYou.turn;
  attempt('fy-problem', async () => {
    const reply = await askList();
    if (turn !== forYou.turn) return;
    fillList(reply);
    setText('fy-status', `User ${forYou.user}: ${reply.items.length} movies.`);
  });
}

// follow asks again until a change of a rating is in the list and among the
// ratings, as done tells, or it takes too long.
async function follow(before, done, what) {
  const { turn } = forYou;
  const change = ++forYou.changes;
  const began = performance.now();
  for (let waits = soon; ;) {
    const [reply, rated] = await Promise.all([askList(), askRated()]);
    if (turn !== forYou.turn || change !== forYou.changes) return;
    const changed = !sameList(before, reply.items) && done(rated, reply);
    const late = performance.now() - began > waits.most;
    if (changed || late) {
      if (changed || waits === soon) await fillAll(reply, rated); // what somebody chooses meanwhile stays
      setText('fy-status', changed ? `Updated: ${what}.` : `Stored: ${what}. ${waits === soon ? 'The list will follow.' : 'The list does not change by it yet.'}`);
      if (changed || waits === later) return;
      waits = later;
    }
    await new Promise((resolve) => setTimeout(resolve, waits.pause));
  }
}

async function fillAll(reply, rated) {
  forYou.rated = rated;
  await nameRated();
  fillList(reply);
  fillRated();
  fillFound();
}

// keepFocus does what takes the focused element away, and puts the focus where the
// next of its kind stands, or on the heading.
function keepFocus(listId, headingId, fill) {
  const list = byId(listId);
  const row = list.contains(document.activeElement) ? [...list.children].findIndex((child) => child.contains(document.activeElement)) : -1;
  fill();
  if (row < 0) return;
  const next = list.children[Math.min(row, list.children.length - 1)];
  const target = next && next.querySelector('input:checked, input, button');
  (target || byId(headingId)).focus({ preventScroll: true });
}

function rate(movie, value) {
  const before = forYou.list;
  setText('fy-status', `Rating ${nameOf(movie)}…`);
  return attempt('fy-problem', async () => {
    await ask('POST', 'api/feedback', [{ FeedbackType: 'rate', UserId: String(forYou.user), ItemId: String(movie.movie_id), Value: value }]);
    // A list of what is popular changes by itself, with what others rate.
    await follow(before, (rated, reply) => rated.some((r) => r.movie_id === movie.movie_id && r.value === value) &&
      reply.basis !== 'popular' && !reply.items.some((m) => m.movie_id === movie.movie_id),
    `${nameOf(movie)} has ${starsText(value)}`);
  }).then((well) => well || setText('fy-status', ''));
}

function takeBack(movie) {
  const before = forYou.list;
  setText('fy-status', `Taking the rating of ${nameOf(movie)} back…`);
  return attempt('fy-problem', async () => {
    await ask('DELETE', `api/feedback/${forYou.user}/${movie.movie_id}`);
    await follow(before, (rated) => !rated.some((r) => r.movie_id === movie.movie_id), `the rating of ${nameOf(movie)} is taken back`);
  }).then((well) => well || setText('fy-status', ''));
}

function setAside(movie) {
  forYou.setAside.add(movie.movie_id);
  reload();
}

const basisText = {
  user: 'Made from this user’s ratings.',
  popular: 'Nothing is known of this user yet: these are what most people rate. Rate some, and the list follows.',
};

function fillList(reply) {
  forYou.list = reply.items;
  setText('fy-basis', `${basisText[reply.basis] || ''} Model ${reply.model_version}.`.trim());
  keepFocus('fy-list', 'fy-h-list', () => {
    byId('fy-list').replaceChildren(...reply.items.map(movieCard));
    if (reply.items.length === 0) byId('fy-list').append(make('li', 'empty', 'No movie fits. Take a filter away.'));
  });
  byId('fy-set-aside').hidden = forYou.setAside.size === 0;
  setText('fy-set-aside-text', `${forYou.setAside.size} set aside in this page, until it is loaded again.`);
}

function movieCard(movie) {
  const card = make('li', 'card');
  const text = make('div', 'about');
  text.append(make('h4', '', nameOf(movie)), make('p', 'hint', aboutOf(movie)));
  const score = make('p', 'score');
  score.append(make('strong', '', `${number(1)(movie.prediction)} ★`), ' predicted ', make('span', 'unit', `score ${stars(Math.round(100 * movie.score) / 100 || 0)}`));
  text.append(score);
  card.append(poster(movie), text);
  if (movie.reason) card.append(reasonsOf(movie));
  const present = forYou.rated.find((r) => r.movie_id === movie.movie_id);
  const bottom = make('div', 'bottom');
  bottom.append(starGroup(movie, present ? present.value : 0, (value) => rate(movie, value)),
    button('Not interested', `Not interested in ${nameOf(movie)}`, () => setAside(movie)));
  card.append(bottom);
  return card;
}

// reasonsOf is the rating that speaks most for the movie, and behind it all that do,
// which are asked for when somebody looks.
function reasonsOf(movie) {
  const details = make('details', 'reasons');
  details.append(make('summary', '', `Because of ${starsText(movie.reason.rating)} for ${nameOf(movie.reason)}`));
  const list = make('ul');
  const problem = make('p', 'problem');
  details.append(list, problem);
  details.addEventListener('toggle', async () => {
    if (!details.open || list.children.length > 0) return;
    try {
      const reply = await ask('GET', `api/because/${forYou.user}/${movie.movie_id}?n=5`);
      list.replaceChildren(...reply.items.map((own) => make('li', '', `${starsText(own.rating)} for ${nameOf(own)}: ${signed(own.score)}`)));
    } catch (error) {
      problem.textContent = error.message;
    }
  });
  return details;
}

function fillRated() {
  setText('fy-h-rated', `Rated by user ${forYou.user}`);
  setText('fy-rated-hint', forYou.rated.length === 0 ? 'Nothing yet.' : `${whole(forYou.rated.length)} in all, the newest first.`);
  byId('fy-rated-more').hidden = forYou.rated.length <= forYou.shownRated;
  keepFocus('fy-rated', 'fy-h-rated', () => byId('fy-rated').replaceChildren(...forYou.rated.slice(0, forYou.shownRated).map((r) => {
    const movie = forYou.movies.get(r.movie_id);
    const row = make('li');
    const text = make('div', 'about');
    text.append(make('span', '', nameOf(movie)), ' ', make('span', 'hint', yearOf(movie)));
    row.append(text, make('strong', 'given', `${number(1)(r.value)} ★`), button('Take back', `Take back the rating of ${nameOf(movie)}`, () => takeBack(movie)));
    return row;
  })));
}

let foundMovies = [];

function fillFound() {
  keepFocus('fy-found', 'fy-h-search', () => byId('fy-found').replaceChildren(...foundMovies.map((movie) => {
    const row = make('li', 'found');
    const text = make('div', 'about');
    text.append(make('span', '', nameOf(movie)), ' ', make('span', 'hint', aboutOf(movie)));
    const present = forYou.rated.find((r) => r.movie_id === movie.movie_id);
    row.append(text, starGroup(movie, present ? present.value : 0, (value) => rate(movie, value)));
    return row;
  })));
}

byId('fy-search-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const words = byId('fy-search').value.trim();
  const most = 8;
  attempt('fy-problem', async () => {
    const page = await ask('GET', `api/items?${new URLSearchParams({ n: String(most), q: words })}`);
    foundMovies = page.Items.filter((item) => !item.IsHidden).map(fromItem);
    foundMovies.forEach(learn);
    fillFound();
    setText('fy-search-status', foundMovies.length === 0 ? `No title has “${words}” in it.`
      : `${foundMovies.length} found${page.Items.length === most ? '; more words find fewer' : ''}.`);
  });
});

byId('fy-user-form').addEventListener('submit', (event) => {
  event.preventDefault();
  showUser(byId('fy-user').value.trim());
});

// A new user's id is drawn from numbers that MovieLens does not have, and is free
// if nobody has rated with it.
byId('fy-new').addEventListener('click', () => attempt('fy-problem', async () => {
  for (;;) {
    const id = 1_000_000 + crypto.getRandomValues(new Uint32Array(1))[0] % 9_000_000;
    const did = await ask('GET', `api/user/${id}/feedback`);
    if (did.length === 0) return showUser(String(id));
  }
}));

byId('fy-filters').addEventListener('submit', (event) => {
  event.preventDefault();
  reload();
});
byId('fy-n').addEventListener('change', reload);
byId('fy-bring-back').addEventListener('click', () => {
  forYou.setAside.clear();
  byId('fy-h-list').focus({ preventScroll: true });
  reload();
});
byId('fy-rated-more').addEventListener('click', () => {
  forYou.shownRated += 50;
  attempt('fy-problem', async () => {
    await nameRated();
    fillRated();
  });
});
