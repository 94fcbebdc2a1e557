// Elements from data, without HTML: text is only ever text, so nothing that a provider says can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. Children are nodes, texts, numbers or lists of them; null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== false));
  return element;
}

/** Give `place` these children, changing only what differs: focus, selection and tooltips stay where they are. */
export function show(place, ...children) {
  morphChildren(place, h("div", {}, ...children));
}

function morph(live, fresh) {
  if (live.nodeName !== fresh.nodeName) {
    live.replaceWith(fresh);
  } else if (live.nodeType === Node.TEXT_NODE) {
    if (live.data !== fresh.data) live.data = fresh.data;
  } else {
    for (const { name } of [...live.attributes]) {
      if (!fresh.hasAttribute(name)) live.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (live.getAttribute(name) !== value) live.setAttribute(name, value);
    }
    morphChildren(live, fresh);
  }
}

function morphChildren(live, fresh) {
  const before = [...live.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((node, index) => (index < before.length ? morph(before[index], node) : live.append(node)));
  before.slice(after.length).forEach((node) => node.remove());
}
