// Runs the script of a page without a browser: stand-ins for the document and for plotly
// record what is drawn.  Called as: node page_harness.js DATA.json PAGE.js ROW...
"use strict";
const fs = require("fs");
const vm = require("vm");

const [dataFile, scriptFile, ...rows] = process.argv.slice(2);

class Element {
  constructor() { this.children = []; this.own = ""; this.style = {}; this.handlers = {}; }
  get textContent() {
    return this.own + this.children.map((c) => (typeof c === "string" ? c : c.textContent)).join("|");
  }
  set textContent(text) { this.own = text; this.children = []; }
  append(...items) { this.children.push(...items); }
  on(name, handler) { this.handlers[name] = handler; }
  removeAllListeners(name) { delete this.handlers[name]; }
  get clientWidth() { return 500; }
  get clientHeight() { return 500; }
}

const elements = {};
for (const id of ["landscape", "structure", "about", "message", "elements", "data"]) {
  elements[id] = new Element();
}
elements.data.own = fs.readFileSync(dataFile, "utf8");
const drawn = { landscape: null, clicks: [] };
const draw = (target, traces, layout) => {
  const element = typeof target === "string" ? elements[target] : target;
  element.data = traces;
  element.layout = layout;
  return Promise.resolve(element);
};
const Plotly = {
  newPlot: draw,
  react: draw,
  restyle(target, change, [index]) { Object.assign(elements[target].data[index], { ring: change }); },
  purge(element) { element.data = null; },
};
const context = vm.createContext({
  Plotly, atob, console,
  document: { getElementById: (id) => elements[id], createElement: () => new Element() },
});
vm.runInContext(fs.readFileSync(scriptFile, "utf8"), context);
setTimeout(() => {
  drawn.landscape = JSON.parse(JSON.stringify(elements.landscape.data));
  for (const row of rows.map(Number)) {
    elements.landscape.handlers.plotly_click({ points: [{ customdata: row }] });
    drawn.clicks.push(JSON.parse(JSON.stringify({
      about: elements.about.textContent,
      message: elements.message.textContent,
      structure: elements.structure.data || null,
      ring: elements.landscape.data.at(-1).ring,
    })));
  }
  console.log(JSON.stringify(drawn));
}, 0);
