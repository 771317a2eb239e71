'use strict';

// What a movie looks like in a list: a poster that is drawn, as there are no
// pictures here, what it is, and stars to rate it with.

// nameOf is a title without its year, which stands beside it.
const nameOf = (movie) => (movie.title || `Movie ${movie.movie_id}`).replace(/\s*\(\d{4}\)\s*$/, '');

const yearOf = (movie) => {
  if (movie.year) return String(movie.year);
  const found = /\((\d{4})\)\s*$/.exec(movie.title || '');
  return found ? found[1] : '';
};

const aboutOf = (movie) => [yearOf(movie), (movie.genres || []).join(', ')].filter(Boolean).join(' · ');

const starsText = (value) => `${value} ${value === 1 ? 'star' : 'stars'}`;

const letters = new Intl.Segmenter('en', { granularity: 'grapheme' });

// initialsOf takes the first sign of up to three words, a sign being what people
// take for one: an emoji of a family is one too.
function initialsOf(movie) {
  const words = nameOf(movie).replace(/,\s*(The|A|An)$/, '').split(/[^\p{L}\p{N}\p{Emoji_Presentation}\u200d]+/u).filter(Boolean);
  return words.slice(0, 3).map((word) => [...letters.segment(word)][0].segment.toUpperCase()).join('') || '?';
}

// hueOf is a colour of the genre, the same wherever the genre is seen.
function hueOf(genre) {
  let sum = 7;
  for (const c of genre) sum = (sum * 31 + c.codePointAt(0)) % 360;
  return (sum * 137) % 360; // genres of near sums have distant colours
}

// poster is for the eyes only: all that it shows stands beside it too.
function poster(movie) {
  const card = make('div', 'poster');
  card.setAttribute('aria-hidden', 'true');
  const hue = hueOf((movie.genres || [])[0] || '');
  card.style.backgroundColor = `hsl(${hue} 42% 26%)`; // dark enough for white letters, whatever the hue
  card.append(make('span', 'initials', initialsOf(movie)), make('span', 'year', yearOf(movie)));
  return card;
}

let starGroups = 0;

// starGroup is a radio group of half stars. A pointer rates at once; the keyboard
// chooses by the arrows, and rates by Enter or the button that appears, or else
// each step on the way would be a rating. rate(value) does it.
function starGroup(movie, present, rate) {
  const form = make('form', 'stars');
  const group = make('fieldset');
  group.append(make('legend', 'unseen', `Rate ${nameOf(movie)}`));
  const confirm = make('button', 'confirm', 'Rate');
  confirm.hidden = true;
  const name = `stars-${++starGroups}`;
  let pointed = false;
  for (let value = 0.5; value <= 5; value += 0.5) {
    const half = make('label', value % 1 ? 'half left' : 'half right');
    const input = make('input');
    input.type = 'radio';
    input.name = name;
    input.value = String(value);
    input.checked = value === present;
    input.setAttribute('aria-label', starsText(value));
    half.title = starsText(value);
    half.append(input);
    group.append(half);
  }
  group.addEventListener('pointerdown', () => { pointed = true; });
  group.addEventListener('keydown', () => { pointed = false; });
  group.addEventListener('change', (event) => {
    const value = Number(event.target.value);
    if (pointed) {
      rate(value);
      return;
    }
    confirm.hidden = false;
    confirm.textContent = `Rate ${starsText(value)}`;
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const chosen = group.querySelector('input:checked');
    if (chosen) rate(Number(chosen.value));
  });
  form.append(group, confirm);
  return form;
}

const button = (text, label, press) => {
  const element = make('button', 'quiet', text);
  element.type = 'button';
  if (label) element.setAttribute('aria-label', label);
  element.addEventListener('click', press);
  return element;
};
