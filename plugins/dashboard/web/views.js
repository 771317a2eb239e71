'use strict';

// Which of the page's views is shown: the one that the address names after #, the
// live view where it names none.

const views = {
  live: { shown: () => render() },
  'for-you': { shown: () => showForYou() },
  models: { shown: () => showModels() },
};

function route(event) {
  const name = Object.hasOwn(views, location.hash.slice(1)) ? location.hash.slice(1) : 'live';
  for (const other of Object.keys(views)) {
    byId(`view-${other}`).hidden = other !== name;
    const link = byId(`to-${other}`);
    if (other === name) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  byId('footer').hidden = name !== 'live'; // it tells of the charts
  byId('key').hidden = true; // what asked for it is not seen any more
  views[name].shown();
  if (!event) return; // the page was loaded: the focus stays where the browser has it
  scrollTo(0, 0);
  byId(`view-${name}`).querySelector('.heading').focus({ preventScroll: true });
}

addEventListener('hashchange', route);
route();
