"""What the map does in the browser: its markup, its look, its script. Plain JavaScript, no build step.

Points lie in typed arrays; each colour and mark is drawn once as a small stamp that is then copied, all points in one
pass, at most once a frame. A second canvas above holds what changes with the pointer (the lasso, the ring around a
point), so that moving it never draws the points again. What is under the pointer is found in a grid of cells.

Pictures come on demand: where the pointer rests, the map asks for that point and its neighbours, and Python answers
through a second, invisible component, as anything added to the map's own data would send all of its points again.
"""

HTML = """
<div class="map">
  <div class="bar" role="toolbar" aria-label="Map">
    <button type="button" data-do="lasso" aria-pressed="true">Lasso</button>
    <button type="button" data-do="move" aria-pressed="false">Move</button>
    <button type="button" data-do="in" aria-label="Zoom in">+</button>
    <button type="button" data-do="out" aria-label="Zoom out">−</button>
    <button type="button" data-do="whole">Whole map</button>
    <button type="button" data-do="clear">Clear selection</button>
    <span class="count" role="status"></span>
  </div>
  <div class="stage">
    <canvas class="points" aria-hidden="true"></canvas>
    <canvas class="above" tabindex="0" role="application"></canvas>
    <div class="hint" aria-hidden="true"><img alt=""><b></b><span></span></div>
  </div>
  <ul class="legend" aria-label="Colours and marks"></ul>
  <p class="keys">Keys, once the map has the focus: arrows go from point to point, Enter selects, + − zoom,
    Shift and arrows move, 0 the whole map, Esc clears. The wheel zooms while the map has the focus.</p>
  <div class="said" aria-live="polite"></div>
</div>
"""
CSS = """
.map{font-family:var(--st-font);color:var(--st-text-color);font-size:.85rem}
.bar{display:flex;flex-wrap:wrap;gap:.35rem;align-items:center;margin:2px 2px .45rem}
.bar button{all:unset;box-sizing:border-box;cursor:pointer;border:1px solid var(--st-border-color);border-radius:.5rem;
  padding:.25rem .65rem;min-width:2rem;text-align:center;background:var(--st-secondary-background-color)}
.bar button:hover{border-color:var(--st-primary-color)}
.bar button:focus-visible{outline:3px solid var(--st-primary-color);outline-offset:1px}
.bar button[aria-pressed=true]{border-color:var(--st-primary-color);box-shadow:inset 0 0 0 1px var(--st-primary-color)}
.count{margin-left:auto;font-variant-numeric:tabular-nums;opacity:.85}
.stage{position:relative;height:34rem;border:1px solid var(--st-border-color);border-radius:.6rem;margin:2px;
  background:var(--st-background-color)}
canvas{position:absolute;inset:0;width:100%;height:100%;border-radius:.6rem}
.above{touch-action:none;cursor:crosshair}.above.moving{cursor:grab}
.above:focus-visible{outline:3px solid var(--st-primary-color);outline-offset:1px}
.hint{position:absolute;display:none;flex-direction:column;gap:.2rem;width:9rem;padding:.4rem;pointer-events:none;
  z-index:2;border:1px solid var(--st-border-color);border-radius:.5rem;background:var(--st-background-color);
  box-shadow:0 2px 10px #0004}
.hint.on{display:flex}.hint img{width:100%;height:6rem;object-fit:contain;border-radius:.3rem}
.hint b,.hint span{font-size:.78rem;line-height:1.25;overflow-wrap:anywhere;max-height:3.8em;overflow:hidden}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem .9rem;padding:0;margin:.5rem 2px 0}
.legend li{display:flex;align-items:center;gap:.35rem;max-width:16rem}
.legend span{overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.legend i{width:.7rem;height:.7rem;border-radius:50%;flex:none}
.legend i.text{transform:rotate(45deg) scale(.85);border-radius:0}
.keys{opacity:.7;font-size:.75rem;margin:.45rem 2px 0}
.said{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media (max-width:640px){.stage{height:24rem}.count{margin-left:2px;width:100%}}
"""
JS = """
const CELL = 14, NEAR = 12, PREFETCH = 24, KEPT = 3000, REST = 90
const unpack = (text, Type) => new Type(Uint8Array.from(atob(text), c => c.charCodeAt(0)).buffer)

class EmbeddingMap {
  constructor(root) {
    this.root = root
    this.find = name => root.querySelector(name)
    this.stage = this.find('.stage'); this.base = this.find('.points'); this.above = this.find('.above')
    this.hint = this.find('.hint'); this.said = this.find('.said')
    this.view = {scale: 1, x: .5, y: .5}
    this.mode = 'lasso'; this.path = null; this.hover = -1; this.focus = -1; this.picked = new Set()
    this.pictures = new Map(); this.asked = new Set(); this.pending = 0; this.rest = 0
    this.listen()
  }
  show(data, send) {
    this.send = send
    if (this.version === data.version) return
    this.version = data.version; this.key = data.key; this.data = data
    this.xy = unpack(data.xy, Float32Array); this.count = this.xy.length / 2
    this.text = unpack(data.text, Uint8Array); this.group = unpack(data.group, Uint8Array)
    this.bright = unpack(data.bright, Uint8Array); this.name = unpack(data.name, Uint32Array)
    if (this.rows !== data.rows) {             // other points: what was picked or seen belongs to the former ones
      this.rows = data.rows; this.picked = new Set()
      this.pictures.clear(); this.asked.clear(); this.hover = this.focus = -1
    }
    // By how much a point matters: faint ones first, so that no bright one is hidden below; then by colour.
    this.order = Uint32Array.from({length: this.count}, (_, i) => i)
      .sort((a, b) => this.bright[a] - this.bright[b] || this.group[a] - this.group[b] || a - b)
    this.above.setAttribute('aria-label', data.title)
    this.legend(); this.tell(); this.resize()
  }
  listen() {
    new ResizeObserver(() => this.resize()).observe(this.stage)
    for (const button of this.root.querySelectorAll('button')) button.onclick = () => this.act(button.dataset.do)
    const above = this.above
    above.onpointerdown = e => { above.focus({preventScroll: true}); above.setPointerCapture(e.pointerId)
      this.from = [e.offsetX, e.offsetY]; this.drag = true
      if (this.mode === 'lasso' && !e.shiftKey) this.path = [e.offsetX, e.offsetY] }
    above.onpointermove = e => this.moved(e)
    above.onpointerup = e => this.released(e)
    above.onpointercancel = () => { this.drag = false; this.path = null; this.draw('above') }
    above.onpointerleave = () => { if (!this.drag) this.look(-1) }
    above.onblur = () => { this.focus = -1; this.look(-1) }
    above.addEventListener('wheel', e => {
      if (!e.ctrlKey && this.root.querySelector('.above:focus') === null) return
      e.preventDefault(); this.zoom(Math.exp(-e.deltaY / 400), e.offsetX, e.offsetY) }, {passive: false})
    above.onkeydown = e => this.pressed(e)
    document.addEventListener('cross-modal-map-pictures', this.arrived = e => {
      if (!this.root.isConnected || e.detail.key !== this.key || e.detail.rows !== this.rows) return
      for (const [row, uri] of Object.entries(e.detail.pictures)) this.pictures.set(Number(row), uri)
      while (this.pictures.size > KEPT) { const row = this.pictures.keys().next().value
        this.pictures.delete(row); this.asked.delete(row) }
      this.hinted() })
    // Theme colours are CSS variables of the page: stamps have to be made anew when they change.
    new MutationObserver(() => this.draw()).observe(document.documentElement, {attributes: true, subtree: false})
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => setTimeout(() => this.draw(), 100))
  }
  close() { document.removeEventListener('cross-modal-map-pictures', this.arrived) }
  act(what) {
    if (what === 'lasso' || what === 'move') {
      this.mode = what; this.above.classList.toggle('moving', what === 'move')
      for (const name of ['lasso', 'move'])
        this.find(`[data-do=${name}]`).setAttribute('aria-pressed', name === what)
    } else if (what === 'whole') { this.view = {scale: 1, x: .5, y: .5}; this.draw() }
    else if (what === 'clear') this.pick([])
    else this.zoom(what === 'in' ? 1.5 : 1 / 1.5, this.width / 2, this.height / 2)
  }
  resize() {
    const {clientWidth: w, clientHeight: h} = this.stage
    if (!w || !h || !this.xy) return
    this.width = w; this.height = h; this.ratio = Math.min(window.devicePixelRatio || 1, 2)
    for (const canvas of [this.base, this.above]) { canvas.width = w * this.ratio; canvas.height = h * this.ratio }
    this.draw()
  }
  side() { return (Math.min(this.width, this.height) - 24) * this.view.scale }
  place() {                                     // where each point is on the screen, and in which cell
    const side = this.side(), {x, y} = this.view, n = this.count
    const at = this.at = new Float32Array(2 * n)
    for (let i = 0; i < n; i++) {
      at[2 * i] = (this.xy[2 * i] - x) * side + this.width / 2
      at[2 * i + 1] = (y - this.xy[2 * i + 1]) * side + this.height / 2 }
    const across = this.across = Math.ceil(this.width / CELL) + 1, cells = across * (Math.ceil(this.height / CELL) + 1)
    const first = this.first = new Uint32Array(cells + 1), cell = new Int32Array(n)
    for (let i = 0; i < n; i++) {
      const [px, py] = [at[2 * i], at[2 * i + 1]]
      cell[i] = px < 0 || py < 0 || px >= this.width || py >= this.height ? -1
        : Math.floor(py / CELL) * across + Math.floor(px / CELL)
      if (cell[i] >= 0) first[cell[i] + 1]++ }
    for (let c = 0; c < cells; c++) first[c + 1] += first[c]
    const fill = first.slice(), inside = this.inside = new Uint32Array(n)
    for (let i = 0; i < n; i++) if (cell[i] >= 0) inside[fill[cell[i]]++] = i
  }
  stamps(radius) {
    const size = Math.ceil((2 * radius + 3) * this.ratio), edge = this.colour('--st-background-color', '#fff')
    return this.data.palette.flatMap(colour => [0, 1].map(text => {
      const stamp = document.createElement('canvas'); stamp.width = stamp.height = size
      const pen = stamp.getContext('2d'), c = size / 2, r = radius * this.ratio
      pen.fillStyle = colour; pen.beginPath()
      if (text) { const d = r * 1.35; pen.moveTo(c, c - d); pen.lineTo(c + d, c); pen.lineTo(c, c + d)
        pen.lineTo(c - d, c); pen.closePath() } else pen.arc(c, c, r, 0, 7)
      pen.fill()
      if (text) { pen.strokeStyle = edge; pen.lineWidth = this.ratio * .7; pen.stroke() }
      return stamp }))
  }
  colour(name, other) { return getComputedStyle(this.root).getPropertyValue(name).trim() || other }
  draw(what = 'both') {
    this.wanted = what === 'above' && this.pending ? this.wanted : what
    if (this.pending) return
    this.pending = requestAnimationFrame(() => { this.pending = 0
      if (!this.width) return
      if (this.wanted === 'both') { this.place(); this.paint() }
      this.over(); this.hinted() })
  }
  paint() {
    const pen = this.base.getContext('2d'), {at, group, text, bright, picked, ratio} = this, some = picked.size > 0
    const radius = Math.min(7, (this.count > 8000 ? 2.1 : this.count > 1500 ? 2.8 : 4) * Math.sqrt(this.view.scale))
    const stamps = this.stamps(radius), half = stamps[0].width / 2
    pen.clearRect(0, 0, this.base.width, this.base.height)
    for (let pass = 0; pass < (some ? 2 : 1); pass++)     // what is picked lies above what is not
      for (const i of this.order) {
        if (some && picked.has(i) !== (pass === 1)) continue
        const x = at[2 * i] * ratio, y = at[2 * i + 1] * ratio
        if (x < -20 || y < -20 || x > this.base.width + 20 || y > this.base.height + 20) continue
        pen.globalAlpha = some ? (pass ? 1 : .1) : bright[i] ? .85 : .1
        // At whole pixels a copy takes two thirds of the time.
        pen.drawImage(stamps[2 * group[i] + text[i]], Math.round(x - half), Math.round(y - half)) }
    pen.globalAlpha = 1
  }
  over() {
    const pen = this.above.getContext('2d')
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0); pen.clearRect(0, 0, this.width, this.height)
    pen.strokeStyle = pen.fillStyle = this.colour('--st-primary-color', '#06c')
    if (this.path) { pen.lineWidth = 2; this.trace(pen); pen.stroke(); pen.globalAlpha = .12; pen.fill()
      pen.globalAlpha = 1 }
    for (const [i, radius] of [[this.hover, 7], [this.focus, 10]]) if (i >= 0) {
      pen.lineWidth = 2.5; pen.beginPath(); pen.arc(this.at[2 * i], this.at[2 * i + 1], radius, 0, 7); pen.stroke() }
  }
  trace(pen) {
    pen.beginPath(); pen.moveTo(this.path[0], this.path[1])
    for (let i = 2; i < this.path.length; i += 2) pen.lineTo(this.path[i], this.path[i + 1])
    pen.closePath()
  }
  moved(e) {
    const x = e.offsetX, y = e.offsetY
    if (!this.drag) return this.look(this.nearest(x, y))
    if (this.path) { this.path.push(x, y); return this.draw('above') }
    const side = this.side()
    this.view.x -= (x - this.from[0]) / side; this.view.y += (y - this.from[1]) / side
    this.travelled = (this.travelled || 0) + Math.abs(x - this.from[0]) + Math.abs(y - this.from[1])
    this.from = [x, y]; this.draw()
  }
  released(e) {
    this.drag = false
    const path = this.path, still = path ? this.extent(path) < 5 : (this.travelled || 0) < 5
    this.travelled = 0
    if (still) {                                // a click: one point, or none
      this.path = null
      const i = this.nearest(e.offsetX, e.offsetY)
      if (i >= 0) return this.toggle(i)
      return path ? this.pick([]) : undefined
    }
    if (!path) return
    const pen = this.above.getContext('2d'), inside = []
    pen.setTransform(1, 0, 0, 1, 0, 0); this.trace(pen)
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity]
    for (let i = 0; i < path.length; i += 2) {
      left = Math.min(left, path[i]); right = Math.max(right, path[i])
      top = Math.min(top, path[i + 1]); bottom = Math.max(bottom, path[i + 1]) }
    for (let i = 0; i < this.count; i++) { const x = this.at[2 * i], y = this.at[2 * i + 1]
      if (x >= left && x <= right && y >= top && y <= bottom && this.bright[i] && pen.isPointInPath(x, y))
        inside.push(i) }
    this.path = null; this.pick(inside)
  }
  extent(path) {
    let far = 0
    for (let i = 0; i < path.length; i += 2) far = Math.max(far, Math.hypot(path[i] - path[0], path[i + 1] - path[1]))
    return far
  }
  around(x, y, reach) {                         // [distance, point] within reach, the nearest first
    const found = [], steps = Math.ceil(reach / CELL), cx = Math.floor(x / CELL), cy = Math.floor(y / CELL)
    const down = (this.first.length - 1) / this.across
    for (let row = Math.max(0, cy - steps); row <= Math.min(down - 1, cy + steps); row++)
      for (let col = Math.max(0, cx - steps); col <= Math.min(this.across - 1, cx + steps); col++) {
        const c = row * this.across + col
        for (let k = this.first[c]; k < this.first[c + 1]; k++) { const i = this.inside[k]
          const d = Math.hypot(this.at[2 * i] - x, this.at[2 * i + 1] - y)
          if (d <= reach && this.bright[i]) found.push([d, i]) } }
    return found.sort((a, b) => a[0] - b[0])
  }
  nearest(x, y) { const found = this.at ? this.around(x, y, NEAR) : []; return found.length ? found[0][1] : -1 }
  look(i) {
    if (this.hover === i) return
    this.hover = i; this.draw('above'); this.ask(i)
  }
  ask(i) {
    clearTimeout(this.rest)
    if (i < 0 || this.text[i] || this.asked.has(i)) return
    this.rest = setTimeout(() => {
      const wanted = this.around(this.at[2 * i], this.at[2 * i + 1], 60).map(([, j]) => j)
        .filter(j => !this.text[j] && !this.asked.has(j)).slice(0, PREFETCH)
      if (!wanted.includes(i)) wanted.unshift(i)
      wanted.forEach(j => this.asked.add(j))
      this.send.wanted(wanted) }, REST)
  }
  words(i) { return this.data.names[this.name[i]] || '' }
  detail(i) { return [this.text[i] ? 'text' : 'picture', this.data.legend[this.group[i]]].filter(Boolean).join(' · ') }
  hinted() {
    const i = this.hover >= 0 ? this.hover : this.focus
    this.hint.classList.toggle('on', i >= 0 && !this.drag)
    if (i < 0 || !this.at) return
    const image = this.hint.querySelector('img'), uri = this.pictures.get(i)
    image.style.display = uri ? '' : 'none'
    if (uri && image.src !== uri) image.src = uri
    this.hint.querySelector('b').textContent = this.words(i)
    this.hint.querySelector('span').textContent = this.detail(i)
    const x = this.at[2 * i], y = this.at[2 * i + 1], w = this.hint.offsetWidth, h = this.hint.offsetHeight
    this.hint.style.left = Math.max(0, x + 14 + w > this.width ? x - 14 - w : x + 14) + 'px'
    this.hint.style.top = Math.max(0, Math.min(this.height - h, y - h / 2)) + 'px'
  }
  zoom(factor, x, y) {
    const scale = Math.min(200, Math.max(.5, this.view.scale * factor)), before = this.side()
    const dx = (x - this.width / 2), dy = (y - this.height / 2)
    this.view.scale = scale
    const after = this.side()
    this.view.x += dx / before - dx / after; this.view.y -= dy / before - dy / after
    this.draw()
  }
  pressed(e) {
    const arrow = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[e.key]
    if (e.ctrlKey || e.altKey || e.metaKey) return
    if (arrow && e.shiftKey) { const side = this.side()
      this.view.x += arrow[0] * 60 / side; this.view.y -= arrow[1] * 60 / side; this.draw() }
    else if (arrow) this.step(arrow)
    else if (e.key === 'Enter' || e.key === ' ') { if (this.focus >= 0) this.toggle(this.focus) }
    else if (e.key === '+' || e.key === '=') this.zoomed(1.5)
    else if (e.key === '-') this.zoomed(1 / 1.5)
    else if (e.key === '0') this.act('whole')
    else if (e.key === 'Escape') this.pick([])
    else return
    e.preventDefault()
  }
  zoomed(factor) {
    const i = this.focus
    this.zoom(factor, i < 0 ? this.width / 2 : this.at[2 * i], i < 0 ? this.height / 2 : this.at[2 * i + 1])
  }
  step([dx, dy]) {                              // the nearest point in that direction; the middle one to begin with
    let best = -1, least = Infinity
    const i = this.focus, [x, y] = i < 0 ? [this.width / 2, this.height / 2] : [this.at[2 * i], this.at[2 * i + 1]]
    for (let j = 0; j < this.count; j++) {
      if (j === i || !this.bright[j]) continue
      const along = (this.at[2 * j] - x) * dx + (this.at[2 * j + 1] - y) * dy
      const aside = Math.abs((this.at[2 * j] - x) * dy) + Math.abs((this.at[2 * j + 1] - y) * dx)
      const far = i < 0 ? Math.hypot(this.at[2 * j] - x, this.at[2 * j + 1] - y) : along + 2 * aside
      if ((i < 0 || along > .5) && far < least) { least = far; best = j } }
    if (best < 0) return
    this.focus = best; this.hover = -1
    const px = this.at[2 * best], py = this.at[2 * best + 1], side = this.side()
    if (px < 20 || py < 20 || px > this.width - 20 || py > this.height - 20) {
      this.view.x += (px - this.width / 2) / side; this.view.y -= (py - this.height / 2) / side; this.draw()
    } else this.draw('above')
    this.ask(best)
    this.said.textContent = `${this.words(best)}, ${this.detail(best)}${this.picked.has(best) ? ', selected' : ''}`
  }
  toggle(i) {
    const picked = new Set(this.picked)
    picked.has(i) ? picked.delete(i) : picked.add(i)
    this.pick([...picked].sort((a, b) => a - b))
  }
  pick(rows) {
    this.picked = new Set(rows); this.draw(); this.tell()
    this.said.textContent = rows.length ? `${rows.length} selected` : 'nothing selected'
    this.send.picked(rows)
  }
  tell() {
    const all = this.count.toLocaleString('en')
    this.find('.count').textContent =
      this.picked.size ? `${this.picked.size.toLocaleString('en')} of ${all} selected` : `${all} points`
  }
  legend() {
    const entry = (colour, words, text) => {
      const [item, mark, name] = ['li', 'i', 'span'].map(kind => document.createElement(kind))
      mark.style.background = colour; mark.className = text ? 'text' : ''; name.textContent = name.title = words
      item.append(mark, name); return item }
    const grey = this.colour('--st-text-color', '#888'), marks = []
    if (this.text.includes(0)) marks.push(entry(grey, 'picture', false))
    if (this.text.includes(1)) marks.push(entry(grey, 'text', true))
    const colours = this.data.legend.map((words, i) => words && entry(this.data.palette[i], words, false))
    this.find('.legend').replaceChildren(...marks, ...colours.filter(Boolean))
  }
}

export default ({data, parentElement, setStateValue, setTriggerValue}) => {
  const root = parentElement.querySelector('.map')
  root.drawn ??= new EmbeddingMap(root)
  root.drawn.show(data, {
    picked: rows => setStateValue('picked', rows), wanted: rows => setTriggerValue('wanted', rows)})
  return () => root.isConnected || root.drawn.close()
}
"""
FEED = """
export default ({data}) => {
  document.dispatchEvent(new CustomEvent('cross-modal-map-pictures', {detail: data}))
}
"""
