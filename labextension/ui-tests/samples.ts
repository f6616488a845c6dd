/** Data and models that are sent to the server. */

/** Iris-like rows that need no package: three classes, two of which are not easy to tell apart. */
export function irisCsv(rows = 150): string {
  const species = ['setosa', 'versicolor', 'virginica'];
  const lines = ['sepal length,sepal width,petal length,petal width,species'];
  for (let n = 0; n < rows; n++) {
    const kind = n % 3;
    const spread = (prime: number): number => ((n * prime) % 101) / 101;
    const cells = [
      5 + kind * 0.6 + spread(37) * 1.5,
      2.5 + spread(53),
      1.2 + kind * 1.5 + spread(71) * 1.9,
      0.2 + kind * 0.6 + spread(29) * 0.9
    ];
    lines.push([...cells.map(x => x.toFixed(1)), species[kind]].join());
  }
  return `${lines.join('\n')}\n`;
}

export const GOOD = `from sklearn.linear_model import LogisticRegression


class Classifier:
    def __init__(self):
        self.model = LogisticRegression(max_iter=500)

    def fit(self, X, y):
        print("fitting", len(X), "rows")
        self.model.fit(X, y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)
`;

export const BROKEN = `import numpy as np


class Classifier:
    def fit(self, X, y):
        print("about to fail")
        weights = np.ones(3)
        self.scale = weights[7]

    def predict_proba(self, X):
        return X
`;

export const SLOW = `import time


class Classifier:
    def fit(self, X, y):
        for step in range(600):
            print("step", step, flush=True)
            time.sleep(0.5)

    def predict_proba(self, X):
        return X
`;

/** A notebook as the contents API takes it. */
export function notebook(cells: readonly string[]): object {
  return {
    type: 'notebook',
    format: 'json',
    content: {
      nbformat: 4,
      nbformat_minor: 5,
      metadata: { kernelspec: { name: 'python3', display_name: 'Python 3' } },
      cells: cells.map((source, n) => ({
        id: `cell-${n}`,
        cell_type: 'code',
        execution_count: null,
        metadata: {},
        outputs: [],
        source
      }))
    }
  };
}
