"use strict";
// The explorer: asks the program that served this page, and draws what it answers.
(async () => {
  const SAMPLES = 400; // drawn as points
  const SIDE = 28; // latents of a surface are a grid of so many a side
  const INPUTS = 12; // coordinates that get a slider of their own, at most
  const element = (id) => document.getElementById(id);
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const tidy = (value) => (value === null || !Number.isFinite(value) ? "undefined" : Number(value.toPrecision(6)).toString());

  const status = (text) => { element("status").textContent = text; };
  const ask = async (path, body) => {
    const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const response = await fetch(path, options);
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error);
    return answer;
  };

  const model = await ask("/model");
  const { data_dim: D, latent_dim: N, charts } = model;
  const C = model.context_dim ?? 0;
  const known = JSON.parse(element("known").textContent);
  const columns = model.columns ?? Array.from({ length: D }, (_, i) => `x${i + 1}`);
  const image = model.row_shape?.length === 3 ? model.row_shape : null;
  const conditional = (body, context = state.context) => (C ? { ...body, context: [context] } : body);

  // What the reader has chosen; the address of the page has it too, so that it can be kept and sent.
  const state = { context: known.context ?? Array(C).fill(0), latent: Array(N).fill(0), point: null, off: 0 };
  const numbers = (text, count) => {
    const found = text?.split(",").map(Number);
    return found?.length === count && found.every(Number.isFinite) ? found : null;
  };
  const given = new URLSearchParams(location.hash.slice(1));
  state.context = numbers(given.get("context"), C) ?? state.context;
  const remember = () => {
    const parts = { latent: state.latent };
    if (state.point) parts.point = state.point;
    if (C) parts.context = state.context;
    const text = Object.entries(parts).map(([name, values]) => `${name}=${values.map((v) => Number(v.toPrecision(6)))}`);
    history.replaceState(null, "", `#${text.join("&")}`);
  };

  // Runs `work` now, or once more after it has ended: only the newest choice matters.
  const newest = (work) => {
    let running = false, again = false;
    const go = async () => {
      if (running) { again = true; return; }
      running = true;
      try {
        do { again = false; await work(); } while (again);
        status("");
      } catch (error) { status(error.message); }
      running = false;
    };
    return go;
  };

  // A slider with its name and its number, in the box `parent`; it can be set without telling.
  const slider = (parent, name, [low, high], step, tell) => {
    const row = document.createElement("label");
    const title = document.createElement("span");
    title.textContent = name;
    const range = document.createElement("input");
    const number = document.createElement("input");
    Object.assign(range, { type: "range", min: low, max: high, step });
    Object.assign(number, { type: "number", step: "any" });
    number.setAttribute("aria-label", name);
    const set = (value) => {
      range.min = Math.min(range.min, value);
      range.max = Math.max(range.max, value);
      range.value = value;
      number.value = Number(value.toPrecision(6));
    };
    range.addEventListener("input", () => { number.value = range.value; tell(Number(range.value)); });
    number.addEventListener("change", () => {
      if (!Number.isFinite(number.valueAsNumber)) return;
      set(number.valueAsNumber);
      tell(number.valueAsNumber);
    });
    row.append(title, range, number);
    element(parent).append(row);
    return set;
  };
  const fine = ([low, high]) => (high - low) / 500 || 0.01;
  // Without the tails: a few latents far out would stretch the manifold to where no data are.
  const rangeOf = (rows, k) => {
    const values = rows.map((row) => row[k]).filter(Number.isFinite).sort((a, b) => a - b);
    const tail = Math.floor(0.003 * values.length);
    const [low, high] = [values[tail], values[values.length - 1 - tail]];
    return high > low ? [low, high] : [-1, 1];
  };

  // Numbers under their names; of images a picture.
  const show = (id, row, extra) => {
    const box = element(id);
    box.replaceChildren();
    if (image && row) box.append(picture(row));
    const names = image || D > 40 ? [] : columns.map((name, i) => [name, row?.[i]]);
    for (const [name, value] of [...names, ...extra]) {
      const line = document.createElement("div");
      const [term, text] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      text.textContent = tidy(value);
      line.append(term, text);
      box.append(line);
    }
  };
  const picture = (row) => {
    const [height, width, channels] = image;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const pixels = new ImageData(width, height);
    for (let i = 0; i < height * width; i++) {
      const of = (c) => row[i * channels + Math.min(c, channels - 1)];
      pixels.data.set([of(0), of(1), of(2), 255], 4 * i);
    }
    canvas.getContext("2d").putImageData(pixels, 0, 0);
    return canvas;
  };

  // What the figure shows: columns of points, or latents where points are images.
  const figure = element("figure");
  const shown = image ? Array.from({ length: Math.min(N, 3) }, (_, i) => i) : Array.from({ length: Math.min(D, 3) }, (_, i) => i);
  const axes = image ? Array.from({ length: N }, (_, i) => `latent ${i + 1}`) : columns;
  const inSpace = shown.length === 3;
  const trace = (name, rows, own) => {
    const part = (k) => rows.map((row) => (shown[k] === undefined ? 0 : row[shown[k]]));
    const places = inSpace ? { type: "scatter3d", z: part(2) } : { type: "scatter" };
    return { name, mode: "markers", x: part(0), y: part(1), ...places, ...own };
  };
  const drawn = { samples: { x: [], latent: [], log_prob: [] }, surface: null, here: null, off: null, foot: null };
  const draw = () => {
    const rows = (of) => (of ? (image ? of.latent : of.x) : []);
    const size = inSpace ? 2 : 4;
    const traces = [];
    if (known.points.length && !image) traces.push(trace("data", known.points, { marker: { size, color: "#8a97a4" } }));
    if (drawn.surface) {
      const { x, log_prob } = drawn.surface;
      const density = log_prob?.map((v) => v ?? undefined);
      const surface = x[0].length === 2 || !inSpace
        ? trace("manifold", x, { mode: "lines", line: { color: "#0072b2" } })
        : N === 1
          ? trace("manifold", x, { mode: "lines", line: { width: 5, color: "#0072b2" } })
          : { ...trace("manifold", x), ...facets, type: "mesh3d", mode: undefined, opacity: 0.55, color: "#0072b2", intensity: density, colorscale: "Viridis", showscale: false, showlegend: true, hoverinfo: "skip" };
      traces.push(surface);
    }
    traces.push(trace("samples", rows(drawn.samples), { marker: { size, color: "#e69f00" } }));
    if (drawn.here) traces.push(trace("the point", rows(drawn.here), { marker: { size: 9, color: "#d55e00" } }));
    if (drawn.off) traces.push(trace("the other point and its projection", rows(drawn.off), { mode: "lines+markers", line: { width: 4, color: "#009e73" }, marker: { size: 6, color: "#009e73" } }));
    const title = (k) => ({ title: { text: axes[shown[k]] ?? "" } });
    const own = inSpace
      ? { scene: { xaxis: title(0), yaxis: title(1), zaxis: title(2) } }
      : { xaxis: title(0), yaxis: title(1) };
    Plotly.react(figure, traces, { ...figures.complete(own, figure), uirevision: "camera" }, figures.config);
  };

  // A grid of latents, and the triangles between them.
  const grid = (ranges) => {
    const at = ([low, high], i) => low + ((high - low) * i) / (SIDE - 1);
    const line = Array.from({ length: SIDE }, (_, i) => i);
    return ranges.length === 1
      ? line.map((i) => [at(ranges[0], i)])
      : line.flatMap((i) => line.map((j) => [at(ranges[0], i), at(ranges[1], j)]));
  };
  const facets = { i: [], j: [], k: [] };
  for (let i = 0; i + 1 < SIDE; i++) {
    for (let j = 0; j + 1 < SIDE; j++) {
      const corner = i * SIDE + j;
      for (const [a, b, c] of [[corner, corner + 1, corner + SIDE], [corner + 1, corner + SIDE + 1, corner + SIDE]]) {
        facets.i.push(a); facets.j.push(b); facets.k.push(c);
      }
    }
  }

  // The model at this context: samples, the ranges of latents, and the manifold where it is a line or a surface.
  let ranges = [];
  const look = async () => {
    const { x } = await ask("/sample", conditional({ n: SAMPLES, seed: 1 }));
    drawn.samples = { x, ...(await ask("/score", conditional({ x }))) };
    ranges = Array.from({ length: N }, (_, k) => (charts > 1 && k === N - 1 ? [0, charts - 1] : rangeOf(drawn.samples.latent, k)));
    drawn.surface = null;
    if (!image && N < 3 && N < D && charts === 1) {
      const { x } = await ask("/decode", conditional({ latent: grid(ranges) }));
      const { log_prob } = await ask("/score", conditional({ x }));
      drawn.surface = { x, log_prob };
    }
  };

  // The point of these latents.
  const point = newest(async () => {
    const latent = [state.latent.slice()];
    const { x } = await ask("/decode", conditional({ latent }));
    const { log_prob } = await ask("/score", conditional({ x }));
    drawn.here = { x, latent };
    show("decoded", x[0], log_prob ? [["log-density (nats)", log_prob[0]]] : []);
    remember();
    draw();
  });

  // Where a point off the manifold is projected to.
  const project = newest(async () => {
    const x = [state.point.slice()];
    const [score, foot] = [await ask("/score", conditional({ x })), await ask("/project", conditional({ x }))];
    const latent = score.latent.concat(score.latent);
    drawn.off = { x: [x[0], foot.x[0]], latent };
    const extra = [["distance from the manifold", score.reconstruction_error[0]]];
    if (score.log_prob) extra.push(["log-density of the projection (nats)", score.log_prob[0]]);
    if (image) element("given").replaceChildren(picture(x[0]));
    show("projected", foot.x[0], extra);
    remember();
    draw();
  });

  const everything = newest(async () => {
    await look();
    draw();
    point();
    if (state.point) project();
  });

  const start = async () => {
    for (let k = 0; k < C; k++) {
      const middle = state.context[k];
      const around = known.spread?.[k] ?? 1;
      const range = [middle - 3 * around, middle + 3 * around];
      slider("contexts", known.names?.[k] ?? `context ${k + 1}`, range, fine(range), (value) => { state.context[k] = value; everything(); })(middle);
    }
    element("contexts").parentElement.hidden = !C;
    await look();
    const typical = drawn.samples.latent[0];
    state.latent = numbers(given.get("latent"), N) ?? typical.slice();
    for (let k = 0; k < N; k++) {
      const isChart = charts > 1 && k === N - 1;
      const name = isChart ? "chart" : `latent ${k + 1}`;
      slider("latents", name, ranges[k], isChart ? 1 : fine(ranges[k]), (value) => { state.latent[k] = value; point(); })(state.latent[k]);
    }
    // The other point starts beside a sample, and moves in a direction that stays.
    const base = drawn.samples.x[0];
    const size = Math.sqrt(sum(base.map((_, k) => { const [low, high] = rangeOf(drawn.samples.x, k); return (high - low) ** 2; })) / D);
    const direction = base.map((_, k) => Math.sin(12.9898 * (k + 1)) * 43758.5453 % 1);
    const length = Math.sqrt(sum(direction.map((v) => v * v))) || 1;
    const moved = (off) => base.map((v, k) => v + (off * Math.sqrt(D) * direction[k]) / length);
    state.point = numbers(given.get("point"), D) ?? moved(0.15 * size);
    const setters = [];
    if (D <= INPUTS) {
      for (let k = 0; k < D; k++) {
        const [low, high] = rangeOf(drawn.samples.x, k);
        const range = [low - 0.3 * (high - low), high + 0.3 * (high - low)];
        const set = slider("coordinates", columns[k], range, fine(range), (value) => { state.point[k] = value; project(); });
        setters.push(set);
        set(state.point[k]);
      }
    } else {
      const range = [0, size];
      slider("coordinates", "a sample, moved by", range, fine(range), (value) => { state.point = moved(value); project(); })(0.15 * size);
    }
    draw();
    figure.on("plotly_click", (event) => {
      const { fullData, pointNumber } = event.points[0];
      const row = { data: known.points, samples: drawn.samples.x }[fullData.name]?.[pointNumber];
      if (!row || image) return;
      state.point = row.slice();
      setters.forEach((set, k) => set(row[k]));
      project();
    });
    await Promise.all([point(), project()]);
    document.body.dataset.ready = "yes";
  };
  status("asking the model ..");
  try { await start(); } catch (error) { status(error.message); }
})();
