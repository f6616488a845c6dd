import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { pack, unpackPredictions } from '../src/api/codec';
import { parseHeldOut, parseSeed } from '../src/dataset/numbers';
import { guessTarget, isRegression, nameOf, parseCsv } from '../src/dataset/sniff';
import { selectSubmissions, NO_FILTER } from '../src/model/select';
import { reduce } from '../src/model/reduce';
import { EMPTY } from '../src/model/state';
import { fileOf } from '../src/submission/elements';
import { csv, npz } from '../src/submission/export';
import { lanesOf, ticks } from '../src/submission/lanes';
import { asPython } from '../src/submission/python';
import { bytes, duration, score, spread } from '../src/ui/format';
import { dataset, fold, snapshot, submission } from './make';

describe('codec', () => {
  it('packs text as the server reads it', async () => {
    const packed = await pack('x = "é"\n');
    expect(inflateSync(Buffer.from(packed, 'base64')).toString('utf-8')).toBe('x = "é"\n');
  });

  it('unpacks float64 in their shape', async () => {
    const packed = await pack(Float64Array.from([0.25, 0.75, 1, 0]) as BlobPart);
    const { values, shape } = await unpackPredictions(packed, [2, 2]);
    expect([...values]).toEqual([0.25, 0.75, 1, 0]);
    expect(shape).toEqual([2, 2]);
  });
});

describe('CSV', () => {
  it('is read with quotes, and without a row that is cut off', () => {
    expect(parseCsv('a,"b ""x"", y"\r\n1,2\n3,', false)).toEqual([
      ['a', 'b "x", y'],
      ['1', '2']
    ]);
    expect(parseCsv('a\n1', true)).toEqual([['a'], ['1']]);
  });

  it('tells the target and what is to be predicted', () => {
    expect(guessTarget(['x', 'Species', 'z'])).toBe('Species');
    expect(guessTarget(['x', 'z'])).toBe('z');
    const rows = Array.from({ length: 60 }, (_, n) => [String(n % 3), String(n / 7)]);
    expect(isRegression({ columns: ['k', 'v'], rows }, 'v')).toBe(true);
    expect(isRegression({ columns: ['k', 'v'], rows }, 'k')).toBe(false);
  });

  it('gives the dataset a name that the server takes', () => {
    expect(nameOf('iris.csv')).toBe('iris');
    expect(nameOf(`${'x'.repeat(60)}.csv`)).toHaveLength(40);
  });
});

describe('what a person types', () => {
  it('is a share, a per cent, or a number of rows', () => {
    expect(['0.2', '20%', '30', '0', '1.5', '', 'x'].map(parseHeldOut)).toEqual([
      0.2,
      0.2,
      30,
      null,
      null,
      null,
      null
    ]);
    expect(['42', '-1', '1.5', '4294967296'].map(parseSeed)).toEqual([42, null, null, null]);
  });
});

describe('downloads', () => {
  const arrays = {
    train: { values: Float64Array.from([0.1, 0.9, 0.8, 0.2]), shape: [2, 2] },
    test: { values: Float64Array.from([0.5, 0.5]), shape: [1, 2] }
  };

  it('are read by numpy as they were', () => {
    const folder = mkdtempSync(join(tmpdir(), 'datarun-npz-'));
    const path = join(folder, 'p.npz');
    writeFileSync(path, npz(arrays));
    const code = `
import json, sys, numpy
with numpy.load(sys.argv[1]) as z:
    print(json.dumps({name: z[name].tolist() for name in z.files}))`;
    const read = execFileSync('python3', ['-c', code, path], { encoding: 'utf-8' });
    rmSync(folder, { recursive: true });
    expect(JSON.parse(read)).toEqual({
      train: [
        [0.1, 0.9],
        [0.8, 0.2]
      ],
      test: [[0.5, 0.5]]
    });
  });

  it('name the classes in CSV', () => {
    expect(csv(arrays, ['no', 'yes, sure'])).toBe(
      'set,row,no,"yes, sure"\ntrain,0,0.1,0.9\ntrain,1,0.8,0.2\ntest,0,0.5,0.5\n'
    );
  });
});

describe('code', () => {
  it('goes into the file of the class that it defines', () => {
    expect(fileOf('import x\nclass Regressor(Base):\n    pass')).toBe('regressor.py');
    expect(fileOf('x = 1')).toBeNull();
  });

  it('copied as Python is Python, and holds the files as they are', () => {
    const files = new Map([
      ['classifier.py', 'x = "a"\n'],
      ['odd.py', 'y = """\\n"""\nz = "é"\n']
    ]);
    const code = asPython(submission(1, { cv: 'kfold, 3 folds' }), dataset(1), files);
    const check = `
import ast, sys, json
tree = ast.parse(sys.stdin.read())
files = next(n.value for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "files")
print(json.dumps(ast.literal_eval(files)))`;
    const read = execFileSync('python3', ['-c', check], { input: code, encoding: 'utf-8' });
    expect(JSON.parse(read)).toEqual(Object.fromEntries(files));
    expect(code).toContain('CrossValidation(kind="kfold", n_splits=3)');
  });
});

describe('timeline', () => {
  it('puts folds that overlap in rows of their own, by runner', () => {
    const bar = (id: number, runner: string, started_at: number, ended_at: number | null) =>
      fold(id, 'TESTED', { runner, started_at, ended_at });
    const { lanes, from, to } = lanesOf(
      [bar(1, 'a', 0.5, 4), bar(2, 'a', 1, 3), bar(3, 'b', 2, null), bar(4, 'a', 3, 5), fold(5)],
      9
    );
    expect(
      lanes.map(({ runner, bars }) => [runner, bars.map(b => b.fold.databoard_sf_id)])
    ).toEqual([
      ['a', [1]],
      ['a', [2, 4]],
      ['b', [3]]
    ]);
    expect([from, to]).toEqual([0.5, 9]);
  });

  it('has round ticks, few enough to be read', () => {
    expect(ticks(9, 5)).toEqual([0, 2, 4, 6, 8]);
    expect(ticks(7200, 4).length).toBeLessThanOrEqual(6);
  });
});

describe('the list of submissions', () => {
  const state = reduce(EMPTY, [
    snapshot({
      rawdata: [dataset(1, { name: 'iris' }), dataset(2, { name: 'wine' })],
      submissions: [
        submission(1, { name: 'b', scores: { validation_accuracy: { mean: 0.9, std: 0 } } }),
        submission(2, { name: 'a', raw_data: 2, owner: 'bob', counts: { TESTED: 2 } }),
        submission(3, { name: 'c', scores: { validation_accuracy: { mean: 0.95, std: 0 } } })
      ]
    }),
    { type: 'user', user: { name: 'ada', is_superuser: false }, mayWrite: true }
  ]);
  const ids = (filter: Partial<typeof NO_FILTER>) =>
    selectSubmissions(state, { ...NO_FILTER, ...filter }).map(row => row.submission.databoard_s_id);

  it('is filtered by words, state, dataset and owner', () => {
    expect(ids({ text: 'WINE bob' })).toEqual([2]);
    expect(ids({ text: '#3' })).toEqual([3]);
    expect(ids({ standing: 'done' })).toEqual([2]);
    expect(ids({ dataset: 1 })).toEqual([3, 1]);
    expect(ids({ onlyMine: true })).toEqual([3, 1]);
  });

  it('is sorted as asked', () => {
    expect(ids({})).toEqual([3, 2, 1]);
    expect(ids({ sort: 'name' })).toEqual([2, 1, 3]);
    expect(ids({ sort: 'score' })).toEqual([3, 1, 2]);
  });
});

describe('numbers', () => {
  it('are written for people', () => {
    expect([0.123, 3, 4.56, 59.6, 125, 7260].map(duration)).toEqual([
      '0.12 s',
      '3 s',
      '4.6 s',
      '1 min 00 s',
      '2 min 05 s',
      '2 h 01 min'
    ]);
    expect([512, 1500, 2_500_000].map(bytes)).toEqual(['512 B', '1.5 kB', '2.5 MB']);
    expect([1, 0.96666, null].map(score)).toEqual(['1.00', '0.967', '']);
    const spreads = [spread(0, 1), spread(0.0213, 0.953), spread(0.0001, 0.95), spread(3.2, 1234)];
    expect(spreads).toEqual(['0.00', '0.021', '0.0001', '3']);
  });
});
