import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BoundedQueue } from '../../../server/inference/queue.ts';

const limits = { images: 3, bytes: 100, pixels: 1000 };
const item = (name: string, bytes = 10, pixels = 100) => ({ name, bytes, pixels });
const alone = { lane: () => 'only', cost: () => 1, lanes: 1 };

describe('the bounded queue', () => {
  test('is first in, first out', () => {
    const queue = new BoundedQueue<ReturnType<typeof item>>(limits, alone);
    assert.ok(queue.push([item('a'), item('b')]));
    assert.ok(queue.push([item('c')]));
    assert.deepEqual(
      [queue.shift()?.name, queue.shift()?.name, queue.shift()?.name, queue.shift()],
      ['a', 'b', 'c', undefined],
    );
  });

  for (const [limit, batch] of Object.entries({
    images: [item('b'), item('c'), item('d')],
    bytes: [item('b', 60), item('c', 31)],
    pixels: [item('b', 1, 500), item('c', 1, 401)],
  })) {
    test(`refuses a batch beyond its ${limit} whole, and takes it when there is room`, () => {
      const queue = new BoundedQueue<ReturnType<typeof item>>(limits, alone);
      assert.ok(queue.push([item('a')]));
      assert.equal(queue.push(batch), false);
      assert.equal(queue.size, 1);
      queue.shift();
      assert.ok(queue.push(batch));
    });
  }

  test('takes a single item that is larger than a limit when it is empty, and only then', () => {
    const queue = new BoundedQueue<ReturnType<typeof item>>(limits, alone);
    assert.ok(queue.push([item('huge', 1000)]));
    assert.equal(queue.push([item('a')]), false);
    queue.shift();
    assert.ok(queue.push([item('a')]));
    assert.equal(queue.push([item('huge', 1000)]), false);
  });

  test('counts what is removed and what comes back', () => {
    const queue = new BoundedQueue<ReturnType<typeof item>>(limits, alone);
    const [a, b] = [item('a', 50), item('b', 50)];
    queue.push([a, b]);
    assert.equal(queue.push([item('c', 1)]), false);
    assert.ok(queue.remove(a));
    assert.equal(queue.remove(a), false);
    assert.ok(queue.push([item('c', 50)]));
    const first = queue.shift();
    assert.equal(first, b);
    queue.unshift(b);
    assert.equal(queue.push([item('d', 1)]), false);
    assert.equal(queue.shift(), b);
  });
});

interface Photo {
  readonly lane: string;
  readonly number: number;
  readonly bytes: number;
  readonly pixels: number;
}

const ROOMY = { images: 1000, bytes: 1000, pixels: 1000 };
const laneOf = ({ lane }: Photo) => lane;
const photos = (lane: string, count: number, first = 0): Photo[] =>
  Array.from({ length: count }, (_, index) => ({ lane, number: first + index, bytes: 1, pixels: 1 }));
/** A queue of lanes whose photos cost what `costs` says. */
const shared = (costs: Readonly<Record<string, number>>, room = ROOMY) =>
  new BoundedQueue<Photo>(room, {
    lane: laneOf,
    cost: (lane) => costs[lane] ?? assert.fail(`there is no lane ${lane}`),
    lanes: Object.keys(costs).length,
  });
const take = (queue: BoundedQueue<Photo>): Photo => queue.shift() ?? assert.fail('the queue is empty');
/** Numbers from 0 up to 1, the same in each run (Numerical Recipes' generator). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('lanes that share a queue', () => {
  for (const costs of [
    { a: 10, b: 10 },
    { a: 10, b: 30 },
    { a: 37, b: 1 },
    { a: 3, b: 200 },
  ]) {
    test(`of costs ${costs.a} and ${costs.b} that both wait get work that differs by one photo's cost at most`, () => {
      const queue = shared(costs);
      queue.push([...photos('a', 300), ...photos('b', 300)]);
      const work = { a: 0, b: 0 };
      for (let left = { a: 300, b: 300 }; left.a > 0 && left.b > 0; ) {
        const lane = take(queue).lane as 'a' | 'b';
        left = { ...left, [lane]: left[lane] - 1 };
        work[lane] += costs[lane];
        assert.ok(Math.abs(work.a - work.b) <= Math.max(costs.a, costs.b), JSON.stringify(work));
      }
    });
  }

  test('get equal work over any time in which both wait, whatever came before and whoever else comes and goes', () => {
    const costs = { a: 10, b: 30, c: 4 };
    const names = ['a', 'b', 'c'] as const;
    const next = random(1);
    const queue = shared(costs);
    const waiting = { a: 0, b: 0, c: 0 };
    /** What each lane did beyond the other, at its most and its least, since both wait without a break. */
    const pairs = (['ab', 'ac', 'bc'] as const).map((pair) => {
      const [one, other] = [...pair] as ['a' | 'b', 'b' | 'c'];
      return { one, other, ahead: 0, most: 0, least: 0 };
    });
    let longest = 0;
    let steps = 0;
    for (let step = 0; step < 20_000; step++) {
      for (const [index, lane] of names.entries()) {
        // Floods and lulls, so that lanes fall idle and come back.
        const comes = next() < (Math.sin(step / 300 + index) > 0 ? 0.6 : 0.1);
        if (comes && queue.push(photos(lane, 1))) waiting[lane] += 1;
      }
      const taken = queue.shift();
      if (!taken) continue;
      const served = taken.lane as 'a' | 'b' | 'c';
      waiting[served] -= 1;
      for (const pair of pairs) {
        if (served === pair.one) pair.ahead += costs[served];
        if (served === pair.other) pair.ahead -= costs[served];
        pair.most = Math.max(pair.most, pair.ahead);
        pair.least = Math.min(pair.least, pair.ahead);
        assert.ok(pair.most - pair.least <= costs[pair.one] + costs[pair.other], JSON.stringify(pair));
        if (waiting[pair.one] > 0 && waiting[pair.other] > 0) continue;
        Object.assign(pair, { ahead: 0, most: 0, least: 0 });
      }
      steps = waiting.a > 0 && waiting.b > 0 ? steps + 1 : 0;
      longest = Math.max(longest, steps);
    }
    assert.ok(longest > 100, `both waited for ${longest} photos at most, which shows little`);
  });

  test('a lane that had nothing waiting is next when it comes, and saved up nothing meanwhile', () => {
    const costs = { a: 10, b: 30, c: 20 };
    const queue = shared(costs);
    queue.push(photos('a', 600));
    for (let i = 0; i < 100; i++) assert.equal(take(queue).lane, 'a');
    queue.push(photos('b', 100));
    assert.equal(take(queue).lane, 'b');
    const work = { a: 0, b: 0, c: 0 };
    for (let i = 0; i < 100; i++) {
      const lane = take(queue).lane as 'a' | 'b';
      work[lane] += costs[lane];
      assert.ok(Math.abs(work.a - work.b) <= costs.a + costs.b, JSON.stringify(work));
    }
    queue.push(photos('c', 1));
    assert.ok([take(queue), take(queue), take(queue)].some(({ lane }) => lane === 'c'));
  });

  test('a lane whose photos come one by one gets no more for falling idle in between', () => {
    const costs = { a: 10, b: 30 };
    const queue = shared(costs);
    queue.push(photos('a', 500));
    queue.push(photos('b', 1));
    const work = { a: 0, b: 0 };
    for (let i = 0; i < 200; i++) {
      const lane = take(queue).lane as 'a' | 'b';
      work[lane] += costs[lane];
      // As soon as its photo is taken the next one is there: it never waits with two.
      if (lane === 'b') queue.push(photos('b', 1));
    }
    assert.ok(Math.abs(work.a - work.b) <= costs.a + costs.b, JSON.stringify(work));
  });

  test('a cost that turns out otherwise counts from the next photo on', () => {
    const costs = { a: 10, b: 10 };
    const queue = shared(costs);
    queue.push([...photos('a', 200), ...photos('b', 200)]);
    for (let i = 0; i < 20; i++) take(queue);
    costs.b = 40;
    const lanes = Array.from({ length: 50 }, () => take(queue).lane);
    const count = lanes.filter((lane) => lane === 'b').length;
    assert.ok(Math.abs(count - 10) <= 1, `${count} of 50`);
  });

  test('lose nothing, hand nothing out twice, and keep the order within each', () => {
    const costs = { a: 5, b: 7, c: 50 };
    const names = ['a', 'b', 'c'] as const;
    const next = random(2);
    const queue = shared(costs);
    const expected = { a: [] as Photo[], b: [] as Photo[], c: [] as Photo[] };
    let numbers = 0;
    for (let step = 0; step < 5000; step++) {
      const lane = names[Math.floor(next() * 3)] ?? 'a';
      const action = next();
      if (action < 0.4) {
        const batch = photos(lane, 1 + Math.floor(next() * 3), numbers);
        numbers += batch.length;
        if (queue.push(batch)) expected[lane].push(...batch);
      } else if (action < 0.5 && expected[lane].length > 0) {
        const [gone] = expected[lane].splice(Math.floor(next() * expected[lane].length), 1);
        assert.ok(queue.remove(gone ?? assert.fail()));
        assert.ok(!queue.remove(gone));
      } else if (action < 0.55) {
        const taken = queue.shift();
        if (!taken) continue;
        assert.equal(taken, expected[taken.lane as 'a'].shift());
        queue.unshift(taken);
        assert.equal(queue.shift(), taken);
      } else {
        const taken = queue.shift();
        if (taken) assert.equal(taken, expected[taken.lane as 'a'].shift());
      }
      const left = names.reduce((sum, name) => sum + expected[name].length, 0);
      assert.equal(queue.size, left);
      assert.equal(
        queue.work,
        names.reduce((sum, name) => sum + expected[name].length * costs[name], 0),
      );
    }
  });

  test('what comes back goes before all lanes, and is not charged again', () => {
    const queue = shared({ a: 10, b: 10 });
    queue.push([...photos('a', 10), ...photos('b', 10)]);
    const first = take(queue);
    assert.equal(first.lane, 'a');
    queue.unshift(first);
    assert.equal(queue.work, 200);
    assert.equal(take(queue), first);
    assert.equal(take(queue).lane, 'b');
    assert.equal(take(queue).lane, 'a');
  });

  for (const limit of ['images', 'bytes', 'pixels'] as const) {
    test(`leave a quarter of the ${limit} to those with little waiting`, () => {
      const queue = shared({ a: 1, b: 1, c: 1 }, { ...ROOMY, [limit]: 16 });
      const flood = (lane: string) => {
        let taken = 0;
        while (queue.push(photos(lane, 1))) taken += 1;
        return taken;
      };
      assert.equal(flood('a'), 12);
      assert.equal(queue.push(photos('b', 5)), false, 'all of a batch or nothing');
      assert.equal(flood('b'), 4);
      assert.equal(flood('c'), 0);
      // What gets free is not for those who flood.
      for (let i = 0; i < 4; i++) take(queue);
      assert.equal(flood('a'), 0);
      assert.ok(queue.push(photos('c', 2)));
      assert.equal(flood('b'), 2);
      assert.equal(flood('c'), 0);
      assert.equal(queue.size, 16);
    });
  }
});
