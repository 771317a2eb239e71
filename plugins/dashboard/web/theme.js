'use strict';

// Sets light or dark before anything is drawn: what was chosen here, or what the
// system prefers.

const darkSystem = matchMedia('(prefers-color-scheme: dark)');

function chosenTheme() {
  try {
    return localStorage.getItem('theme') || '';
  } catch {
    return ''; // storage is off
  }
}

function applyTheme() {
  document.documentElement.dataset.theme = chosenTheme() || (darkSystem.matches ? 'dark' : 'light');
}

function chooseTheme(theme) {
  try {
    if (theme) localStorage.setItem('theme', theme);
    else localStorage.removeItem('theme');
  } catch {
    // for this page only, then
  }
  document.documentElement.dataset.theme = theme || (darkSystem.matches ? 'dark' : 'light');
}

darkSystem.addEventListener('change', applyTheme);
applyTheme();
