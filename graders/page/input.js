// Mouse, fingers and keys; and the start of the page.
'use strict';

function listen(app) {
  new Gestures(app).listen();
  $('scroller').addEventListener('scroll', () => app.repaint());
  new ResizeObserver(() => {
    app.layOut();
    app.repaint();
  }).observe($('scroller'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', event =>
    app.setTheme(event.matches ? 'dark' : 'light'),
  );
  window.addEventListener('hashchange', () => {
    if (location.hash !== app.address) app.readAddress();
  });
  document.addEventListener('keydown', event => onKey(app, event));
  listenToButtons(app);
  listenToSearch(app);
  dragEdge($('divider'), 'names', (box, event) => event.clientX - box.left, 'left', 90, 700);
  dragEdge($('sash'), 'panel', (box, event) => box.bottom - event.clientY, 'up', 40, 900);
}

function listenToButtons(app) {
  const actions = {
    'zoom-in': () => app.zoom(ZOOM),
    'zoom-out': () => app.zoom(1 / ZOOM),
    whole: () => app.setView(0, app.span),
    theme: () => otherTheme(app),
    'help-open': () => $('help').showModal(),
    next: () => app.nextHit(1),
    previous: () => app.nextHit(-1),
  };
  for (const [id, action] of Object.entries(actions)) $(id).addEventListener('click', action);
}

function listenToSearch(app) {
  let timer = 0;
  const now = () => {
    clearTimeout(timer);
    if ((app.found ? app.found.words : '') !== $('words').value.trim())
      app.setSearch($('words').value);
  };
  $('words').addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(now, 200);
  });
  $('words').addEventListener('keydown', event => {
    if (event.key === 'Enter') {
      now();
      app.nextHit(event.shiftKey ? -1 : 1);
    } else if (event.key === 'Escape') {
      $('words').value = '';
      now();
      $('scroller').focus();
    } else return;
    event.preventDefault();
  });
  $('search').addEventListener('submit', event => event.preventDefault());
  app.showHits();
}

function otherTheme(app) {
  app.setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
}

// An edge between two parts of the page that can be dragged, or moved by arrow keys.
function dragEdge(node, property, sizeAt, grows, least, most) {
  const root = document.documentElement,
    box = () => document.querySelector('main').getBoundingClientRect();
  const set = size =>
    root.style.setProperty(`--${property}`, `${Math.max(least, Math.min(most, size))}px`);
  const current = () => $(property).getBoundingClientRect()[grows === 'up' ? 'height' : 'width'];
  node.addEventListener('pointerdown', event => node.setPointerCapture(event.pointerId));
  node.addEventListener('pointermove', event => {
    if (node.hasPointerCapture(event.pointerId)) set(sizeAt(box(), event));
  });
  node.addEventListener('keydown', event => {
    const larger = grows === 'up' ? 'ArrowUp' : 'ArrowRight',
      smaller = grows === 'up' ? 'ArrowDown' : 'ArrowLeft';
    if (event.key !== larger && event.key !== smaller) return;
    set(current() + (event.key === larger ? 20 : -20));
    event.preventDefault();
    event.stopPropagation();
  });
}

const KEYS = {
  w: app => app.zoom(ZOOM),
  s: app => app.zoom(1 / ZOOM),
  '+': app => app.zoom(ZOOM),
  '-': app => app.zoom(1 / ZOOM),
  a: app => app.pan(-PAN),
  d: app => app.pan(PAN),
  ArrowLeft: app => app.pan(-PAN),
  ArrowRight: app => app.pan(PAN),
  ArrowUp: () => $('scroller').scrollBy(0, -3 * LANE),
  ArrowDown: () => $('scroller').scrollBy(0, 3 * LANE),
  0: app => app.setView(0, app.span),
  Home: app => app.setView(0, app.span),
  f: app => {
    const extent = app.extent();
    if (extent) app.fit(...extent);
  },
  m: app => {
    const extent = app.extent();
    if (extent && extent[1] > extent[0]) app.setRange(...extent);
  },
  ',': app => app.neighbour(-1),
  '.': app => app.neighbour(1),
  n: app => app.nextHit(1),
  N: app => app.nextHit(-1),
  '/': () => $('words').select(),
  '?': () => $('help').showModal(),
  t: otherTheme,
  Escape: app => {
    app.range = null;
    $('words').value = '';
    app.setSearch('');
    app.select(null);
  },
};

function onKey(app, event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $('help').open) return;
  if (event.target.tagName === 'INPUT') return;
  if (event.target.id === 'panel' && event.key.startsWith('Arrow')) return;
  const action = KEYS[event.key] || KEYS[event.key.toLowerCase()];
  if (!action) return;
  event.preventDefault();
  action(app);
}

// What pointers do on the canvas, the time scale and the map.
class Gestures {
  constructor(app) {
    Object.assign(this, {app, pointers: new Map(), moved: false});
  }

  listen() {
    const canvas = $('canvas');
    $('plane').addEventListener('wheel', event => this.wheel(event), {passive: false});
    canvas.addEventListener('pointerdown', event => this.down(event, event.shiftKey));
    canvas.addEventListener('pointermove', event => this.move(event));
    canvas.addEventListener('pointerleave', () => this.hover(null));
    canvas.addEventListener('dblclick', () => KEYS.f(this.app));
    for (const type of ['pointerup', 'pointercancel'])
      canvas.addEventListener(type, event =>
        this.up(event, (x, y) => this.app.select(this.app.thingAt(x, y))),
      );
    this.listenToRuler($('ruler'));
    this.listenToMap($('map'));
  }

  wheel(event) {
    event.preventDefault();
    const unit = event.deltaMode ? 16 : 1,
      {app} = this;
    const box = $('canvas').getBoundingClientRect(),
      at = (event.clientX - box.left) / box.width;
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY))
      app.pan(((event.deltaX || event.deltaY) * unit) / box.width);
    else app.zoom(Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.002)), at);
  }

  place(event) {
    const box = $('canvas').getBoundingClientRect();
    return {x: event.clientX - box.left, y: event.clientY - box.top};
  }

  down(event, marks) {
    if (event.button) return;
    event.target.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.place(event));
    if (this.pointers.size > 1) return;
    this.moved = false;
    this.begin = marks ? this.app.timeAt(this.place(event).x) : null;
    this.first = this.place(event);
    $('scroller').focus({preventScroll: true});
  }

  move(event) {
    const now = this.place(event),
      last = this.pointers.get(event.pointerId);
    if (!last) {
      this.hover(now);
      return;
    }
    if (!this.moved && Math.hypot(now.x - this.first.x, now.y - this.first.y) < 4) return;
    this.moved = true;
    this.hover(null);
    if (this.pointers.size === 2) this.pinch(event.pointerId, last, now);
    else if (this.begin !== null) this.mark(now.x);
    else this.drag(now.x - last.x, now.y - last.y);
    this.pointers.set(event.pointerId, now);
  }

  drag(dx, dy) {
    this.app.pan(-dx / $('canvas').getBoundingClientRect().width);
    $('scroller').scrollTop -= dy;
  }

  pinch(id, last, now) {
    const [[, other]] = [...this.pointers].filter(([key]) => key !== id);
    const before = Math.abs(last.x - other.x),
      after = Math.abs(now.x - other.x);
    const {width} = $('canvas').getBoundingClientRect();
    if (before > 8 && after > 8) this.app.zoom(after / before, other.x / width);
    this.app.pan(-(now.x - last.x) / 2 / width);
  }

  mark(x) {
    const {app} = this,
      ends = [this.begin, app.timeAt(x)].sort((a, b) => a - b);
    app.range = {
      from: Math.max(0, Math.round(ends[0])),
      to: Math.min(app.span, Math.round(ends[1])),
    };
    app.repaint();
  }

  up(event, click) {
    if (!this.pointers.delete(event.pointerId)) return;
    const {app} = this,
      {x, y} = this.place(event),
      marked = this.begin !== null;
    if (!this.moved && event.type === 'pointerup') click(x, y);
    else if (marked && app.range) {
      app.selection = null;
      app.setRange(app.range.from, app.range.to);
    }
    if (!this.pointers.size) this.begin = null;
  }

  hover(place) {
    const tip = $('tip'),
      line = $('line'),
      thing = place && this.app.thingAt(place.x, place.y);
    line.hidden = !place;
    tip.hidden = !thing;
    if (place) line.style.left = `${place.x}px`;
    if (!thing) return;
    tip.textContent = this.app.tipFor(thing);
    const box = $('canvas').getBoundingClientRect(),
      {width, height} = tip.getBoundingClientRect();
    tip.style.left = `${Math.min(box.left + place.x + 14, window.innerWidth - width - 4)}px`;
    tip.style.top = `${Math.min(box.top + place.y + 16, window.innerHeight - height - 4)}px`;
  }

  listenToRuler(ruler) {
    ruler.addEventListener('pointerdown', event => this.down(event, true));
    ruler.addEventListener('pointermove', event => {
      if (this.pointers.size) this.move(event);
    });
    for (const type of ['pointerup', 'pointercancel']) {
      ruler.addEventListener(type, event =>
        this.up(event, () => {
          this.app.range = null;
          this.app.select(null);
        }),
      );
    }
    ruler.addEventListener('wheel', event => this.wheel(event), {passive: false});
  }

  // The map: drag moves the view; a click outside of it puts it there.
  listenToMap(map) {
    const {app} = this,
      timeAt = event => {
        const box = map.getBoundingClientRect();
        return ((event.clientX - box.left) / box.width) * app.span;
      };
    let grip = null;
    map.addEventListener('pointerdown', event => {
      const time = timeAt(event),
        {from, to} = app.view,
        span = to - from;
      map.setPointerCapture(event.pointerId);
      grip = time >= from && time <= to && span < app.span ? time - from : span / 2;
      app.setView(time - grip, time - grip + span);
    });
    map.addEventListener('pointermove', event => {
      if (grip === null) return;
      const from = timeAt(event) - grip;
      app.setView(from, from + app.view.to - app.view.from);
    });
    for (const type of ['pointerup', 'pointercancel'])
      map.addEventListener(type, () => {
        grip = null;
      });
    map.addEventListener(
      'wheel',
      event => {
        event.preventDefault();
        const {from, to} = app.view;
        app.zoom(
          Math.exp(-event.deltaY * 0.002),
          Math.max(0, Math.min(1, (timeAt(event) - from) / (to - from))),
        );
      },
      {passive: false},
    );
  }
}

async function start() {
  const node = $('data'),
    dark = matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  try {
    const bytes = await unpack(node.textContent, Number(node.dataset.size));
    node.remove();
    new App(new Trace(readTables(bytes)));
  } catch (error) {
    $('panel').replaceChildren(
      element(
        'p',
        {kind: 'notice'},
        `This page cannot show its trace: ${error.message}. Make it again with ` +
          'python3 -m graders trace FILE --html OUT, or open it in a newer browser.',
      ),
    );
    throw error;
  }
}

start();
