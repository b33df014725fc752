/* What the page does without the server. No text becomes HTML or code here. */
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.explorer = {
  /* The address bar always restores what is seen. */
  address: function (search) {
    window.history.replaceState(window.history.state, "", window.location.pathname + (search || ""));
    return "/download.csv" + (search || "");
  },
  parquet: function (search) {
    return "/download.parquet" + (search || "");
  },
  /* The rows that the grid keeps are of another selection or search: it requests them again. */
  refresh: function () {
    window.dash_ag_grid.getApiAsync("grid").then(function (api) {
      api.purgeInfiniteCache();
      api.ensureIndexVisible && api.getDisplayedRowCount() > 0 && api.ensureIndexVisible(0);
    });
    return window.dash_clientside.no_update;
  },
  /* Only the shape goes to the server, not the thousands of points in it. */
  picked: function (selected) {
    if (!selected) {
      return { cleared: true };
    }
    if (selected.range) {
      return { range: { x: selected.range.x, y: selected.range.y } };
    }
    if (selected.lassoPoints) {
      return { lassoPoints: thinned(selected.lassoPoints) };
    }
    return window.dash_clientside.no_update;
  },
  clicked: function (click, figure) {
    var point = click && click.points && click.points[0];
    var trace = point && figure && figure.data[point.curveNumber];
    if (!trace || !trace.customdata) {
      return window.dash_clientside.no_update;
    }
    return Array.isArray(trace.customdata)
      ? { bar: trace.customdata[point.pointNumber], at: Date.now() }
      : { point: unpacked(trace.customdata.bdata, point.pointNumber), at: Date.now() };
  },
  hasSelection: function (search) {
    return !new URLSearchParams(search || "").has("selection");
  },
};

/* One of the numbers that are packed for plotly: eight bytes each, three of them in four letters. */
function unpacked(letters, index) {
  var group = Math.floor((8 * index) / 3);
  var bytes = window.atob(letters.substr(4 * group, 16));
  var view = new DataView(new ArrayBuffer(8));
  for (var n = 0; n < 8; n++) {
    view.setUint8(n, bytes.charCodeAt(8 * index - 3 * group + n));
  }
  return view.getFloat64(0, true);
}

/* A lasso has a corner for each movement of the mouse; a hundred are enough, and fit into an address. */
function thinned(corners) {
  var step = Math.ceil(corners.x.length / 100);
  function some(values) {
    return values.filter(function (_, index) {
      return index % step === 0;
    });
  }
  return { x: some(corners.x), y: some(corners.y) };
}

var dagfuncs = (window.dashAgGridFunctions = window.dashAgGridFunctions || {});
dagfuncs.shortNumber = function (value) {
  if (value === null || value === undefined) {
    return "";
  }
  if (Number.isInteger(value)) {
    return value.toLocaleString("en-US");
  }
  var size = Math.abs(value);
  return size !== 0 && (size < 1e-4 || size >= 1e9) ? value.toExponential(3) : String(Number(value.toPrecision(5)));
};

/* The grid follows the system's choice of dark or light, as the page does by its style. */
(function () {
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function follow() {
    document.documentElement.dataset.agThemeMode = dark.matches ? "dark" : "light";
  }
  dark.addEventListener("change", follow);
  follow();
})();
