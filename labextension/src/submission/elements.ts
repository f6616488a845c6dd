/** The parts that a submission is made of, one file each, and what each must define. */
export interface IElement {
  readonly file: string;
  readonly className: string;
  readonly methods: readonly string[];
  readonly template: string;
}

const ELEMENTS: Readonly<Record<string, IElement>> = {
  feature_extractor: {
    file: 'feature_extractor.py',
    className: 'FeatureExtractor',
    methods: ['fit', 'transform'],
    template: `class FeatureExtractor:
    def fit(self, X, y):
        return self

    def transform(self, X):
        return X.to_numpy()
`
  },
  classifier: {
    file: 'classifier.py',
    className: 'Classifier',
    methods: ['fit', 'predict_proba'],
    template: `from sklearn.ensemble import RandomForestClassifier


class Classifier:
    def __init__(self):
        self.model = RandomForestClassifier(n_estimators=100, random_state=0)

    def fit(self, X, y):
        self.model.fit(X, y)

    def predict_proba(self, X):
        return self.model.predict_proba(X)
`
  },
  regressor: {
    file: 'regressor.py',
    className: 'Regressor',
    methods: ['fit', 'predict'],
    template: `from sklearn.ensemble import RandomForestRegressor


class Regressor:
    def __init__(self):
        self.model = RandomForestRegressor(n_estimators=100, random_state=0)

    def fit(self, X, y):
        self.model.fit(X, y)

    def predict(self, X):
        return self.model.predict(X)
`
  },
  calibrator: {
    file: 'calibrator.py',
    className: 'Calibrator',
    methods: ['fit', 'predict_proba'],
    template: `from sklearn.linear_model import LogisticRegression


class Calibrator:
    def __init__(self):
        self.model = LogisticRegression()

    def fit(self, probas, y):
        self.model.fit(probas, y)

    def predict_proba(self, probas):
        return self.model.predict_proba(probas)
`
  }
};

/** The names in a dataset's `workflow_elements`. */
export function elementNames(workflow: string): string[] {
  return workflow
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '');
}

/** The parts that a dataset asks for; one that is not known must only have its file. */
export function elementsOf(workflow: string): IElement[] {
  return elementNames(workflow).map(
    name => ELEMENTS[name] ?? { file: `${name}.py`, className: '', methods: [], template: '' }
  );
}

/** Which file code belongs in, from the class that it defines; null when it defines none. */
export function fileOf(code: string): string | null {
  const found = Object.values(ELEMENTS).find(element => defines(code, element.className));
  return found?.file ?? null;
}

/** Whether code defines a class at its top level. */
export function defines(code: string, className: string): boolean {
  return new RegExp(`^class\\s+${className}\\b`, 'm').test(code) || imports(code, className);
}

function imports(code: string, name: string): boolean {
  return new RegExp(`^(from\\s+\\S+\\s+)?import\\s.*\\b${name}\\b|^${name}\\s*=`, 'm').test(code);
}

/** Whether code defines a method of some name anywhere. */
export function hasMethod(code: string, name: string): boolean {
  return new RegExp(`^\\s+(async\\s+)?def\\s+${name}\\s*\\(`, 'm').test(code);
}
