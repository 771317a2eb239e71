'use strict';

// What all files of the page use. Whatever comes from messages is put in as text
// (textContent, or drawn on a canvas), never as markup.

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

// spanText says how long a window is.
const spanText = (seconds) => (seconds < 7200 ? `${Math.round(seconds / 60)} minutes` : `${Math.round(seconds / 3600)} hours`);

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
