import type { Dataset, Submission } from '../api/types';

const CV = /^(stratified|kfold|shuffle), (\d+) folds$/;

function literal(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, char => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

function block(name: string, code: string): string {
  // A raw string cannot hold its own delimiter, nor end in a backslash.
  const plain = !code.includes('"""') && !code.includes('\\') && !code.endsWith('"');
  return `    ${literal(name)}: ${plain ? `"""\\\n${code}"""` : literal(code)},\n`;
}

/** Python code that makes the same submission again, from a notebook or a script. */
export function asPython(
  submission: Submission,
  dataset: Dataset | undefined,
  files: ReadonlyMap<string, string>
): string {
  const cv = CV.exec(submission.cv);
  const imports = cv ? 'Client, CrossValidation' : 'Client';
  const made = cv ? `CrossValidation(kind="${cv[1]}", n_splits=${cv[2]})` : '5';
  const code = [...files].map(([name, text]) => block(name, text)).join('');
  return `from datarun_ext.client import ${imports}

client = Client()
files = {
${code}}
submission = client.submissions.create(
    client.datasets.get(${dataset ? literal(dataset.name) : (submission.raw_data ?? 0)}),
    files,
    cv=${made},
    name=${literal(submission.name)},
)
client.wait(submission)
print(client.submissions.get(submission).scores)
`;
}
