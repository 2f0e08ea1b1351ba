"use strict";
// Draws the landscape of the page and, on a click, the structure of the point.
// The element #data holds what page.page_data (Python) made.

const data = JSON.parse(document.getElementById("data").textContent);
const points = data.points;
for (const layer of data.layers) layer.members = new Set(layer.rows);
const FONT = { family: "DejaVu Sans, Verdana, sans-serif", size: 13, color: "#222" };
const MANY = 5000; // more points than this are drawn by WebGL

const named = (column, row) => (column ? column.names[column.of[row]] : undefined);
const at = (column, row) => (column && column[row] !== null ? column[row] : undefined);
const escaped = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");

// Where a point came from, in the words a reader needs to open it.
function origin(row) {
  const file = named(points.source, row);
  if (file === undefined) return undefined;
  const index = at(points.index, row);
  return index === undefined ? file : `${file}, index ${index}`;
}

// What the colour of a point means: its category or its number, unless told anyway.
function colourFact(row) {
  if (!data.category) {
    const value = data.scale && !data.scale.ticks ? data.scale.values[row] : null;
    const told = !data.scale || data.scale.label.startsWith("energy per atom");
    return told || value === null ? [] : [[data.scale.label, String(value)]];
  }
  const layer = data.layers.find((one) => one.members.has(row));
  return [[data.category, layer.name]];
}

// Names and values of everything known of a point; what is not known is left out.
function facts(row) {
  const energy = at(points.energy, row);
  return [
    ["frame", points.id[row]],
    ["file", origin(row)],
    ["set", points.set.names.length > 1 ? named(points.set, row) : undefined],
    ["energy per atom", energy === undefined ? undefined : `${energy.toFixed(4)} eV`],
    ["sS", `${points.sS[row].toFixed(3)} kB per atom`],
    ["Q6", points.Q6[row].toFixed(4)],
    ...colourFact(row),
  ].filter(([, value]) => value !== undefined);
}

function hover(row) {
  const lines = facts(row).map(([name, value]) => {
    const short = name === "file" ? value.split("/").pop() : value;
    return `${name}: ${escaped(short)}`;
  });
  const formula = named(points.formula, row);
  return (formula ? [`<b>${escaped(formula)}</b>`] : []).concat(lines).join("<br>");
}

function marker(layer) {
  const n = points.id.length;
  const look = {
    symbol: layer.symbol,
    size: data.density ? 3.5 : Math.min(9, Math.max(4, 13 - 2 * Math.log10(n))),
    color: layer.colour,
    line: { color: "white", width: n > MANY ? 0 : 0.6 },
  };
  const scale = data.scale;
  if (!scale) return look;
  const bar = { title: { text: scale.label, side: "right" }, thickness: 14, outlinewidth: 0 };
  if (scale.ticks) {
    bar.tickvals = scale.ticks.map(Math.log10);
    bar.ticktext = scale.ticks.map(String);
  }
  return {
    ...look,
    color: layer.rows.map((row) => scale.values[row]),
    cmin: scale.low,
    cmax: scale.high,
    colorscale: "Viridis",
    showscale: layer.bar,
    colorbar: bar,
  };
}

// A layer on a scale is two traces: points without a value are grey, not the lowest colour.
// One of the two is in the legend.
function split(layer) {
  if (!data.scale) return [layer];
  const has = (row) => data.scale.values[row] !== null;
  const on = { ...layer, rows: layer.rows.filter(has) };
  const off = { ...layer, rows: layer.rows.filter((row) => !has(row)), plain: true };
  if (on.rows.length) off.entry = undefined;
  return [off, on].filter((part) => part.rows.length);
}

function layerTrace(layer) {
  const look = layer.plain
    ? { symbol: layer.symbol, size: 5, color: data.scale.missing }
    : marker(layer);
  return {
    type: points.id.length > MANY ? "scattergl" : "scatter",
    mode: "markers",
    name: escaped(layer.entry ? layer.entry.label : layer.label),
    legendgroup: layer.name,
    showlegend: Boolean(layer.entry),
    x: layer.rows.map((row) => points.sS[row]),
    y: layer.rows.map((row) => points.Q6[row]),
    customdata: layer.rows,
    text: layer.rows.map(hover),
    hovertemplate: "%{text}<extra></extra>",
    marker: look,
  };
}

function densityTrace(density) {
  return {
    type: "heatmap",
    x: density.sS,
    y: density.Q6,
    z: density.log10_count,
    colorscale: [[0, "#e3e6ea"], [1, "#4a5058"]],
    showscale: false,
    hoverinfo: "skip",
  };
}

function landscapeTraces() {
  const traces = data.density ? [densityTrace(data.density)] : [];
  const unused = data.legend.slice();
  let bar = true; // one colour bar, of the first layer that has values
  data.layers.forEach((layer) => {
    const k = unused.findIndex((entry) => entry.label.startsWith(`${layer.name}: `));
    const entry = k < 0 ? undefined : unused.splice(k, 1)[0];
    for (const part of split({ ...layer, entry })) {
      traces.push(layerTrace({ ...part, bar }));
      bar = bar && Boolean(part.plain);
    }
  });
  // What is left in the legend tells markers apart and has no points of its own.
  unused.forEach((entry) => traces.push({
    type: "scatter", mode: "markers", name: escaped(entry.label), x: [null], y: [null],
    marker: { symbol: entry.symbol, color: entry.colour, size: 8 },
  }));
  traces.push({
    type: "scatter", mode: "markers", x: [], y: [], showlegend: false, hoverinfo: "skip",
    marker: { symbol: "circle-open", size: 16, color: "#d0021b", line: { width: 2.5 } },
  });
  return traces;
}

const axis = (title, range) => ({
  title: { text: title }, range, zeroline: false, gridcolor: "#e6e8eb", linecolor: "#8a9099",
  showline: true, ticks: "outside", tickcolor: "#8a9099",
});

function drawLandscape() {
  const layout = {
    font: FONT,
    margin: { l: 64, r: 12, t: 36, b: 56 },
    xaxis: axis("←  ordered    pair entropy sS (kB per atom)    disordered  →", data.limits.sS),
    yaxis: axis("bond order Q6", data.limits.Q6),
    legend: { orientation: "h", x: 0, y: 1.01, yanchor: "bottom", itemsizing: "constant" },
    showlegend: true,
    hovermode: "closest",
    hoverlabel: { bgcolor: "white", bordercolor: "#8a9099", align: "left", font: FONT },
    plot_bgcolor: "white",
  };
  const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
  return Plotly.newPlot("landscape", landscapeTraces(), layout, config);
}

function decode(text, Type) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Type(bytes.buffer);
}

// Twelve edges of the cell as one line with gaps.
function edges(cell) {
  const [a, b, c] = [0, 3, 6].map((k) => cell.slice(k, k + 3));
  const corner = (i, j, k) => [0, 1, 2].map((m) => i * a[m] + j * b[m] + k * c[m]);
  const path = [];
  for (const p of [0, 1]) {
    for (const q of [0, 1]) {
      path.push(corner(0, p, q), corner(1, p, q), [null, null, null]);
      path.push(corner(p, 0, q), corner(p, 1, q), [null, null, null]);
      path.push(corner(p, q, 0), corner(p, q, 1), [null, null, null]);
    }
  }
  return {
    type: "scatter3d", mode: "lines", hoverinfo: "skip", showlegend: false,
    x: path.map((v) => v[0]), y: path.map((v) => v[1]), z: path.map((v) => v[2]),
    line: { color: "#555b63", width: 3 },
  };
}

// Equal ranges along x, y and z around atoms and cell, in Å: drawn as a cube they keep the
// proportions, and every view fits.
function cube(traces) {
  const ends = ["x", "y", "z"].map((k) => {
    const all = traces.flatMap((trace) => trace[k]).filter((v) => v !== null);
    return [all.reduce((a, v) => Math.min(a, v)), all.reduce((a, v) => Math.max(a, v))];
  });
  const width = Math.max(...ends.map(([low, high]) => high - low), 3) + 1;
  const ranges = ends.map(([l, h]) => [(l + h - width) / 2, (l + h + width) / 2]);
  return { width, ranges };
}

function structureTraces(structure) {
  const numbers = Array.from(decode(structure.numbers, Uint8Array));
  const xyz = decode(structure.positions, Float32Array);
  const traces = structure.cell ? [edges(structure.cell)] : [];
  for (const number of new Set(numbers)) {
    const atoms = numbers.flatMap((n, i) => (n === number ? [i] : []));
    const { symbol, colour } = data.elements[number];
    const [x, y, z] = [0, 1, 2].map((k) => atoms.map((i) => xyz[3 * i + k]));
    traces.push({
      type: "scatter3d", mode: "markers", name: symbol, showlegend: false, x, y, z,
      text: atoms.map((i) => `${symbol}, atom ${i}`),
      hovertemplate: "%{text}<br>%{x:.3f}, %{y:.3f}, %{z:.3f} Å<extra></extra>",
      marker: { color: colour, opacity: 1, line: { color: "#33383f", width: 1 } },
      meta: number,
    });
  }
  return traces;
}

const panel = document.getElementById("structure");
const VIEW = [1.55, 0.85, 0.55]; // from where a structure is first seen
let camera = null; // as the reader has turned it; kept for the next structure
let width = 3; // of the cube that is shown, in Å

// Diameters in pixels: spheres are drawn in pixels, whatever the distance of the camera.
function diameter(number) {
  const distance = camera ? Math.hypot(camera.eye.x, camera.eye.y, camera.eye.z) : start();
  const pixels = (1.15 * panel.clientHeight) / (distance * width);
  return Math.min(60, Math.max(3, 0.95 * data.elements[number].radius * pixels));
}

// Distance of the camera from which the cube fits into a panel of this shape.
function start() {
  return 1.05 * Math.hypot(...VIEW) * Math.max(1, panel.clientHeight / panel.clientWidth);
}

function drawStructure(structure) {
  const traces = structureTraces(structure);
  const box = cube(traces);
  width = box.width;
  for (const trace of traces) {
    if (trace.marker) trace.marker.size = diameter(trace.meta);
  }
  const far = start() / Math.hypot(...VIEW);
  const [x, y, z] = VIEW.map((v) => v * far);
  // Bare, but there: an axis that is not visible would forget its range.
  const axes = box.ranges.map((range) => ({
    range, autorange: false, title: { text: "" }, showgrid: false, zeroline: false,
    showline: false, showticklabels: false, ticks: "", showspikes: false, showbackground: false,
  }));
  const layout = {
    font: FONT,
    margin: { l: 0, r: 0, t: 0, b: 0 },
    scene: {
      aspectmode: "cube", xaxis: axes[0], yaxis: axes[1], zaxis: axes[2],
      camera: camera || { eye: { x, y, z } },
    },
  };
  return Plotly.react("structure", traces, layout, { responsive: true, displaylogo: false })
    .then(() => {
      panel.removeAllListeners("plotly_relayout");
      panel.on("plotly_relayout", rescale);
    });
}

// After zooming spheres keep their size in Å.
function rescale(change) {
  if (!change["scene.camera"]) return;
  camera = change["scene.camera"];
  const spheres = panel.data.flatMap((trace, i) => (trace.marker ? [i] : []));
  const sizes = spheres.map((i) => diameter(panel.data[i].meta));
  Plotly.restyle("structure", { "marker.size": sizes }, spheres);
}

// A list of names and values; text from the tables goes in as text, never as HTML.
function describe(row) {
  const about = document.getElementById("about");
  about.textContent = "";
  const heading = document.createElement("h2");
  heading.textContent = named(points.formula, row) || points.id[row];
  const list = document.createElement("dl");
  for (const [name, value] of facts(row)) {
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    list.append(term, text);
  }
  about.append(heading, list);
}

function showElements(structure) {
  const place = document.getElementById("elements");
  place.textContent = "";
  for (const number of new Set(structure ? decode(structure.numbers, Uint8Array) : [])) {
    const item = document.createElement("span");
    const dot = document.createElement("i");
    dot.style.background = data.elements[number].colour;
    item.append(dot, data.elements[number].symbol);
    place.append(item);
  }
}

function showPoint(row) {
  const structure = data.structures[row];
  describe(row);
  showElements(structure);
  const from = origin(row);
  document.getElementById("message").textContent = structure
    ? ""
    : `This page does not hold the structure${from ? `; open ${from} (counted from 0)` : ""}.`;
  const ring = document.getElementById("landscape").data.length - 1;
  Plotly.restyle("landscape", { x: [[points.sS[row]]], y: [[points.Q6[row]]] }, [ring]);
  if (structure) drawStructure(structure);
  else Plotly.purge(panel);
}

drawLandscape().then((plot) => {
  plot.on("plotly_click", (event) => {
    const hit = event.points.find((point) => Number.isInteger(point.customdata));
    if (hit) showPoint(hit.customdata);
  });
});
