// Draws the plots of a page. What there is to draw is in #data; how a value is
// written is the same as in the tables.
(() => {
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const dashes = [[], [7, 3], [2, 2], [9, 3, 2, 3], [4, 4], [12, 3]];
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const short = (x, n) => x.toFixed(n).replace(/\.0+$/, "");
const three = x => x < 9.995 ? short(x, 2) : x < 99.95 ? short(x, 1) : x.toFixed(0);
const whole = x => Math.round(x).toLocaleString("en-US");
const formats = {
  micros: v => v < 999.5 ? three(v) + " µs" : v < 999500 ? three(v / 1e3) + " ms" : three(v / 1e6) + " s",
  rate: v => v < 99.95 ? short(v, 1) : whole(v),
  share: v => short(v * 100, 1) + " %",
  count: whole,
  bytes: v => three(v / 1048576) + " MiB",
  cores: three,
};
const percentile = x => x <= 1 ? "0 %" : (100 * (1 - 1 / x)).toFixed(Math.max(0, Math.ceil(Math.log10(x) - 2.0001))) + " %";
const xText = plot => plot.x ? percentile : v => short(v, 1) + " s";

// round keeps what has room on a log scale: the powers of ten, and twice and five
// times them where there are only one or two.
const round = splits => {
  const few = splits[splits.length - 1] / splits[0] <= 100;
  return splits.map(v => (few ? [1, 2, 5] : [1]).includes(Math.round(v / 10 ** Math.floor(Math.log10(v) + 1e-9))) ? v : null);
};
const axis = (log, format, more) => ({
  stroke: css("--faint"), font: "12px system-ui, sans-serif",
  grid: {stroke: css("--grid"), width: 1}, ticks: {stroke: css("--grid"), width: 1, size: 4},
  values: (u, splits) => splits.map(v => v === null ? "" : format(v)),
  ...(log ? {filter: (u, splits) => round(splits)} : {}), ...more,
});
const steps = {
  bytes: Array.from({length: 44}, (_, i) => 2 ** i),
  count: Array.from({length: 30}, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3)),
};
const onAxis = {...formats, cores: v => v.toFixed(1), share: v => Math.round(v * 100) + " %"};

// phases draws where each phase begins, and its name where that has room.
const phases = u => {
  const {ctx, bbox} = u, ratio = devicePixelRatio;
  ctx.save();
  ctx.strokeStyle = css("--faint");
  ctx.fillStyle = css("--faint");
  ctx.font = `${11 * ratio}px system-ui, sans-serif`;
  ctx.textBaseline = "top";
  ctx.textAlign = "left";
  ctx.setLineDash([3 * ratio, 3 * ratio]);
  let free = -Infinity;
  for (const p of data.phases) {
    const x = Math.round(u.valToPos(p.from, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    if (p.from > 0) {
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    const width = ctx.measureText(p.name).width;
    if (x > free && x + width < bbox.left + bbox.width) {
      ctx.fillText(p.name, x + 3 * ratio, bbox.top + 2 * ratio);
      free = x + width + 10 * ratio;
    }
  }
  ctx.restore();
};

const draw = (plot, box) => {
  const format = formats[plot.y], x = plot.x || data.at;
  const width = () => Math.max(200, box.clientWidth);
  const lone = x.length < 2;
  const options = {
    width: width(), height: 260, pxAlign: true,
    cursor: {sync: plot.x ? undefined : {key: "time"}, drag: {x: true, y: false}, points: {size: 7}},
    legend: {live: true},
    scales: {
      x: plot.x ? {time: false, distr: 3, range: [1, x[x.length - 1]]} : {time: false, ...(lone ? {range: [x[0] - 1, x[0] + 1]} : {})},
      // A share is of the whole, however little it is; above the rest stand the names of phases.
      y: plot.log ? {distr: 3} : {range: (u, low, high) => [0, plot.y === "share" ? 1.1 : 1.1 * high || 1]},
    },
    axes: [
      axis(Boolean(plot.x), xText(plot), {space: 52, size: 32}),
      axis(plot.log, onAxis[plot.y], {size: 68, space: 32, ...(steps[plot.y] ? {incrs: steps[plot.y]} : {})}),
    ],
    series: [
      {label: plot.x ? "percentile" : "time", value: (u, v) => v === null ? "–" : xText(plot)(v)},
      ...plot.lines.map((line, i) => ({
        label: line.name, stroke: css(`--line-${i % 6 + 1}`), width: 1.6, dash: dashes[i % 6], spanGaps: false,
        points: {show: x.length <= 40 && !plot.x, size: 5},
        value: (u, v) => v === null || v === undefined ? "–" : format(v),
      })),
    ],
    hooks: plot.x || data.phases.length < 2 ? {} : {draw: [phases]},
  };
  const u = new uPlot(options, [x, ...plot.lines.map(l => l.values)], box);
  const resized = new ResizeObserver(() => { if (u.width !== width()) u.setSize({width: width(), height: 260}); });
  resized.observe(box);
  return {plot, box, u, x, end() { resized.disconnect(); u.destroy(); }};
};

// Each plot can be read with the keyboard, as a slider along its x axis whose
// value is what all lines say there.
const read = (shown, to) => {
  const {plot, box, u, x} = shown, at = Math.min(Math.max(to, 0), x.length - 1);
  const values = plot.lines.map(l => `${l.name} ${l.values[at] === null ? "nothing" : formats[plot.y](l.values[at])}`);
  box.setAttribute("aria-valuenow", at);
  box.setAttribute("aria-valuetext", `${xText(plot)(x[at])}: ${values.join(", ")}`);
  u.setCursor({left: u.valToPos(x[at], "x"), top: u.over.clientHeight / 2}, true, true); // the plots of the same times follow
};
const keyboard = (box, shown) => {
  const plot = shown().plot;
  for (const [name, value] of Object.entries({
    tabindex: "0", role: "slider", "aria-labelledby": plot.id + "-title", "aria-describedby": plot.id + "-text",
    "aria-valuemin": "0", "aria-valuemax": String(shown().x.length - 1), "aria-valuenow": "0", "aria-valuetext": plot.text,
  })) box.setAttribute(name, value);
  box.addEventListener("keydown", event => {
    const now = Number(box.getAttribute("aria-valuenow")), last = shown().x.length - 1, page = Math.max(1, Math.round(last / 10));
    const to = {ArrowRight: now + 1, ArrowUp: now + 1, ArrowLeft: now - 1, ArrowDown: now - 1,
      PageUp: now + page, PageDown: now - page, Home: 0, End: last}[event.key];
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    read(shown(), to);
  });
};

const all = new Map();
const drawAll = () => {
  for (const plot of data.plots) {
    const box = document.querySelector(`[data-plot="${plot.id}"]`);
    all.get(plot.id)?.end();
    all.set(plot.id, draw(plot, box));
  }
};
drawAll();
for (const plot of data.plots) keyboard(all.get(plot.id).box, () => all.get(plot.id));
// The colours are in the canvas: a change of theme, or of the screen, draws anew.
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
})();
