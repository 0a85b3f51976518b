import type { Rings } from './rings.ts';

/** Following corner of every corner that is left; -1 for those that were taken out. */
export type Simplified = Int32Array;

/**
 * Takes corners out of rings, the least missed first, such that
 *  - every ring stays within `tolerance` of what it was, and what it was within `tolerance` of it (Hausdorff
 *    distance): all corners that an edge replaces are within the tolerance of that edge. The boundary between
 *    them joins the edge's ends, so that every point of the edge has a point of the boundary straight beside
 *    it, no further away than the furthest corner;
 *  - rings keep their shape in the sense of topology: none crosses or touches itself or another in a new
 *    place, holes stay where they were, three corners stay. A corner goes only if the triangle of it and its
 *    neighbours holds no other corner: nothing else can reach into that triangle without crossing an edge
 *    that is there already. Corners where two rings touch stay.
 * Source of the order, one vertex at a time: M. Visvalingam and J. D. Whyatt, "Line generalisation by repeated
 * elimination of points", 1993, with distance in the place of area.
 * @param tolerance pixels, 0 or more
 */
export function simplifyRings(rings: Rings, tolerance: number): Simplified {
  const next = rings.next.slice();
  if (tolerance === 0) return next;
  return new Simplification(rings, next, tolerance).run();
}

class Simplification {
  readonly #rings: Rings;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #limit: number;
  /** [corners] what taking the corner out costs now; the queue's older entries for it are void. */
  readonly #cost: Float64Array;
  readonly #queue: CostQueue;

  constructor(rings: Rings, next: Int32Array, tolerance: number) {
    this.#rings = rings;
    this.#next = next;
    this.#previous = new Int32Array(next.length);
    for (let corner = 0; corner < next.length; corner++) this.#previous[next[corner]] = corner;
    this.#limit = tolerance * tolerance;
    this.#cost = new Float64Array(next.length);
    this.#queue = new CostQueue(next.length);
  }

  run(): Simplified {
    const next = this.#next;
    const previous = this.#previous;
    for (let corner = 0; corner < next.length; corner++) this.#rate(corner);
    for (let corner = this.#queue.pop(this.#cost); corner >= 0; corner = this.#queue.pop(this.#cost)) {
      const before = previous[corner];
      const after = next[corner];
      if (!this.#isFree(before, corner, after)) continue;
      next[before] = after;
      previous[after] = before;
      next[corner] = -1;
      this.#rate(before);
      this.#rate(after);
    }
    return next;
  }

  /** Enters the cost of taking a corner out, if that is allowed at all. */
  #rate(corner: number): void {
    this.#cost[corner] = Infinity;
    const before = this.#previous[corner];
    const after = this.#next[corner];
    if (this.#rings.twin[corner] >= 0) return;
    const cost = this.#distance(before, after);
    if (cost > this.#limit) return;
    this.#cost[corner] = cost;
    this.#queue.push(corner, cost);
  }

  /**
   * Largest squared distance of the corners that there were between two to the edge that would join the two.
   * A hair is added for each corner, so that of equal distances the shorter stretch comes first and stretches
   * grow evenly; Infinity beyond the limit.
   */
  #distance(from: number, to: number): number {
    const { x, y, next } = this.#rings;
    const dx = x[to] - x[from];
    const dy = y[to] - y[from];
    const squared = dx * dx + dy * dy;
    let most = 0;
    let corners = 0;
    for (let at = next[from]; at !== to; at = next[at]) {
      const px = x[at] - x[from];
      const py = y[at] - y[from];
      const along = px * dx + py * dy;
      let distance: number;
      if (along <= 0) distance = px * px + py * py;
      else if (along >= squared) distance = (x[at] - x[to]) ** 2 + (y[at] - y[to]) ** 2;
      else {
        const across = px * dy - py * dx;
        distance = (across * across) / squared;
      }
      if (distance > this.#limit) return Infinity;
      if (distance > most) most = distance;
      corners++;
    }
    return Math.min(this.#limit, most + corners * 1e-6);
  }

  /**
   * True if the triangle of three corners that follow each other holds no other corner, and more are left.
   */
  #isFree(a: number, b: number, c: number): boolean {
    if (this.#next[c] === a) return false; // Three are left.
    const { x, y, lineStart, twin } = this.#rings;
    const top = Math.min(y[a], y[b], y[c]);
    const bottom = Math.max(y[a], y[b], y[c]);
    for (let line = top; line <= bottom; line++) {
      let left = Infinity;
      let right = -Infinity;
      for (let side = 0; side < 3; side++) {
        const p = side === 0 ? a : side === 1 ? b : c;
        const q = side === 0 ? b : side === 1 ? c : a;
        if (line < Math.min(y[p], y[q]) || line > Math.max(y[p], y[q])) continue;
        const at = y[p] === y[q] ? x[p] : x[p] + ((line - y[p]) * (x[q] - x[p])) / (y[q] - y[p]);
        const other = y[p] === y[q] ? x[q] : at;
        left = Math.min(left, at, other);
        right = Math.max(right, at, other);
      }
      // Rounded outwards; the test that decides is in whole numbers.
      left = Math.floor(left);
      right = Math.ceil(right);
      const end = lineStart[line + 1];
      for (let corner = this.#firstFrom(left, line); corner < end && x[corner] <= right; corner++) {
        if (corner === a || corner === b || corner === c || this.#next[corner] < 0) continue;
        // Where a ring touches this one at a or c, it lies outside, or has another corner in the triangle.
        if (corner === twin[a] || corner === twin[c]) continue;
        if (this.#holds(a, b, c, corner)) return false;
      }
    }
    // Two rings that touch at both ends may have an edge there already.
    const [touchA, touchC] = [twin[a], twin[c]];
    return touchA < 0 || touchC < 0 || (this.#next[touchA] !== touchC && this.#next[touchC] !== touchA);
  }

  /** First corner of a line whose column is at least `left`. */
  #firstFrom(left: number, line: number): number {
    const { x, lineStart } = this.#rings;
    let low = lineStart[line];
    let high = lineStart[line + 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (x[middle] < left) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** True if a corner lies in a triangle or on its sides. */
  #holds(a: number, b: number, c: number, corner: number): boolean {
    const ab = this.#turn(a, b, corner);
    const bc = this.#turn(b, c, corner);
    const ca = this.#turn(c, a, corner);
    if (ab === 0 && bc === 0 && ca === 0) {
      // All in one line.
      const { x, y } = this.#rings;
      const between = (of: Int32Array) =>
        of[corner] >= Math.min(of[a], of[b], of[c]) && of[corner] <= Math.max(of[a], of[b], of[c]);
      return between(x) && between(y);
    }
    return (ab >= 0 && bc >= 0 && ca >= 0) || (ab <= 0 && bc <= 0 && ca <= 0);
  }

  /**
   * Sign tells on which side of the line from `from` to `to` a corner lies; 0 on it. Exact: whole numbers
   * below 2^53.
   */
  #turn(from: number, to: number, corner: number): number {
    const { x, y } = this.#rings;
    return (x[to] - x[from]) * (y[corner] - y[from]) - (y[to] - y[from]) * (x[corner] - x[from]);
  }
}

/** Binary heap of corners by cost. An entry whose cost is not the corner's own any more is passed over. */
class CostQueue {
  #corners: Int32Array;
  #costs: Float64Array;
  #length = 0;

  constructor(capacity: number) {
    // Every corner that is taken out has its two neighbours entered anew.
    this.#corners = new Int32Array(capacity * 3);
    this.#costs = new Float64Array(capacity * 3);
  }

  push(corner: number, cost: number): void {
    let at = this.#length++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#costs[parent] <= cost) break;
      this.#costs[at] = this.#costs[parent];
      this.#corners[at] = this.#corners[parent];
      at = parent;
    }
    this.#costs[at] = cost;
    this.#corners[at] = corner;
  }

  /**
   * Takes out the cheapest corner; -1 when there is none left.
   * @param current [corners] cost of each as it is now
   */
  pop(current: Float64Array): number {
    while (this.#length > 0) {
      const corner = this.#corners[0];
      const cost = this.#costs[0];
      this.#sink();
      if (current[corner] !== cost) continue;
      current[corner] = Infinity;
      return corner;
    }
    return -1;
  }

  /** Puts the last entry in the place of the first. */
  #sink(): void {
    const last = --this.#length;
    const cost = this.#costs[last];
    const corner = this.#corners[last];
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= last) break;
      if (child + 1 < last && this.#costs[child + 1] < this.#costs[child]) child++;
      if (this.#costs[child] >= cost) break;
      this.#costs[at] = this.#costs[child];
      this.#corners[at] = this.#corners[child];
      at = child;
    }
    this.#costs[at] = cost;
    this.#corners[at] = corner;
  }
}
