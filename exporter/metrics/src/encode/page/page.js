// Fetches the page again, keeps the counts of ten minutes, and computes what lies between two refreshes. Rows carry their counts, which
// never fall, in data-counts; a cell says in data-show what of them it shows. What words.rs and severity.rs reckon on the server is
// reckoned the same way here.
"use strict";
(() => {
  const EVERY = 5000; // milliseconds
  const KEPT = 600000;
  const MOST = 8; // of what has begun
  const NONE = "–";
  const $ = (id) => document.getElementById(id);
  const main = $("main");
  const { words: SEVERITIES, columns: COLUMNS } = JSON.parse(main.dataset.scales);
  const ring = []; // refreshes, the oldest first: when they were, and the counts of every row as text
  const lines = new Map(); // of every row what its line is drawn of: when, and how much
  const changes = []; // what was seen to begin: when, and what
  const orders = new Map(); // of tables by which a column was chosen: its place, and whether the order is reversed
  let filter = ""; // what names of rows must contain, in lower case
  let generation;
  let sorted; // by which window rows were sorted last
  let paused = false;
  let timer;
  let turn = Promise.resolve(); // one refresh after the other
  let waiting = 0;

  const whole = (value) => Math.round(value).toLocaleString("en");
  const digits = (value) => (value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : whole(value));
  const rate = (value) => (value === 0 ? "0" : value < 0.01 ? "< 0.01" : digits(value));
  const maybe = (value, word) => (value === undefined ? NONE : word(value));

  function percent(share) {
    const value = share * 100;
    if (value === 0) return "0 %";
    return value < 0.01 ? "< 0.01 %" : value.toFixed(value < 1 ? 2 : value < 10 ? 1 : 0) + " %";
  }
  function time(seconds) {
    if (seconds === 0) return "0 s";
    if (seconds < 0.001) return digits(seconds * 1e6) + " µs";
    return seconds < 1 ? digits(seconds * 1e3) + " ms" : digits(seconds) + " s";
  }
  function bytes(value) {
    if (value < 1000) return value + " B";
    for (const unit of ["kB", "MB", "GB", "TB"]) {
      value /= 1000;
      if (value < 1000) return digits(value) + " " + unit;
    }
    return digits(value / 1000) + " PB";
  }
  function clock(at) {
    return new Date(at).toISOString().slice(11, 19);
  }

  // Parts and wholes of a row of connections.
  const failures = (row) => Object.entries(row.failed ?? {}).filter(([reason, count]) => count > 0 && reason !== "cancelled" && reason !== "other");
  const failed = (row) => failures(row).reduce((sum, [, count]) => sum + count, 0);
  const here = (row) => Math.max(row.dropped ?? 0, row.repaired ?? 0);
  const of = {
    retransmitted: (row) => row.again !== undefined && row.sent !== undefined && [row.again, row.sent],
    dropped: (row) => (row.dropped ?? row.repaired) !== undefined && row.sent !== undefined && [here(row), row.sent + here(row)],
    ours: (row) => row.repaired !== undefined && row.again !== undefined && [row.repaired, row.again],
    failed: (row) => row.opened !== undefined && [failed(row), row.opened + failed(row)],
    waits: (row) => row.peer !== undefined && row.busy !== undefined && [row.peer, row.busy],
  };
  const titles = { retransmitted: "retransmitted", dropped: "dropped here", failed: "opens failed", waits: "waits for peer" };

  function share(name, row) {
    const [part, all] = of[name](row) || [0, 0];
    return all > 0 ? Math.min(1, part / all) : null;
  }
  function severity(name, row) {
    const value = share(name, row);
    if (value === null) return null;
    const { least, steps } = COLUMNS[name];
    const step = steps.filter((from) => value >= from).length;
    return SEVERITIES[of[name](row)[0] < least ? Math.min(step, 1) : step];
  }
  /** How bad the worst share is; 1 is bad. */
  function score(row) {
    const scores = Object.entries(COLUMNS).map(([name, { least, steps }]) => ((of[name](row) || [0])[0] < least ? 0 : share(name, row) / steps[2]));
    return Math.max(...scores);
  }

  const counts = (pair, what) => (pair ? whole(pair[0]) + " of " + whole(pair[1]) + " " + what : NONE);
  const told = {
    retransmitted: (row) => counts(of.retransmitted(row), "data segments"),
    ours: (row) => counts(of.ours(row), "retransmitted"),
    dropped: (row) => counts(of.dropped(row), "segments"),
    failed(row) {
      const reasons = failures(row).map(([reason, count]) => reason + " " + whole(count));
      const syns = row.syns > 0 ? ", " + whole(row.syns) + " SYNs retransmitted" : "";
      return counts(of.failed(row), "opens") + (reasons.length ? " (" + reasons.join(", ") + ")" : "") + syns;
    },
    waits(row) {
      const pair = of.waits(row);
      return pair ? time(pair[0]) + " of " + time(pair[1]) + " busy" : NONE;
    },
    megabits: (row) => maybe(row.out, bytes) + " out, " + maybe(row.in, bytes) + " in",
    rate: (row) => amount(row),
  };
  const amount = (row) => whole(row.packets) + " packets" + ((row.bytes ?? null) === null ? "" : ", " + bytes(row.bytes));
  const percentOf = (name) => (row) => (share(name, row) === null ? NONE : percent(share(name, row)));
  const show = {
    retransmitted: percentOf("retransmitted"),
    ours: percentOf("ours"),
    dropped: percentOf("dropped"),
    failed: percentOf("failed"),
    waits: percentOf("waits"),
    rtt: (row, _, element) => roundTrips(row, element),
    megabits(row, seconds) {
      const one = (value) => maybe(value, (value) => rate((value * 8e-6) / seconds));
      return one(row.out) + " / " + one(row.in);
    },
    told: (row) =>
      "Retransmitted " + told.retransmitted(row) + " · after a drop here " + told.ours(row) + " · dropped here " + told.dropped(row) + " · failed " + told.failed(row) +
      " · waited for the peer " + told.waits(row) + " · " + told.megabits(row),
    shares(row) {
      const parts = Object.keys(titles).filter((name) => share(name, row) > 0);
      return parts.map((name) => titles[name] + " " + percent(share(name, row))).join(", ") || "nothing to see";
    },
    rate: (row, seconds) => rate(row.packets / seconds),
    amount,
  };

  function roundTrips(row, element) {
    const floor = element.dataset.floor;
    const times = [floor === undefined ? null : [Number(floor), ""], quantile(row.rtt, 0.5), quantile(row.rtt, 0.9)];
    const parts = times.map((time) => {
      if (time === null) return [NONE, ""];
      const [seconds, before] = time;
      const [value, unit] = seconds < 0.001 ? [seconds * 1e6, "µs"] : seconds < 1 ? [seconds * 1e3, "ms"] : [seconds, "s"];
      return [before + value.toFixed(value < 10 ? 1 : 0), unit];
    });
    return parts.map(([text, unit], place) => text + (unit && parts[place + 1]?.[1] !== unit ? " " + unit : "")).join(" / ");
  }
  /** Seconds, and "> " before them where they lie beyond the last bound. */
  function quantile(rtt, share) {
    if (!rtt) return null;
    const buckets = Object.entries(rtt.buckets).map(([index, count]) => [Number(index), count]);
    buckets.sort(([left], [right]) => left - right);
    const rank = share * buckets.reduce((sum, [, count]) => sum + count, 0);
    const bound = (index) => 2 ** (index / 2 ** rtt.schema);
    let below = 0;
    for (const [index, count] of buckets) {
      if (count > 0 && below + count >= rank) {
        return index === rtt.last ? [bound(index - 1), "> "] : [bound(index - 1 + (rank - below) / count), ""];
      }
      below += count;
    }
    return null;
  }

  /** What was counted between two readings; without the first, all of it. */
  function minus(later, earlier) {
    if (typeof later === "number") return Math.max(0, later - (earlier ?? 0));
    if (later === null || typeof later !== "object") return later;
    const constant = (name) => name === "schema" || name === "last";
    return Object.fromEntries(Object.entries(later).map(([name, value]) => [name, constant(name) ? value : minus(value, earlier?.[name])]));
  }

  const key = (row) => row.closest("[data-live]").id + "\n" + (row.dataset.key ?? "");
  const countsOf = (refresh, row) => refresh.rows.has(row) && JSON.parse(refresh.rows.get(row));

  /** Takes the counts of the page into the ring. */
  function keep() {
    const { generation: own, at } = main.dataset;
    // Counts of other labels or of another process cannot be compared.
    if (own !== generation) ring.length = 0;
    generation = own;
    const before = ring.at(-1);
    const rows = new Map();
    for (const row of document.querySelectorAll("[data-counts]:not([data-rest])")) {
      const [name, text] = [key(row), row.dataset.counts];
      // Of rows that stay as they are there is one text.
      rows.set(name, before?.rows.get(name) === text ? before.rows.get(name) : text);
    }
    const now = { at: Number(at), rows, cut: document.querySelector("[data-rest]") !== null };
    ring.push(now);
    while (now.at - ring[0].at > KEPT) ring.shift();
    if (before && ring.length > 1) compare(before, now);
  }

  /** Adds to the lines of rows, and to what has begun. */
  function compare(before, now) {
    const seconds = (now.at - before.at) / 1000;
    const minute = base(60);
    for (const row of document.querySelectorAll("tr[data-key]")) {
      const [name, step] = [key(row), since(row, before)];
      if (!step) continue;
      const earlier = minute !== before && countsOf(minute, name);
      const nothing = minute === before || now.cut ? null : {};
      const old = earlier ? minus(countsOf(before, name) || {}, earlier) : nothing;
      if (step.packets !== undefined) {
        add(name, now.at, step.packets / seconds);
        const known = now.rows.has(name) && before.rows.has(name);
        if (row.dataset.benign === undefined && name.startsWith("drops") && step.packets > 0 && (known ? old?.packets === 0 : !before.cut)) {
          const [, place, reason] = JSON.parse(row.dataset.key);
          begin(now.at, reason + " in " + place, known ? "began" : "appeared");
        }
      } else {
        add(name, now.at, score(step));
        for (const column of old ? Object.keys(titles) : []) {
          const [was, is] = [old, step].map((row) => SEVERITIES.indexOf(severity(column, row)));
          const [before, after] = [old, step].map((row) => share(column, row) ?? 0);
          // What was as much of too few events is no place to come from.
          const how = (before > after / 2 ? "" : percent(before) + " ") + "→ " + percent(after);
          if (was < 2 && is >= 2) begin(now.at, row.dataset.key + " " + titles[column], how);
        }
      }
    }
    for (const finding of document.querySelectorAll(".finding")) add(key(finding), now.at, Number(finding.dataset.rate));
    for (const [name, line] of lines) {
      while (line.length && now.at - line[0][0] > KEPT) line.shift();
      if (!line.length) lines.delete(name);
    }
  }

  function add(name, at, value) {
    if (!lines.has(name)) lines.set(name, []);
    lines.get(name).push([at, value]);
  }

  /** Notes that something has begun, unless that is known. */
  function begin(at, subject, how) {
    while (changes.length >= MOST || (changes.length && at - changes.at(-1).at > KEPT)) changes.pop();
    if (!changes.some((change) => change.subject === subject)) changes.unshift({ at, subject, how });
  }

  /** The refresh from which a window of so many seconds begins. */
  function base(seconds) {
    const from = ring.at(-1).at - 1000 * seconds - EVERY / 5;
    return ring.slice(0, -1).find((refresh) => refresh.at >= from) ?? ring.at(-2);
  }

  /** What a row has counted since a refresh; nothing of a row that was among the others then. */
  function since(row, from) {
    const earlier = from && countsOf(from, key(row));
    const wasCut = row.localName === "li" || (from?.cut && "key" in row.dataset);
    if (from && !earlier && wasCut) return null;
    return minus(JSON.parse(row.dataset.counts), earlier || undefined);
  }

  /** Fills everything by the chosen window. */
  function paint() {
    const chosen = document.querySelector("input[name=mode]:checked").value;
    const from = chosen !== "total" && ring.length > 1 ? base(Number(chosen)) : null;
    const window = from ? chosen : "total";
    const seconds = from ? (ring.at(-1).at - from.at) / 1000 : 0;
    const words = from ? "over the last " + seconds.toFixed(1) + " s" : "since the start";
    const sentence = $("window");
    if (!sentence) return; // what is shown is why there are no numbers
    sentence.textContent = from ? "Numbers are those " + words + "; connections are those that are open." : sentence.total;
    const deltas = new Map();
    for (const row of document.querySelectorAll("[data-counts]:not([data-rest])")) {
      const delta = from ? since(row, from) : JSON.parse(row.dataset.counts);
      if (delta) deltas.set(row, delta);
    }
    for (const rest of document.querySelectorAll("[data-rest]")) deltas.set(rest, others(rest, deltas, from));
    for (const cell of document.querySelectorAll("[data-show]")) fill(cell, deltas, from, seconds);
    for (const body of document.querySelectorAll("tbody[data-live]")) sort(body, deltas, seconds, sorted !== window);
    sorted = window;
    hide();
    for (const cell of document.querySelectorAll(".spark[data-own]")) draw(cell, lines.get(key(cell.closest("[data-key]"))) ?? []);
    changed();
  }

  function fill(cell, deltas, from, seconds) {
    const opened = cell.closest(".more");
    const row = cell.closest("[data-counts]") ?? opened?.previousElementSibling;
    const delta = deltas.get(row);
    const name = cell.dataset.show;
    const known = delta !== undefined;
    const text = !from ? cell.total : known ? show[name](delta, seconds, row) : NONE;
    if (cell.textContent !== text) cell.textContent = text;
    if (cell.localName !== "td") return;
    if (told[name]) cell.title = known ? told[name](delta) : "";
    const how = COLUMNS[name] && known ? severity(name, delta) : null;
    if (how) cell.dataset.severity = how;
    else delete cell.dataset.severity;
  }

  /** What all rows together have beyond those that are shown. */
  function others(rest, deltas, from) {
    if (!from) return JSON.parse(rest.dataset.counts);
    const rows = [...rest.parentElement.querySelectorAll("tr[data-key]")].filter((row) => deltas.has(row));
    const all = rest.closest("table").querySelector("[data-all]");
    return rows.reduce((left, row) => minus(left, deltas.get(row)), deltas.get(all));
  }

  /** The larger the worse, 0 for what is quiet. */
  function rank(row, delta, seconds) {
    if (!delta) return 1;
    if (delta.packets !== undefined) {
      const isQuiet = row.dataset.benign !== undefined || delta.packets === 0;
      return isQuiet ? 0 : 1 + Math.floor(Math.log2(Math.max(1, delta.packets / Math.max(1, seconds) / 0.01)));
    }
    const worst = score(delta);
    const octaves = worst < 0.01 ? 1 : 2 + Math.floor(Math.log2(worst / 0.01));
    if (row.dataset.found !== undefined) return 100 + octaves;
    const isQuiet = failed(delta) === 0 && [delta.sent, delta.dropped, delta.repaired, delta.opened, delta.syns, delta.in].every((count) => !count);
    return isQuiet ? 0 : octaves;
  }

  // What rows are sorted by, of columns whose cells are computed.
  const values = {
    retransmitted: (row) => share("retransmitted", row),
    dropped: (row) => share("dropped", row),
    failed: (row) => share("failed", row),
    waits: (row) => share("waits", row),
    rtt: (row) => quantile(row.rtt, 0.5)?.[0] ?? null,
    megabits: (row) => (row.out ?? 0) + (row.in ?? 0),
    rate: (row) => row.packets,
    amount: (row) => row.packets,
  };
  /** Number or text of a row in a column; null where there is none. */
  function value(row, place, deltas) {
    const cell = row.cells[place];
    const computed = values[cell.dataset.show];
    const delta = deltas.get(row);
    if (computed) return delta ? computed(delta) : null;
    const text = cell.textContent.trim();
    return !cell.classList.contains("count") ? text : text === NONE ? null : Number(text);
  }
  /** The largest number first, texts by the alphabet; rows without a value last. */
  const byColumn = ({ place, reversed }, deltas) => (one, other) => {
    const [left, right] = [one, other].map((row) => value(row, place, deltas));
    if (left === null || right === null) return (left === null) - (right === null);
    const order = typeof left === "number" ? right - left : left.localeCompare(right);
    return reversed ? -order : order;
  };

  /** Sorts a table by a column; at the second click the other way round, at the third the worst first again. */
  function choose(head) {
    const [{ id }] = head.closest("table").tBodies;
    const [place, old] = [head.cellIndex, orders.get(id)];
    if (old?.place !== place) orders.set(id, { place, reversed: false });
    else if (!old.reversed) orders.set(id, { place, reversed: true });
    else orders.delete(id);
    paint();
  }

  /** Says at the heads and below the table what it is sorted by. */
  function tell(body, chosen) {
    for (const head of body.parentElement.tHead.rows[0].cells) {
      const isUp = head.classList.contains("text") !== chosen?.reversed;
      if (head.cellIndex === chosen?.place) head.setAttribute("aria-sort", isUp ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
    const text = chosen ? "Sorted by a column. " : "Worst first; a click on the head of a column sorts by it. ";
    const note = body.closest("section").querySelector("[data-order]");
    if (note.textContent !== text) note.textContent = text;
  }

  /** Makes the heads of columns buttons: without the script they would do nothing. */
  function equip() {
    for (const head of main.querySelectorAll(".cols thead th:not(.spark)")) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
    }
  }

  /** Hides rows whose names do not contain the filter. */
  function hide() {
    const rows = [...document.querySelectorAll("tbody[data-live] > tr[data-key]")];
    const isOut = (row) => ![...row.querySelectorAll("th, .text")].some((cell) => cell.textContent.toLowerCase().includes(filter));
    let shown = 0;
    for (const row of rows) {
      const out = isOut(row);
      shown += out ? 0 : 1;
      row.toggleAttribute("data-filtered", out);
      const opened = row.nextElementSibling;
      if (opened?.classList.contains("more")) opened.toggleAttribute("data-filtered", out);
    }
    $("matches").textContent = filter === "" ? "" : shown + " of " + rows.length + " rows";
  }

  /**
   * Puts the worst first, or sorts by the chosen column, and folds what is quiet, unless somebody filters. The worst first, a row moves
   * when its rank has been another for three refreshes; at once where asked.
   */
  function sort(body, deltas, seconds, atOnce) {
    const rows = [...body.querySelectorAll(":scope > [data-key]")];
    for (const row of rows) {
      const now = rank(row, deltas.get(row), seconds);
      row.held = now === row.rank ? 0 : (row.held ?? 0) + 1;
      if (atOnce || row.rank === undefined || row.held >= 3) [row.rank, row.held] = [now, 0];
    }
    const fold = body.querySelector("[data-fold]");
    const chosen = orders.get(body.id);
    tell(body, chosen);
    const isFolded = (row) => fold !== null && filter === "" && row.rank === 0;
    const compare = chosen ? byColumn(chosen, deltas) : (one, other) => other.rank - one.rank;
    const byKey = (one, other) => (one.dataset.key < other.dataset.key ? -1 : 1);
    const order = [...rows].sort((one, other) => isFolded(one) - isFolded(other) || compare(one, other) || byKey(one, other));
    const quiet = order.filter(isFolded);
    const wanted = [];
    for (const row of order) {
      const opened = row.nextElementSibling;
      if (row === quiet[0]) wanted.push(fold);
      wanted.push(row);
      row.toggleAttribute("data-quiet", isFolded(row));
      if (opened?.classList.contains("more")) {
        wanted.push(opened);
        opened.toggleAttribute("data-quiet", isFolded(row));
      }
    }
    if (fold) {
      fold.hidden = quiet.length === 0;
      fold.querySelector("[data-number]").textContent = quiet.length;
    }
    const focus = document.activeElement;
    wanted.forEach((element, place) => {
      if (body.children[place] !== element) body.insertBefore(element, body.children[place] ?? null);
    });
    if (body.contains(focus) && document.activeElement !== focus) focus.focus({ preventScroll: true });
  }

  /** Draws a line of the last ten minutes. */
  function draw(cell, line) {
    if (!cell.firstElementChild) {
      const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      svg.setAttribute("viewBox", "0 0 120 20");
      svg.setAttribute("preserveAspectRatio", "none");
      svg.setAttribute("role", "img");
      svg.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
      cell.replaceChildren(svg);
    }
    const svg = cell.firstElementChild;
    const end = ring.at(-1).at;
    const isScore = cell.closest("#subnets-rows, #workloads-rows") !== null;
    const most = Math.max(isScore ? 0.1 : 0.001, ...line.map(([, value]) => value));
    const points = line.map(([at, value]) => (120 - ((end - at) * 120) / KEPT).toFixed(1) + " " + (19 - (18 * value) / most).toFixed(1));
    svg.firstElementChild.setAttribute("d", points.length ? "M" + points.join("L") : "");
    const last = line.at(-1)?.[1] ?? 0;
    svg.setAttribute("aria-label", "Last ten minutes: now " + (most > 0 ? percent(last / most) : "0 %") + " of the highest");
  }

  /** What the exporter says and what was seen here, the latest first. */
  function changed() {
    const list = $("changed").firstElementChild;
    for (const own of list.querySelectorAll("[data-own]")) own.remove();
    for (const { at, subject, how } of [...changes].reverse()) {
      const item = document.createElement("li");
      item.dataset.own = "";
      item.textContent = clock(at) + " " + subject + " " + how;
      const later = [...list.children].find((other) => other.dataset.own !== undefined || Number(other.dataset.at) < at);
      list.insertBefore(item, later ?? null);
    }
  }

  /** Makes an element like another; what somebody opened, has the focus in, or had drawn stays. */
  function become(element, next) {
    for (const { name, value } of next.attributes) if (element.getAttribute(name) !== value) element.setAttribute(name, value);
    for (const { name } of [...element.attributes]) {
      const isOwn = ["open", "data-quiet", "data-severity", "data-filtered"].includes(name) || (name === "hidden" && next.dataset.fold !== undefined);
      if (!next.hasAttribute(name) && !isOwn) element.removeAttribute(name);
    }
    if (next.dataset.own !== undefined) return;
    if (next.dataset.show !== undefined || next.id === "window") {
      element.total = next.textContent;
      return;
    }
    const name = (child) => child.dataset?.key ?? (child.dataset?.more === undefined ? undefined : "more " + child.dataset.more);
    const known = new Map([...element.children].filter((child) => name(child) !== undefined).map((child) => [name(child), child]));
    const plain = [...element.childNodes].filter((child) => name(child) === undefined);
    let last = null;
    for (const child of [...next.childNodes]) {
      const same = name(child) !== undefined ? known.get(name(child)) : plain[0]?.nodeName === child.nodeName ? plain.shift() : undefined;
      if (same) {
        known.delete(name(child));
        if (same.nodeType === Node.ELEMENT_NODE) become(same, child);
        else if (same.nodeValue !== child.nodeValue) same.nodeValue = child.nodeValue;
      } else {
        const added = document.importNode(child, true);
        remember(added);
        element.insertBefore(added, last ? last.nextSibling : element.firstChild);
      }
      last = same ?? (last ? last.nextSibling : element.firstChild);
    }
    for (const gone of [...known.values(), ...plain]) gone.remove();
  }

  /** What cells say without the script: all since the start. */
  function remember(root) {
    if (root.nodeType !== Node.ELEMENT_NODE) return;
    for (const cell of [root, ...root.querySelectorAll("[data-show], #window")]) if (cell.dataset.show !== undefined || cell.id === "window") cell.total = cell.textContent;
  }

  /** Takes over what is live in another copy of the page. */
  function take(page) {
    const next = page.getElementById("main");
    Object.assign(main.dataset, next.dataset);
    const live = [...document.querySelectorAll("[data-live], #window")];
    const same = live.length === page.querySelectorAll("[data-live], #window").length;
    if (same && live.every((part) => page.getElementById(part.id))) {
      for (const part of live) become(part, page.getElementById(part.id));
    } else {
      main.replaceChildren(...next.childNodes);
      remember(main);
      equip();
    }
    document.title = page.title;
    $("icon").href = page.getElementById("icon").href;
  }

  // Without the name and password that the address of the page may hold.
  const ask = (path) => fetch(new URL(path, location.origin + location.pathname), { cache: "no-store", signal: AbortSignal.timeout(30000) });

  function refresh() {
    clearTimeout(timer);
    waiting += 1;
    main.setAttribute("aria-busy", "true");
    turn = turn.then(renew).then(() => {
      waiting -= 1;
      if (waiting === 0) main.setAttribute("aria-busy", "false");
      plan();
    });
  }

  async function renew() {
    try {
      const answer = await ask("");
      if (!answer.ok) throw new Error("it answers " + answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      // Those who ask together share a collection: then there is nothing new.
      if (page.getElementById("main").dataset.at !== main.dataset.at) {
        take(page);
        keep();
        paint();
      }
      say(paused ? "Paused." : "Refreshes every " + EVERY / 1000 + " seconds.");
    } catch (error) {
      say("No new numbers: " + error.message + ". " + (paused ? "Paused." : "Trying again."));
    }
  }

  /** Told to screen readers when it changes only. */
  function say(text) {
    if ($("status").textContent !== text) $("status").textContent = text;
  }

  /** A page that nobody sees asks for nothing. */
  function plan() {
    clearTimeout(timer);
    if (!paused && !document.hidden) timer = setTimeout(refresh, EVERY);
  }

  /** Opens the row that the address names. */
  function follow() {
    const name = location.hash.slice(1);
    let row = $(name);
    try {
      row ??= $(decodeURIComponent(name));
    } catch {
      // It names nothing.
    }
    const opens = row?.querySelector("th details");
    if (!opens) return;
    opens.open = true;
    if (row.dataset.quiet !== undefined) row.parentElement.querySelector(".fold details").open = true;
    row.scrollIntoView({ block: "center" });
  }

  /** Puts the text beside a button on the clipboard; without a secure connection by the old way. */
  async function copy(button) {
    const text = button.nextElementSibling;
    try {
      await navigator.clipboard.writeText(text.textContent);
      say("Copied.");
    } catch {
      getSelection().selectAllChildren(text);
      say(document.execCommand("copy") ? "Copied." : "Marked, to be copied.");
    }
  }

  /** By what the flows of a row are sorted: its worst share. */
  function worst(row) {
    const totals = JSON.parse(row.dataset.counts);
    const bad = (name) => (share(name, totals) ?? 0) / COLUMNS[name].steps[2];
    const by = { retransmitted: "retransmitted_segments", dropped: "locally_dropped_segments", waits: "receive_window_limited_seconds" };
    return by[Object.keys(by).sort((one, other) => bad(other) - bad(one))[0]];
  }

  /** The worst flows of a row or of a finding, which says by what they are sorted. */
  async function flows(list) {
    const row = list.closest(".more")?.previousElementSibling;
    try {
      const answer = await ask(list.dataset.flows + (row ? "&sort=" + worst(row) : ""));
      const found = await answer.json();
      if (!answer.ok) throw new Error(found.error);
      const end = (flow, which) => {
        const address = flow[which + "_address"] ?? NONE;
        return (address.includes(":") ? "[" + address + "]" : address) + ":" + flow[which + "_port"];
      };
      const items = found.flows.map((flow) => {
        const [item, ends] = [document.createElement("li"), document.createElement("code")];
        ends.textContent = end(flow, "local") + " > " + end(flow, "remote");
        const rtt = maybe(flow.smoothed_rtt_seconds ?? undefined, time);
        item.append(
          ends,
          " " + whole(flow.retransmitted_segments) + " of " + whole(flow.transmitted_data_segments) + " retransmitted, " + whole(flow.locally_dropped_segments) +
            " dropped here, waited " + time(flow.receive_window_limited_seconds) + " for the peer, RTT " + rtt,
        );
        return item;
      });
      list.replaceChildren(...items);
    } catch (error) {
      list.textContent = "No flows: " + error.message;
    }
  }

  $("pause").addEventListener("click", () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", String(paused));
    if (paused) {
      plan();
      say("Paused.");
    } else {
      refresh();
    }
  });
  $("refresh").addEventListener("click", refresh);
  main.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
    const head = event.target.closest("thead button")?.parentElement;
    if (head) choose(head);
  });
  // Such events do not bubble.
  main.addEventListener("toggle", ({ target }) => {
    const opened = target.matches(".finding") ? target : target.closest("tr")?.nextElementSibling;
    const list = target.open && opened?.querySelector("[data-flows]");
    if (list) flows(list);
  }, true);
  document.addEventListener("visibilitychange", () => (document.hidden || paused ? plan() : refresh()));
  addEventListener("hashchange", follow);
  for (const input of document.querySelectorAll("input[name=mode]")) input.addEventListener("change", paint);
  $("filter").addEventListener("input", ({ target }) => {
    filter = target.value.trim().toLowerCase();
    paint();
  });
  document.documentElement.classList.add("live");
  $("controls").hidden = false;
  say("Refreshes every " + EVERY / 1000 + " seconds.");
  remember(main);
  equip();
  if ($("window")) keep();
  paint();
  follow();
  plan();
})();
