"use strict";
// What all figures share, for scripts of pages that have their own.
const figures = (() => {
  const family = getComputedStyle(document.body).fontFamily;
  const config = {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: [
      "lasso2d", "select2d", "autoScale2d", "zoomIn2d", "zoomOut2d",
      "zoom3d", "pan3d", "orbitRotation", "tableRotation", "resetCameraLastSave3d",
    ],
  };
  const inPlane = { gridcolor: "#e9edf0", zeroline: false, linecolor: "#c5ced6", ticks: "outside", tickcolor: "#c5ced6", automargin: true };
  const inSpace = { backgroundcolor: "#f6f7f9", showbackground: true, gridcolor: "#d9dfe5", zeroline: false, nticks: 6 };

  // The layout of one figure over what all share; a narrow one is seen from further away.
  const complete = (own, element) => {
    const narrow = element.clientWidth < 800;
    const far = narrow ? 1.15 : 1.05;
    const layout = {
      font: { family, size: 13, color: "#1f2933" },
      paper_bgcolor: "#fff",
      plot_bgcolor: "#fff",
      margin: { l: 60, r: 20, t: 36, b: 48 },
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", itemsizing: "constant" },
      hoverlabel: { font: { family, size: 12.5 } },
      ...own,
    };
    if (own.scene) {
      const axis = (name) => ({ ...inSpace, ...own.scene[name] });
      layout.scene = {
        aspectmode: "auto",
        camera: { eye: { x: 1.25 * far, y: -1.35 * far, z: 0.95 * far }, center: { x: 0, y: 0, z: -0.12 } },
        ...own.scene,
        xaxis: axis("xaxis"),
        yaxis: axis("yaxis"),
        zaxis: axis("zaxis"),
      };
      layout.margin = { l: 0, r: 0, t: 36, b: 0 };
    } else {
      layout.xaxis = { ...inPlane, ...own.xaxis };
      layout.yaxis = { ...inPlane, ...own.yaxis };
    }
    if (own.coloraxis) {
      const bar = { thickness: 14, len: 0.7, outlinewidth: 0, ...own.coloraxis.colorbar };
      if (narrow) {
        Object.assign(bar, { orientation: "h", y: 0, yref: "container", yanchor: "bottom", title: { ...bar.title, text: `${bar.title.text}<br>&#8203;`, side: "top" } });
        layout.margin.b = own.scene ? 92 : 136;
      }
      layout.coloraxis = { ...own.coloraxis, colorbar: bar };
    }
    return layout;
  };

  const read = (element) => JSON.parse(element.querySelector("script").textContent);

  for (const element of document.querySelectorAll(".plot")) {
    const { data, layout } = read(element);
    Plotly.newPlot(element, data, complete(layout, element), config);
  }

  // A name in a legend stands for the traces called so in the figures after it.
  for (const button of document.querySelectorAll(".legend button")) {
    const figures = button.parentElement.nextElementSibling.querySelectorAll(".plot");
    button.addEventListener("click", () => {
      const visible = !button.classList.toggle("off");
      for (const figure of figures) {
        const named = (trace) => trace.name === button.textContent;
        const traces = figure.data.flatMap((trace, i) => (named(trace) ? [i] : []));
        if (traces.length) Plotly.restyle(figure, { visible }, traces);
      }
    });
  }

  for (const element of document.querySelectorAll(".compare")) {
    const views = read(element);
    const panes = [...element.querySelectorAll(".pane")];
    let turning = false;
    panes.forEach((pane, i) => {
      const [select, figure, note] = ["select", "figure", "p"].map((tag) => pane.querySelector(tag));
      views.forEach((view, j) => select.add(new Option(view.name, j, i === j, i === j)));
      const show = () => {
        const view = views[select.value];
        note.textContent = view.caption;
        Plotly.react(figure, view.data, { ...complete(view.layout, figure), uirevision: "camera" }, config);
      };
      select.addEventListener("change", show);
      show();
      // The panes turn together.
      figure.on("plotly_relayout", async (event) => {
        const camera = event["scene.camera"];
        if (!camera || turning) return;
        turning = true;
        const others = panes.map((other) => other.querySelector("figure"));
        const turn = (other) => Plotly.relayout(other, { "scene.camera": camera });
        await Promise.all(others.filter((other) => other !== figure && other.layout.scene).map(turn));
        turning = false;
      });
    });
  }

  return { complete, config };
})();
