// A part of the page that the server draws. New HTML is merged into what is there instead of replacing it, so that the
// focus, the selection and what the reader has opened survive a refresh.

function sameKind(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && !a.dataset?.key;
}

function mergeAttributes(from, to) {
  for (const { name } of [...from.attributes]) {
    // a <details> belongs to the reader once it is on the screen
    if (!to.hasAttribute(name) && !(name === "open" && from.nodeName === "DETAILS")) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (name === "open" && from.nodeName === "DETAILS") continue;
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

function merge(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  mergeAttributes(from, to);
  mergeChildren(from, to);
}

export function mergeChildren(from, to) {
  const keyed = new Map([...from.children].filter((e) => e.dataset.key).map((e) => [e.dataset.key, e]));
  let cursor = from.firstChild;
  for (const next of [...to.childNodes]) {
    const key = next.dataset?.key;
    let found = key ? keyed.get(key) : cursor && sameKind(cursor, next) ? cursor : undefined;
    if (found && found.nodeName !== next.nodeName) found = undefined;
    if (!found) {
      from.insertBefore(next, cursor);
      continue;
    }
    if (found === cursor) cursor = cursor.nextSibling;
    else from.insertBefore(found, cursor);
    merge(found, next);
  }
  while (cursor) {
    const after = cursor.nextSibling;
    cursor.remove();
    cursor = after;
  }
}

export default {
  template: `<div @pointerleave="release" @pointerout="release"></div>`,
  props: { html: String, subject: String },
  methods: {
    // a list that moves under the pointer cannot be clicked: it is held still until the pointer has left it
    isHeld() {
      const isSame = this.$el.dataset.subject === this.subject;
      // where there is no pointer, :hover stays behind after a touch
      return isSame && matchMedia("(hover: hover)").matches && this.$el.querySelector("[data-hold]:hover") !== null;
    },
    release() {
      if ("waiting" in this.$el.dataset && !this.isHeld()) this.show(this.html);
    },
    show(value) {
      delete this.$el.dataset.waiting;
      this.$el.dataset.subject = this.subject;
      const next = document.createElement("template");
      next.innerHTML = value;
      const focused = document.activeElement;
      mergeChildren(this.$el, next.content);
      if (focused && focused !== document.activeElement && this.$el.contains(focused)) {
        focused.focus({ preventScroll: true });
      }
    },
  },
  mounted() {
    this.$el.innerHTML = this.html;
    if (document.hidden) emitEvent("shopscope_look", false); // opened in the background
  },
  watch: {
    html(value) {
      if (this.isHeld()) this.$el.dataset.waiting = "";
      else this.show(value);
    },
  },
};
