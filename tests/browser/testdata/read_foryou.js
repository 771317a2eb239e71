// Reads the view “For you”. Evaluated in the page by the tests.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const text = (selector, root = document) => root.querySelector(selector)?.textContent ?? '';
  return {
    user: document.getElementById('fy-user').value,
    status: text('#fy-status'),
    problem: text('#fy-problem'),
    basis: text('#fy-basis'),
    hidden: document.getElementById('fy-body').hidden,
    cards: all('#fy-list .card').map((card) => ({ title: text('h4', card), about: text('.hint', card), score: text('.score', card), reason: text('summary', card) })),
    because: all('#fy-list details[open] li').map((li) => li.textContent),
    found: all('#fy-found .about > span:first-child').map((span) => span.textContent),
    rated: all('#fy-rated li').map((li) => [text('.about > span', li), text('.given', li)]),
    focus: document.activeElement ? `${document.activeElement.tagName} ${document.activeElement.getAttribute('aria-label') || document.activeElement.textContent}` : '',
  };
})();
