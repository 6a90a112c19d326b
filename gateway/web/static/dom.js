// Building and changing the page without flicker: an element is touched only when what it shows has changed.
// Text goes in as text, never as markup: names come from devices.

export function el(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "class") node.className = value;
    else if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const byId = (id) => document.getElementById(id);

export function text(node, wanted) {
  const value = String(wanted ?? "");
  if (node.textContent !== value) node.textContent = value;
}

export function mark(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) {
    node.setAttribute(name, String(value));
  }
}

export const show = (node, visible) => mark(node, "hidden", visible ? null : "");

// Keep one child of `parent` per item: made once, updated each time, in the order of the items.
// A part is {node, update(item), gone?()}; parts are remembered on the parent.
export function list(parent, items, keyOf, make) {
  const parts = (parent.parts ??= new Map());
  const wanted = new Map(items.map((item) => [keyOf(item), item]));
  for (const [key, part] of parts) {
    if (wanted.has(key)) continue;
    part.gone?.();
    part.node.remove();
    parts.delete(key);
  }
  let place = parent.firstElementChild;
  for (const [key, item] of wanted) {
    let part = parts.get(key);
    if (!part) parts.set(key, (part = make(item)));
    if (part.node === place) place = place.nextElementSibling;
    else parent.insertBefore(part.node, place);
    part.update(item);
  }
}
